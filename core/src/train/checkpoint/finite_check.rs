//! Whether all numbers of a state are numbers, looked at before it takes the place of a good one.
//!
//! The loss of a step is that of the weights before its update: a checkpoint may hold what no loss has seen yet.
//! Whoever writes one has brought all of its numbers to the host, so looking at them costs no further read, and no
//! compiler of GPU programs has a say in what counts as a number.

use crate::weights::StateDict;

/// The first tensor that holds a number that is not finite, and how many tensors do: `teacher norm.weight and 53 more`.
pub(in crate::train) fn not_finite<'a>(
    parts: impl IntoIterator<Item = (&'a str, &'a StateDict)>,
) -> Option<String> {
    let broken = |values: &[f32]| values.iter().any(|value| !value.is_finite());
    let mut names = parts.into_iter().flat_map(|(part, dict)| {
        let of_part = dict.iter().filter(|(_, tensor)| broken(&tensor.data));
        of_part.map(move |(name, _)| format!("{part} {name}"))
    });
    let first = names.next()?;
    Some(match names.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::HostTensor;

    fn dict(values: &[f32]) -> StateDict {
        StateDict::from_iter([("a".to_owned(), HostTensor::new([values.len()], values.to_vec()))])
    }

    #[test]
    fn whatever_is_not_finite_is_found_and_huge_numbers_are_not() {
        // Their sum is infinite, they are not.
        let huge = dict(&[f32::MAX, f32::MAX, f32::MIN, 0.0]);
        assert_eq!(not_finite([("student", &huge)]), None);
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let found = not_finite([("student", &huge), ("teacher", &dict(&[0.0, broken]))]);
            assert_eq!(found.as_deref(), Some("teacher a"));
        }
        let nan = dict(&[f32::NAN]);
        assert_eq!(
            not_finite([("student", &nan), ("teacher", &nan), ("moments", &nan)]).as_deref(),
            Some("student a and 2 more")
        );
    }
}
