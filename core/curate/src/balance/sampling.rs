//! How many pictures each cluster gives.

/// Of clusters with `sizes` pictures how many each gives, so that they give `target` together: no more than a common cut, which
/// is as high as it can be; those that are larger give one more, the first of `order` first, until the target is met.
///
/// Source: Vo et al. 2024, "Automatic Data Curation for Self-Supervised Learning", section 3.3, where the cut is found by bisection.
pub fn shares(sizes: &[usize], target: usize, order: &[usize]) -> Vec<usize> {
    let given = |cut: usize| sizes.iter().map(|size| *size.min(&cut)).sum::<usize>();
    let (mut low, mut high) = (0, sizes.iter().copied().max().unwrap_or(0));
    if given(high) <= target {
        return sizes.to_vec();
    }
    // `low` gives no more than the target, `high` more.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if given(middle) <= target { low = middle } else { high = middle }
    }
    let mut out: Vec<usize> = sizes.iter().map(|size| *size.min(&low)).collect();
    let rest = target - given(low);
    order.iter().filter(|cluster| sizes[**cluster] > low).take(rest).for_each(|cluster| out[*cluster] += 1);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_meets_the_target() {
        let of = |sizes: &[usize], target| {
            let order: Vec<usize> = (0..sizes.len()).rev().collect();
            shares(sizes, target, &order)
        };
        assert_eq!(of(&[10, 3, 1], 6), [2, 3, 1]);
        assert_eq!(of(&[10, 3, 1], 14), [10, 3, 1]);
        assert_eq!(of(&[10, 3, 1], 99), [10, 3, 1]);
        assert_eq!(of(&[5, 5, 5], 7), [2, 2, 3]);
        assert_eq!(of(&[5, 5], 1), [0, 1]);
        assert_eq!(of(&[4, 0], 0), [0, 0]);
        assert!(of(&[], 3).is_empty());
        for target in 0..40 {
            let sizes = [1, 17, 2, 9, 9, 0];
            let given = of(&sizes, target);
            assert_eq!(given.iter().sum::<usize>(), target.min(38));
            // Nobody gives two more than another that has more to give.
            let most = given.iter().max().copied().unwrap_or(0);
            assert!(
                given.iter().zip(sizes).all(|(given, size)| *given == size || given + 1 >= most),
                "{given:?}"
            );
        }
    }
}
