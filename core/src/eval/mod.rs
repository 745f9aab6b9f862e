//! How good the features are: protocols that need no further training of the backbone.
