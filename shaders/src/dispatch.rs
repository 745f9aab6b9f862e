//! How many workgroups to start for a number of elements.

/// Workgroups `(x, y)` that cover `count` elements with `per_group` invocations each and at most `max` groups a side.
///
/// WebGPU guarantees only 65535 groups along one dimension, so long inputs wrap into rows of equal
/// length. `None` when even `max * max` groups are too few.
pub fn rows(count: usize, per_group: usize, max: u32) -> Option<(u32, u32)> {
    let groups = count.div_ceil(per_group.max(1));
    let y = groups.div_ceil(max.max(1) as usize).max(1);
    let x = groups.div_ceil(y).max(1);
    (y <= max as usize).then_some((x as u32, y as u32))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_cover_everything_within_the_limit() {
        for count in [0, 1, 63, 64, 65, 64 * 65535, 64 * 65535 + 1, 1_000_003, 300_000_000] {
            let (x, y) = rows(count, 64, 65535).unwrap();
            assert!(x <= 65535 && y <= 65535 && x as usize * y as usize * 64 >= count, "{count}: {x} x {y}");
            // Rows of equal length waste less than one row.
            assert!((x as usize * y as usize * 64).saturating_sub(count) <= 64 * (y as usize).max(1) + 64);
        }
        assert_eq!(rows(1000, 1, 10), None);
        assert_eq!(rows(100, 1, 10), Some((10, 10)));
    }
}
