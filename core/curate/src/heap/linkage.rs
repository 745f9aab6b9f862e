//! Copies at every threshold at once.

use crate::copies::components::DisjointSets;

/// Two pictures that are near to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CopyLink {
    /// The cosine of their features; 1 where their hashes are near.
    pub similarity: f32,
    /// One of them, counted in contents.
    pub a: u32,
    /// The other one.
    pub b: u32,
}

/// The links that can join components, the most similar first: a spanning forest of greatest similarity (Kruskal 1956).
///
/// Components at a threshold are those of the links that are at least as similar, so that a slider needs no look at the other
/// links: of many edges among `n` pictures `n - 1` remain at most.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CopyLinkage {
    links: Vec<CopyLink>,
    count: usize,
}

impl CopyLinkage {
    /// Of `count` pictures and any links between them.
    pub fn new(count: usize, mut all: Vec<CopyLink>) -> Self {
        // The order of equal ones is that of the pictures, whoever found them.
        all.sort_unstable_by(|x, y| y.similarity.total_cmp(&x.similarity).then((x.a, x.b).cmp(&(y.a, y.b))));
        let mut sets = DisjointSets::new(count);
        let mut links = Vec::new();
        for link in all {
            if sets.root(link.a) != sets.root(link.b) {
                sets.join(link.a, link.b);
                links.push(link);
            }
        }
        Self { links, count }
    }

    /// How many of the links are at least as similar.
    fn joined(&self, threshold: f32) -> usize {
        self.links.partition_point(|link| link.similarity >= threshold)
    }

    /// Which pictures belong together at a threshold.
    pub fn components(&self, threshold: f32) -> CopyComponents {
        let mut sets = DisjointSets::new(self.count);
        self.links[..self.joined(threshold)].iter().for_each(|link| sets.join(link.a, link.b));
        CopyComponents { roots: (0..self.count as u32).map(|i| sets.root(i)).collect() }
    }

    /// The links next to a threshold, `count` on each side: those that just join, the least similar first, and those that just do
    /// not, the most similar first.
    pub fn at(&self, threshold: f32, count: usize) -> [Vec<CopyLink>; 2] {
        let (joined, apart) = self.links.split_at(self.joined(threshold));
        [joined.iter().rev().take(count).copied().collect(), apart.iter().take(count).copied().collect()]
    }
}

/// Pictures by the copies that they are of each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CopyComponents {
    /// Of each picture the smallest one that it belongs with.
    pub roots: Vec<u32>,
}

impl CopyComponents {
    /// How many components there are of each size: `(size, count)`, the smallest first.
    pub fn sizes(&self) -> Vec<(usize, usize)> {
        let mut members = vec![0usize; self.roots.len()];
        self.roots.iter().for_each(|root| members[*root as usize] += 1);
        let mut sizes = std::collections::BTreeMap::new();
        members.into_iter().filter(|size| *size > 0).for_each(|size| *sizes.entry(size).or_insert(0) += 1);
        sizes.into_iter().collect()
    }

    /// The same for union and search.
    pub(crate) fn sets(&self) -> DisjointSets {
        let mut sets = DisjointSets::new(self.roots.len());
        self.roots.iter().enumerate().for_each(|(i, root)| sets.join(i as u32, *root));
        sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dinoscope_base::rng::{self, RngExt};

    #[test]
    fn components_at_any_threshold_are_those_of_all_links() {
        let mut stream = rng::stream(3, "links", 0, 0);
        for (count, links) in [(1usize, 0), (2, 1), (40, 60), (120, 300)] {
            let all: Vec<CopyLink> = (0..links)
                .map(|_| {
                    let (a, b) = (stream.random_range(0..count as u32), stream.random_range(0..count as u32));
                    CopyLink { similarity: stream.random_range(0..20) as f32 / 20.0, a, b }
                })
                .collect();
            let linkage = CopyLinkage::new(count, all.clone());
            assert!(linkage.links.len() < count.max(1));
            for threshold in [-1.0, 0.2, 0.5, 0.8, 0.95, 1.1] {
                let mut sets = DisjointSets::new(count);
                let near = all.iter().filter(|link| link.similarity >= threshold);
                near.for_each(|link| sets.join(link.a, link.b));
                let expected: Vec<u32> = (0..count as u32).map(|i| sets.root(i)).collect();
                let found = linkage.components(threshold);
                assert_eq!(found.roots, expected, "{count} at {threshold}");
                assert_eq!(found.sizes().iter().map(|(size, count)| size * count).sum::<usize>(), count);
                let mut again = found.sets();
                assert_eq!((0..count as u32).map(|i| again.root(i)).collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn links_next_to_a_threshold_are_the_nearest_to_it() {
        let link = |similarity, a, b| CopyLink { similarity, a, b };
        let all = vec![link(0.9, 0, 1), link(0.5, 1, 2), link(0.7, 2, 3), link(0.6, 0, 2), link(0.4, 4, 5)];
        let linkage = CopyLinkage::new(6, all);
        let [joined, apart] = linkage.at(0.6, 2);
        assert_eq!(joined, [link(0.6, 0, 2), link(0.7, 2, 3)]);
        assert_eq!(apart, [link(0.4, 4, 5)], "what is joined already is no link");
        assert_eq!(linkage.components(0.6).sizes(), [(1, 2), (4, 1)]);
    }
}
