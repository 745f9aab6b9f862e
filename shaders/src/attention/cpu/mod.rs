//! The CPU twin of packed attention: some queries at a time, so that scores never outgrow the cache.

mod backward;
mod forward;

pub use backward::backward;
pub use forward::forward;

/// How the tokens are laid out.
#[derive(Clone, Copy, Debug)]
pub struct CpuAttentionLayout<'a> {
    /// `[sequences + 1]`: first token of each sequence, and the end of the last.
    pub starts: &'a [u32],
    /// Attention heads.
    pub heads: usize,
    /// Values of a head.
    pub width: usize,
}

impl CpuAttentionLayout<'_> {
    fn tokens(&self) -> usize {
        self.starts.last().map_or(0, |&end| end as usize)
    }

    /// Sequences and heads, each pair once.
    fn tasks(&self) -> usize {
        self.starts.len().saturating_sub(1) * self.heads
    }

    /// First token, length and head of a task.
    fn task(&self, index: usize) -> (usize, usize, usize) {
        let (sequence, head) = (index / self.heads, index % self.heads);
        let start = self.starts[sequence] as usize;
        (start, self.starts[sequence + 1] as usize - start, head)
    }

    /// Small sequences are done several to a block.
    fn block(&self) -> usize {
        let average = self.tokens() / self.starts.len().saturating_sub(1).max(1);
        (4096 / (average * average).max(1)).clamp(1, 16)
    }
}

fn check(qkv: &[f32], layout: CpuAttentionLayout) -> (usize, usize) {
    let (tokens, dim) = (layout.tokens(), layout.heads * layout.width);
    // From the first token on and without gaps: what lies outside of every sequence would never be written.
    let ordered = layout.starts.first().is_none_or(|first| *first == 0)
        && layout.starts.windows(2).all(|pair| pair[0] <= pair[1]);
    assert!(
        ordered && qkv.len() >= tokens * 3 * dim,
        "attention over {tokens} tokens of {dim} in {}",
        qkv.len()
    );
    (tokens, dim)
}
