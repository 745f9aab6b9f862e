//! Ways to name and wrap a backbone's tensors: who writes which, and how they become the official names.

pub(crate) mod heads;
pub(crate) mod hugging_face;
pub(crate) mod kin;
pub(crate) mod official;
pub(crate) mod parts;
pub(crate) mod positions;
pub(crate) mod shapes;
pub(crate) mod timm;
pub(crate) mod told;
pub(crate) mod wrapped;
