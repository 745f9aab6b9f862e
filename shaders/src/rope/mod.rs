//! Rotary positions (Su et al. 2021, over two axes as DINOv3 has them): queries and keys turned by where their patch is.
//!
//! - `qkv`: `[tokens, 3 heads width]`, rows of queries, keys, values, each head-major; with `bias` `[3 heads width]` added
//!   first where there is one.
//! - `table`: `[positions, width]`, for each position the cosines of `width / 2` angles, then their sines. Tokens without a
//!   position (CLS, registers) have angle 0.
//! - A pair is a value of a head's first half and the one as far into its second half: `(a, b)` becomes
//!   `(a cos - b sin, b cos + a sin)`. Values stay as they are.
//!
//! A turn has its inverse in the turn back, which is also its way back: gradients are turned the other way.

pub mod cpu;
pub mod gpu;

/// Sequences of one length that share the rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RopeSequences {
    /// How many.
    pub count: usize,
    /// Tokens of each: as many rows of the table are theirs, behind those of the groups before.
    pub tokens: usize,
}

/// Which way to turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeTurn {
    /// By the angles.
    Forward,
    /// By the angles' negatives: what the gradient goes through.
    Back,
}

impl RopeTurn {
    /// What sines are multiplied by.
    pub fn sign(self) -> f32 {
        match self {
            Self::Forward => 1.0,
            Self::Back => -1.0,
        }
    }
}

/// Tokens of all groups, and rows of their table.
pub fn extents(groups: &[RopeSequences]) -> (usize, usize) {
    groups.iter().fold((0, 0), |(tokens, positions), group| {
        (tokens + group.count * group.tokens, positions + group.tokens)
    })
}
