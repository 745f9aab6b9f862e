//! The programs on GPUs.

use burn_cubecl::CubeBackend;

use super::programs::Programs;

impl Programs for CubeBackend {}
