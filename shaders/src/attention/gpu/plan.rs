//! How the work of one workgroup is cut, and what fits into workgroup memory.

use cubecl::client::Client;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::PROGRAM;
use crate::ShaderError;
use crate::cube::{MAX_GROUPS, SHARED_BYTES, expect_elem, vector_size};

/// Threads of a workgroup along the rows of a tile of scores.
pub(super) const DOWN: usize = 8;
/// Threads along its columns.
pub(super) const ACROSS: usize = 8;
/// Threads of a workgroup.
pub(super) const UNITS: usize = DOWN * ACROSS;

/// Heads and storage of the tensors, and the workgroup memory a program may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionSpec {
    /// Heads.
    pub heads: usize,
    /// Elements of a head. Multiples of four load vectors; 64 is the tuned width, and up to 164
    /// fit into 16 KiB.
    pub width: usize,
    /// Storage of `qkv`, `out` and their gradients: f32, f16 or bf16. Sums and `lse` are f32 whatever it is.
    pub elem: ElemType,
    /// Workgroup memory in bytes that tiles are chosen to fit in.
    ///
    /// The default is what every WebGPU device has. With 32 KiB tiles get larger (at width 64: 32 keys a step instead
    /// of 16, and 32 rows in the backward pass), which reads less memory but leaves room for fewer workgroups;
    /// both sizes are tested for their results, neither has been timed on a GPU.
    pub shared_bytes: usize,
}

impl AttentionSpec {
    /// `heads` of `width` elements, stored as `elem`, within the workgroup memory of any device.
    pub fn new(heads: usize, width: usize, elem: ElemType) -> Self {
        Self { heads, width, elem, shared_bytes: SHARED_BYTES }
    }

    /// Whether both passes can run on a device, before anything is allocated for them.
    ///
    /// # Errors
    /// What it lacks: the element type, workgroup memory or threads; or heads are too wide or too many for any device.
    pub fn supported_by(&self, client: &Client) -> Result<(), ShaderError> {
        expect_elem(PROGRAM, client, self.elem)?;
        self.forward_plan()?;
        self.backward_plan()?;
        let hardware = &client.properties().hardware;
        let lacking = if self.width == 0 {
            "heads of no elements".into()
        } else if self.heads > MAX_GROUPS as usize {
            format!("{} heads", self.heads)
        } else if hardware.max_shared_memory_size < self.shared_bytes {
            let bytes = hardware.max_shared_memory_size;
            format!("{} bytes of workgroup memory, the device has {bytes}", self.shared_bytes)
        } else if (hardware.max_units_per_cube as usize) < UNITS {
            format!("{UNITS} threads a workgroup, the device has {}", hardware.max_units_per_cube)
        } else {
            return Ok(());
        };
        Err(ShaderError::Unsupported { program: PROGRAM, what: lacking })
    }

    /// Elements of a vector load.
    pub(super) fn vector(&self) -> usize {
        vector_size(self.width)
    }

    /// The largest tiles of the forward pass.
    pub(super) fn forward_plan(&self) -> Result<AttentionTiling, ShaderError> {
        self.plan(|plan, vector| {
            let tiles = (plan.own() * plan.chunks + plan.stream() * plan.stride()) * vector;
            // Beside the two tiles: their scores, and one row maximum a thread and row.
            tiles + plan.own() * plan.stream() + UNITS * plan.rows
        })
    }

    /// The largest tiles of both backward passes.
    pub(super) fn backward_plan(&self) -> Result<AttentionTiling, ShaderError> {
        self.plan(|plan, vector| {
            let tiles = (2 * plan.own() * plan.chunks + plan.stream() * plan.stride()) * vector;
            // Beside the three tiles: probabilities and gradients of scores.
            tiles + 2 * plan.own() * plan.stream()
        })
    }

    /// The plan with the most products a load whose `words` fit.
    fn plan(&self, words: impl Fn(&AttentionTiling, usize) -> usize) -> Result<AttentionTiling, ShaderError> {
        let vector = self.vector();
        let chunks = self.width / vector;
        // Ordered by rows * cols / (rows + cols), products for each value that a thread loads.
        [(4, 4), (4, 2), (2, 4), (2, 2), (4, 1), (1, 4), (2, 1), (1, 2), (1, 1)]
            .into_iter()
            .map(|(rows, cols)| AttentionTiling { rows, cols, chunks, width: self.width })
            .find(|plan| words(plan, vector) * 4 + HEADER_BYTES <= self.shared_bytes)
            .ok_or_else(|| ShaderError::Unsupported {
                program: PROGRAM,
                what: format!("heads of {} in {} bytes of workgroup memory", self.width, self.shared_bytes),
            })
    }
}

