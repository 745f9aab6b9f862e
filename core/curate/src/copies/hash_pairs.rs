//! Pairs of hashes that differ in few bits.

/// Most hashes of a pair of bits that differ for which bands are wide enough to help.
pub const MOST_DISTANCE: u32 = 15;

/// Calls `pair` for positions of hashes that differ in `distance` bits at most, with their distance: for every two that differ,
/// and for equal ones each with the one before it, which is enough to connect them.
///
/// Of `distance + 1` bands of bits at least one is equal in such a pair, so that only hashes with an equal band are compared.
/// Source: Norouzi et al. 2012, "Fast Search in Hamming Space with Multi-Index Hashing".
pub fn hash_pairs(hashes: &[(u64, u32)], distance: u32, mut pair: impl FnMut(u32, u32, u32)) {
    let mut sorted = hashes.to_vec();
    sorted.sort_unstable();
    let mut firsts: Vec<(u64, u32)> = Vec::new();
    for (i, (hash, position)) in sorted.iter().enumerate() {
        match i.checked_sub(1).map(|before| sorted[before]) {
            Some((before, other)) if before == *hash => pair(other, *position, 0),
            _ => firsts.push((*hash, *position)),
        }
    }
    let bands = distance.min(MOST_DISTANCE) + 1;
    for band in (0..bands).filter(|_| distance > 0) {
        let (from, to) = (band * 64 / bands, (band + 1) * 64 / bands);
        let part = |hash: u64, band: (u32, u32)| (hash >> band.0) & (u64::MAX >> (64 - (band.1 - band.0)));
        firsts.sort_unstable_by_key(|(hash, position)| (part(*hash, (from, to)), *position));
        for bucket in firsts.chunk_by(|a, b| part(a.0, (from, to)) == part(b.0, (from, to))) {
            for (i, (a, first)) in bucket.iter().enumerate() {
                for (b, second) in &bucket[i + 1..] {
                    let apart = (a ^ b).count_ones();
                    // Those that an earlier band has in common were found there.
                    let before = || {
                        (0..band).any(|band| {
                            let band = (band * 64 / bands, (band + 1) * 64 / bands);
                            part(*a, band) == part(*b, band)
                        })
                    };
                    if apart <= distance && !before() {
                        pair(*first, *second, apart);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use dinoscope_base::rng::{self, RngExt};

    #[test]
    fn pairs_are_those_of_a_comparison_of_all() {
        let mut stream = rng::stream(2, "hashes", 0, 0);
        let mut hashes: Vec<(u64, u32)> = Vec::new();
        for i in 0..400u32 {
            // Some are changed copies of those before them.
            let hash = match i.checked_sub(1 + i % 5) {
                Some(from) if i % 3 > 0 => {
                    let flips = stream.random_range(0..6);
                    (0..flips).fold(hashes[from as usize].0, |hash, _| hash ^ 1 << stream.random_range(0..64))
                }
                _ => stream.random(),
            };
            hashes.push((hash, i));
        }
        for distance in [0, 1, 3, 4, 10] {
            let mut found = BTreeSet::new();
            hash_pairs(&hashes, distance, |a, b, apart| {
                assert_eq!((hashes[a as usize].0 ^ hashes[b as usize].0).count_ones(), apart);
                assert!(found.insert((a.min(b), a.max(b))), "{a} {b} twice");
            });
            let mut firsts = BTreeSet::new();
            let first: Vec<bool> = hashes.iter().map(|(hash, _)| firsts.insert(*hash)).collect();
            let mut wanted = 0;
            for (a, (one, _)) in hashes.iter().enumerate() {
                for (b, (other, _)) in hashes.iter().enumerate().skip(a + 1) {
                    let apart = (one ^ other).count_ones();
                    if apart > 0 && apart <= distance && first[a] && first[b] {
                        assert!(found.contains(&(a as u32, b as u32)), "{distance}: {a} {b}");
                        wanted += 1;
                    }
                }
            }
            let equal = first.iter().filter(|first| !**first).count();
            assert_eq!(found.len(), wanted + equal, "{distance}");
        }
        hash_pairs(&[], 3, |_, _, _| unreachable!());
    }
}
