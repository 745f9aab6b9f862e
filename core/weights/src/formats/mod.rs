//! Kinds of files that hold tensors: each gives names with shapes at once, and numbers when they are asked for.

pub(crate) mod dcp;
pub(crate) mod open;
pub(crate) mod pickle;
pub(crate) mod pickle_torch;
pub(crate) mod pth;
pub(crate) mod pth_listing;
pub(crate) mod safetensors;
pub(crate) mod source;
