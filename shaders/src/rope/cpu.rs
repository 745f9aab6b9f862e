//! The CPU twin of rotary positions.

use super::{RopeSequences, RopeTurn};
use crate::cpu::{DisjointSlice, blocks, chunk_rows, wide};

/// `qkv + bias` with queries and keys turned; shapes as in [`super`]. `qkv` is used up: the result is written over it.
///
/// # Panics
/// When `qkv` or `table` is shorter than the groups are long.
pub fn rotate(
    mut qkv: Vec<f32>,
    bias: Option<&[f32]>,
    table: &[f32],
    groups: &[RopeSequences],
    heads: usize,
    turn: RopeTurn,
) -> Vec<f32> {
    let (tokens, _) = super::extents(groups);
    if tokens == 0 || heads == 0 {
        return qkv;
    }
    let columns = qkv.len() / tokens;
    let width = columns / 3 / heads;
    let (half, turned) = (width / 2, 2 * columns / 3);
    let sign = turn.sign();
    let out = DisjointSlice::new(&mut qkv);
    blocks(tokens, chunk_rows(columns), |part| {
        // SAFETY: blocks are apart.
        let rows = unsafe { out.part(part.start * columns..part.end * columns) };
        let angles = Angles::new(groups, part.start);
        wide(
            #[inline(always)]
            || {
                for (row, at) in rows.chunks_exact_mut(columns).zip(angles) {
                    if let Some(bias) = bias {
                        row.iter_mut().zip(bias).for_each(|(value, add)| *value += add);
                    }
                    let (cos, sin) = table[at * width..(at + 1) * width].split_at(half);
                    for head in row[..turned].chunks_exact_mut(width) {
                        let (first, second) = head.split_at_mut(half);
                        for i in 0..half {
                            let (a, b, sin) = (first[i], second[i], sign * sin[i]);
                            first[i] = a * cos[i] - b * sin;
                            second[i] = b * cos[i] + a * sin;
                        }
                    }
                }
            },
        );
    });
    qkv
}

/// Rows of the table that tokens take, one after the other.
struct Angles<'a> {
    groups: &'a [RopeSequences],
    /// First row of the table, and tokens left, of the present group.
    first: usize,
    left: usize,
    /// Token within its sequence.
    token: usize,
}

impl<'a> Angles<'a> {
    /// From the token `start` of the packed sequence on.
    fn new(groups: &'a [RopeSequences], mut start: usize) -> Self {
        let (mut first, mut groups) = (0, groups);
        while let [group, rest @ ..] = groups {
            let tokens = group.count * group.tokens;
            if start < tokens {
                return Self { groups, first, left: tokens - start, token: start % group.tokens };
            }
            (start, first, groups) = (start - tokens, first + group.tokens, rest);
        }
        Self { groups, first, left: 0, token: 0 }
    }
}

impl Iterator for Angles<'_> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            let [group, rest @ ..] = self.groups else { return None };
            let [next, ..] = rest else { return None };
            (self.first, self.groups) = (self.first + group.tokens, rest);
            (self.left, self.token) = (next.count * next.tokens, 0);
        }
        let at = self.first + self.token;
        self.left -= 1;
        self.token = if self.token + 1 == self.groups[0].tokens { 0 } else { self.token + 1 };
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_take_the_rows_of_their_group() {
        let of = |count, tokens| RopeSequences { count, tokens };
        let groups = [of(2, 3), of(0, 7), of(3, 1), of(1, 2)];
        let all: Vec<usize> = Angles::new(&groups, 0).collect();
        assert_eq!(all, [0, 1, 2, 0, 1, 2, 10, 10, 10, 11, 12]);
        for start in 0..=all.len() {
            assert_eq!(Angles::new(&groups, start).collect::<Vec<_>>(), all[start..], "from {start}");
        }
    }

    /// A quarter turn swaps the halves of each head; the turn back undoes it; values keep their bias alone.
    #[test]
    fn a_quarter_turn_swaps_halves() {
        let (heads, width) = (2, 4);
        let qkv: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let bias: Vec<f32> = vec![100.0; 24];
        let groups = [RopeSequences { count: 1, tokens: 1 }];
        // Cosines 0, sines 1.
        let table = [0.0, 0.0, 1.0, 1.0];
        let got = rotate(qkv.clone(), Some(&bias), &table, &groups, heads, RopeTurn::Forward);
        assert_eq!(got[..width], [-102.0, -103.0, 100.0, 101.0]);
        assert_eq!(got[16..], (116..124).map(|i| i as f32).collect::<Vec<_>>());
        let back = rotate(got, None, &table, &groups, heads, RopeTurn::Back);
        assert_eq!(back, (100..124).map(|i| i as f32).collect::<Vec<_>>());
        assert!(rotate(Vec::new(), None, &[], &[], 2, RopeTurn::Forward).is_empty());
    }
}
