//! Which workgroup takes which rows of which sequence.

use std::sync::OnceLock;

use cubecl::client::Client;
use cubecl::prelude::CubeCount;
use cubecl::server::Handle;

use crate::ShaderError;
use crate::cube::groups;

/// Tiles of 8, 16 and 32 rows: what [`AttentionTiling::own`](super::plan::AttentionTiling::own) can be.
const TILES: usize = 3;

/// The layout of a packed batch, on the host and on the device. Make it once a layout.
pub struct PackedSequences {
    client: Client,
    starts: Vec<u32>,
    lists: [OnceLock<AttentionWorkList>; TILES],
}

/// `[first row, begin of its sequence, end of its sequence, 0]` for each workgroup.
pub(super) struct AttentionWorkList {
    /// `[groups, 4]` u32.
    pub entries: Handle,
    /// Workgroups along x and z. Entries behind the last tile are zero and own no rows.
    pub groups: (u32, u32),
}

impl AttentionWorkList {
    /// Entries, with those that fill the last row of workgroups.
    pub fn len(&self) -> usize {
        self.groups.0 as usize * self.groups.1 as usize
    }

    /// Workgroups for all heads.
    pub fn count(&self, heads: usize) -> CubeCount {
        CubeCount::Static(self.groups.0, heads as u32, self.groups.1)
    }

    /// Uploads `entries`, filled up to whole rows of workgroups.
    pub fn upload(
        client: &Client,
        program: &'static str,
        mut entries: Vec<[u32; 4]>,
    ) -> Result<Self, ShaderError> {
        let groups = groups(program, entries.len(), 1)?;
        entries.resize(groups.0 as usize * groups.1 as usize, [0; 4]);
        Ok(Self { entries: client.create_from_slice(bytemuck::cast_slice(&entries)), groups })
    }
}

impl PackedSequences {
    /// Sequences that follow each other: `starts` is `[sequences + 1]`, the first token of each and the end of the last.
    ///
    /// # Errors
    /// `starts` has to begin with 0 and must not descend. Sequences may be empty.
    pub fn new(client: &Client, starts: &[u32]) -> Result<Self, ShaderError> {
        if starts.first() != Some(&0) || starts.windows(2).any(|pair| pair[1] < pair[0]) {
            return Err(ShaderError::Unsupported {
                program: "attention",
                what: "starts of sequences that do not ascend from 0".into(),
            });
        }
        Ok(Self { client: client.clone(), starts: starts.to_vec(), lists: Default::default() })
    }

    /// Sequences of these lengths, in tokens.
    ///
    /// # Errors
    /// More than `u32::MAX` tokens.
    pub fn from_lengths(client: &Client, lengths: &[usize]) -> Result<Self, ShaderError> {
        let mut starts = vec![0u32];
        let mut end = 0usize;
        for length in lengths {
            end = end.saturating_add(*length);
            starts.push(u32::try_from(end).map_err(|_| ShaderError::TooLarge {
                program: "attention",
                count: end,
                needed: format!("{end} tokens"),
                allowed: format!("{}", u32::MAX),
            })?);
        }
        Self::new(client, &starts)
    }

    /// First token of each sequence and the end of the last, `[sequences + 1]`.
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// Tokens of all sequences.
    pub fn tokens(&self) -> usize {
        self.starts.last().map_or(0, |end| *end as usize)
    }

    /// Tokens of the longest sequence.
    pub fn longest(&self) -> usize {
        self.starts.windows(2).map(|pair| (pair[1] - pair[0]) as usize).max().unwrap_or(0)
    }

    /// Begin and end of the sequence that `token` belongs to.
    pub fn around(&self, token: u32) -> Option<(u32, u32)> {
        let next = self.starts.partition_point(|start| *start <= token);
        let end = *self.starts.get(next)?;
        Some((self.starts[next - 1], end))
    }

    /// The work list for tiles of `rows` rows, uploaded when it is first asked for.
    pub(super) fn list(&self, rows: usize) -> Result<&AttentionWorkList, ShaderError> {
        let slot = &self.lists[(rows / 8).ilog2() as usize];
        if let Some(list) = slot.get() {
            return Ok(list);
        }
        let list = AttentionWorkList::upload(&self.client, "attention", tiles(&self.starts, rows))?;
        Ok(slot.get_or_init(|| list))
    }
}

/// What backward passes keep is printed and crosses threads; the client has nothing to say.
impl std::fmt::Debug for PackedSequences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackedSequences").field("starts", &self.starts).finish_non_exhaustive()
    }
}

/// Tiles of `rows` rows of all sequences, those of long sequences first.
///
/// A workgroup's time grows with the length of its sequence. When the longest begin first, the device does not wait at
/// the end for a few that began last. Tiles of one sequence stay together: they read the same keys.
fn tiles(starts: &[u32], rows: usize) -> Vec<[u32; 4]> {
    let mut sequences: Vec<[u32; 2]> = starts.windows(2).map(|pair| [pair[0], pair[1]]).collect();
    sequences.sort_by_key(|[begin, end]| std::cmp::Reverse(end - begin));
    sequences
        .into_iter()
        .flat_map(|[begin, end]| (begin..end).step_by(rows).map(move |first| [first, begin, end, 0]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A backward pass keeps a layout for another thread to use.
    const _: fn() = || {
        fn shared<T: Send + Sync + std::fmt::Debug>() {}
        shared::<PackedSequences>();
    };

    #[test]
    fn tiles_cover_every_row_once_and_begin_with_the_longest() {
        let starts = [0, 2, 2, 47, 48, 112];
        for rows in [8usize, 16, 32] {
            let list = tiles(&starts, rows);
            let mut seen = vec![0; 112];
            for [first, begin, end, _] in &list {
                assert!(begin <= first && first < end && ((first - begin) as usize).is_multiple_of(rows));
                assert!(starts.windows(2).any(|pair| pair == [*begin, *end]));
                for row in *first..(*first + rows as u32).min(*end) {
                    seen[row as usize] += 1;
                }
            }
            assert_eq!(seen, vec![1; 112]);
            assert!(list.windows(2).all(|pair| pair[0][2] - pair[0][1] >= pair[1][2] - pair[1][1]));
        }
        assert!(tiles(&[0], 8).is_empty());
        assert!(tiles(&[0, 0], 8).is_empty());
    }
}