/// Workgroup memory of the entry of the work list.
const HEADER_BYTES: usize = 16;

/// Sizes that are fixed when a program is compiled.
///
/// A workgroup owns [`own`](Self::own) rows (queries, or keys where those are the outer loop) and steps through
/// [`stream`](Self::stream) rows of the other kind at a time. Each of its 8 x 8 threads computes `rows x cols` scores:
/// rows `rows * ty ..`, columns `tx + 8 j`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AttentionTiling {
    /// Rows of scores of a thread.
    pub rows: usize,
    /// Columns of scores of a thread.
    pub cols: usize,
    /// Vectors of a head.
    pub chunks: usize,
    /// Elements of a head.
    pub width: usize,
}

impl AttentionTiling {
    /// Rows that a workgroup owns.
    pub fn own(&self) -> usize {
        DOWN * self.rows
    }

    /// Rows that pass by in one step.
    pub fn stream(&self) -> usize {
        ACROSS * self.cols
    }

    /// Vectors from one row of the streamed tile to the next: odd, so that eight threads that read the same column of
    /// eight rows meet eight different banks.
    pub fn stride(&self) -> usize {
        self.chunks | 1
    }

    /// Vectors of an output row that one thread sums.
    pub fn held(&self) -> usize {
        self.chunks.div_ceil(ACROSS)
    }

    /// Vectors of a streamed tile that one thread brings in.
    pub fn fetched(&self) -> usize {
        (self.stream() * self.chunks).div_ceil(UNITS)
    }

    /// Vectors of an owned tile that one thread brings in.
    pub fn owned(&self) -> usize {
        (self.own() * self.chunks).div_ceil(UNITS)
    }

    /// 1 / sqrt(width).
    pub fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

/// Where a part of a packed tensor lies: vector `chunk` of token `t` is at `base + t * pitch + chunk`.
#[derive(CubeType, Clone, Copy)]
pub(super) struct StridedRows {
    /// First vector of token 0.
    pub base: usize,
    /// Vectors from one token to the next.
    pub pitch: usize,
}

/// Queries (`part` 0), keys (1) or values (2) of this workgroup's head in `[tokens, 3, heads, width]`.
///
/// Heads are counted along y, in launches as in here: programs differ by width only.
#[cube]
pub(super) fn of_qkv(#[comptime] part: usize, #[comptime] plan: AttentionTiling) -> StridedRows {
    let heads = CUBE_COUNT_Y as usize;
    let chunks = comptime!(plan.chunks);
    StridedRows { base: (CUBE_POS_Y as usize + heads * part) * chunks, pitch: heads * comptime!(3 * chunks) }
}

/// This workgroup's head of `[tokens, heads, width]`.
#[cube]
pub(super) fn of_out(#[comptime] plan: AttentionTiling) -> StridedRows {
    let chunks = comptime!(plan.chunks);
    StridedRows { base: CUBE_POS_Y as usize * chunks, pitch: CUBE_COUNT_Y as usize * chunks }
}

/// Where `[tokens, heads]` keeps this workgroup's value of `token`.
#[cube]
pub(super) fn of_row(token: usize) -> usize {
    token * CUBE_COUNT_Y as usize + CUBE_POS_Y as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use cubecl::ir::FloatKind;

    /// Rows and columns of a thread in both passes.
    fn tiles(width: usize, shared_bytes: usize) -> Option<[(usize, usize); 2]> {
        let spec =
            AttentionSpec { shared_bytes, ..AttentionSpec::new(6, width, ElemType::Float(FloatKind::F32)) };
        let (forward, backward) = (spec.forward_plan().ok()?, spec.backward_plan().ok()?);
        Some([(forward.rows, forward.cols), (backward.rows, backward.cols)])
    }

    #[test]
    fn every_usual_width_fits_and_memory_buys_larger_tiles() {
        assert_eq!(tiles(64, 16 << 10), Some([(4, 2), (2, 2)]));
        assert_eq!(tiles(64, 32 << 10), Some([(4, 4), (4, 2)]));
        assert_eq!(tiles(16, 16 << 10), Some([(4, 4), (4, 4)]));
        for width in 1..=164 {
            assert!(tiles(width, SHARED_BYTES).is_some(), "{width}");
        }
        assert_eq!(tiles(164, SHARED_BYTES), Some([(1, 1), (1, 1)]));
        assert_eq!(tiles(168, SHARED_BYTES), None);
    }
}
