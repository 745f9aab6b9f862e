//! Counts of a call are 32-bit integers: what is longer goes in several calls.

use std::ops::Range;

/// The parts of `length` values, none longer than `most` and all but the last of that length; none of nothing.
pub fn pieces(length: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let most = most.max(1);
    (0..length).step_by(most).map(move |start| start..(start + most).min(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_everything_once() {
        let of = |length, most| pieces(length, most).collect::<Vec<_>>();
        assert_eq!(of(5, 2), [0..2, 2..4, 4..5]);
        assert_eq!(of(4, 2), [0..2, 2..4]);
        assert_eq!(of(1, 9), std::slice::from_ref(&(0..1)));
        assert_eq!(of(0, 9), []);
        // More than a count can say, in parts that it can.
        let long: Vec<_> = pieces(5 << 31, 1 << 28).collect();
        assert!(long.len() == 40 && long.iter().all(|piece| i32::try_from(piece.len()).is_ok()));
    }
}
