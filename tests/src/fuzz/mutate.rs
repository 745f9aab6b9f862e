//! Files changed at random: single bits and bytes, numbers that are at some edge, parts cut, doubled, moved and taken
//! from other files, words of the format.

use dinoscope_core::rng::{RngExt, Stream, stream};

/// Numbers at which readers go wrong.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Longest file that comes out, as a multiple of the longest valid one.
const GROWS: usize = 2;

/// Changes files; the same seed and number give the same changes.
pub struct FuzzMutator {
    rng: Stream,
}

impl FuzzMutator {
    /// The changes of one execution.
    pub fn new(seed: u64, target: &str, number: u64) -> Self {
        Self { rng: stream(seed, target, number, 0) }
    }

    /// A number below `end`, or 0 where there is none.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.rng.random_range(0..end) }
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A place in a file: most formats have what steers them at the start, some at the end.
    fn place(&mut self, length: usize) -> usize {
        match self.below(4) {
            0 | 1 => self.below(length.min(1024)),
            2 => length - 1 - self.below(length.min(512)),
            _ => self.below(length),
        }
    }

    /// `bytes` with a few changes. `corpus` is where parts are taken from, `words` are those of the format.
    pub fn change(&mut self, mut bytes: Vec<u8>, corpus: &[Vec<u8>], words: &[&[u8]]) -> Vec<u8> {
        let longest = corpus.iter().map(Vec::len).max().unwrap_or_default() * GROWS + 1024;
        // Often one, seldom many.
        let changes = 1 << self.below(5);
        for _ in 0..=self.below(changes) {
            self.change_once(&mut bytes, corpus, words);
        }
        bytes.truncate(longest);
        bytes
    }

    fn change_once(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&[u8]]) {
        if bytes.is_empty() {
            bytes.push(self.below(256) as u8);
            return;
        }
        let at = self.place(bytes.len());
        match self.below(11) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.below(256) as u8,
            2 => bytes[at] = bytes[at].wrapping_add([1, 255, 16, 240][self.below(4)]),
            3 | 4 => self.put_number(bytes, at),
            5 => bytes.truncate(at),
            6 => {
                let end = (at + 1 + self.short()).min(bytes.len());
                bytes.drain(at..end);
            }
            7 => {
                let end = (at + 1 + self.short()).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = self.place(bytes.len());
                bytes.splice(to..to, part);
            }
            8 => {
                let part: Vec<u8> = (0..=self.below(8)).map(|_| self.below(256) as u8).collect();
                bytes.splice(at..at, part);
            }
            9 if !words.is_empty() => {
                let word = words[self.below(words.len())];
                let over = if self.once_in(2) { word.len().min(bytes.len() - at) } else { 0 };
                bytes.splice(at..at + over, word.iter().copied());
            }
            _ => {
                let Some(other) = corpus.get(self.below(corpus.len())).filter(|other| !other.is_empty())
                else {
                    return;
                };
                let from = self.place(other.len());
                let end = (from + 1 + self.short()).min(other.len());
                let over = (at + end - from).min(bytes.len());
                bytes.splice(at..over, other[from..end].iter().copied());
            }
        }
    }

    fn short(&mut self) -> usize {
        let most = 1 << self.below(9);
        self.below(most)
    }

    /// Writes a number of one to eight bytes, in either order; or an ASCII one.
    fn put_number(&mut self, bytes: &mut Vec<u8>, at: usize) {
        let value = EDGES[self.below(EDGES.len())];
        if self.once_in(6) {
            let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            bytes.splice(at..at + digits, value.to_string().into_bytes());
            return;
        }
        let width = 1 << self.below(4);
        let little = value.to_le_bytes();
        let mut number = little[..width].to_vec();
        if self.once_in(2) {
            number.reverse();
        }
        let end = (at + width).min(bytes.len());
        bytes[at..end].copy_from_slice(&number[..end - at]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_follow_from_seed_target_and_number() {
        let corpus = vec![vec![7; 300], b"{\"a\": 12}".to_vec()];
        let change = |seed, target: &str, number| {
            FuzzMutator::new(seed, target, number).change(corpus[0].clone(), &corpus, &[b"word"])
        };
        let all: Vec<_> = (0..200).map(|number| change(1, "a", number)).collect();
        assert!((0..200).all(|number| change(1, "a", number) == all[number as usize]));
        assert!(all.iter().filter(|bytes| **bytes != corpus[0]).count() > 150);
        assert!(all.iter().any(|bytes| bytes.len() < 300) && all.iter().any(|bytes| bytes.len() > 300));
        assert!(all.iter().any(|bytes| bytes.windows(4).any(|part| part == b"word")));
        assert_ne!(change(2, "a", 0), change(3, "a", 0));
        assert_ne!(change(2, "a", 1), change(2, "b", 1));
    }
}
