//! Copies at every threshold at once.

use crate::copies::components::DisjointSets;

/// Two pictures that are near to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CopyLink {
    /// The cosine of their features, or how far their edges agree.
    pub similarity: f32,
    /// One of them, counted in contents.
    pub a: u32,
    /// The other one.
    pub b: u32,
}

/// From where on two pictures are copies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CopyBounds {
    /// The cosine of their features.
    pub threshold: f32,
    /// How far their edges agree; none where edges do not count.
    pub agreement: Option<f32>,
}

/// The links that can join components, the most similar first: of the cosines a spanning forest of greatest similarity (Kruskal
/// 1956), so that of many links among `n` pictures `n - 1` remain at most, and beside it the few that edges and hashes tell.
///
/// Components at a threshold are those of the links that are at least as similar: a slider needs no look at the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CopyLinkage {
    links: Vec<CopyLink>,
    /// Pictures whose edges agree, those that agree most first.
    edges: Vec<CopyLink>,
    /// Pictures whose hashes are near.
    hashes: Vec<(u32, u32)>,
    count: usize,
}

/// The most similar first; the order of equal ones is that of the pictures, whoever found them.
fn sorted(mut links: Vec<CopyLink>) -> Vec<CopyLink> {
    links.sort_unstable_by(|x, y| y.similarity.total_cmp(&x.similarity).then((x.a, x.b).cmp(&(y.a, y.b))));
    links
}

/// The links next to a bound, `count` on each side: those that just join, the least similar first, and those that just do not, the
/// most similar first.
fn next_to(links: &[CopyLink], bound: f32, count: usize) -> [Vec<CopyLink>; 2] {
    let (joined, apart) = links.split_at(links.partition_point(|link| link.similarity >= bound));
    [joined.iter().rev().take(count).copied().collect(), apart.iter().take(count).copied().collect()]
}

impl CopyLinkage {
    /// Of `count` pictures, links by their cosines and by their edges, and pairs whose hashes are near.
    pub fn new(count: usize, cosines: Vec<CopyLink>, edges: Vec<CopyLink>, hashes: Vec<(u32, u32)>) -> Self {
        let mut sets = DisjointSets::new(count);
        let mut links = Vec::new();
        for link in sorted(cosines) {
            if sets.root(link.a) != sets.root(link.b) {
                sets.join(link.a, link.b);
                links.push(link);
            }
        }
        Self { links, edges: sorted(edges), hashes, count }
    }

    /// Which pictures belong together.
    pub fn components(&self, bounds: CopyBounds) -> CopyComponents {
        let mut sets = DisjointSets::new(self.count);
        let mut join = |links: &[CopyLink], bound: f32| {
            let near = links.iter().take_while(|link| link.similarity >= bound);
            near.for_each(|link| sets.join(link.a, link.b));
        };
        join(&self.links, bounds.threshold);
        if let Some(agreement) = bounds.agreement {
            join(&self.edges, agreement);
        }
        self.hashes.iter().for_each(|(a, b)| sets.join(*a, *b));
        CopyComponents { roots: (0..self.count as u32).map(|i| sets.root(i)).collect() }
    }

    /// The pairs next to the threshold of cosines.
    pub fn at(&self, threshold: f32, count: usize) -> [Vec<CopyLink>; 2] {
        next_to(&self.links, threshold, count)
    }

    /// The pairs next to a bound of agreement.
    pub fn agreeing_at(&self, agreement: f32, count: usize) -> [Vec<CopyLink>; 2] {
        next_to(&self.edges, agreement, count)
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

    fn link(similarity: f32, a: u32, b: u32) -> CopyLink {
        CopyLink { similarity, a, b }
    }

    #[test]
    fn components_at_any_bounds_are_those_of_all_links() {
        let mut stream = rng::stream(3, "links", 0, 0);
        for (count, links) in [(1usize, 0), (2, 1), (40, 60), (120, 300)] {
            let mut some = |links: usize| -> Vec<CopyLink> {
                let mut any = || stream.random_range(0..count as u32);
                let pairs: Vec<(u32, u32)> = (0..links).map(|_| (any(), any())).collect();
                let similar = |(a, b)| link(stream.random_range(0..20) as f32 / 20.0, a, b);
                pairs.into_iter().map(similar).collect()
            };
            let (cosines, edges) = (some(links), some(links / 10));
            let hashes: Vec<(u32, u32)> = some(links / 20).iter().map(|link| (link.a, link.b)).collect();
            let linkage = CopyLinkage::new(count, cosines.clone(), edges.clone(), hashes.clone());
            assert!(linkage.links.len() < count.max(1));
            for threshold in [-1.0, 0.2, 0.5, 0.8, 0.95, 1.1] {
                for agreement in [None, Some(0.3), Some(0.9)] {
                    let mut sets = DisjointSets::new(count);
                    let near = |links: &[CopyLink], bound: f32| -> Vec<CopyLink> {
                        links.iter().copied().filter(|link| link.similarity >= bound).collect()
                    };
                    let edges = agreement.map_or_else(Vec::new, |agreement| near(&edges, agreement));
                    let near = near(&cosines, threshold).into_iter().chain(edges);
                    near.for_each(|link| sets.join(link.a, link.b));
                    hashes.iter().for_each(|(a, b)| sets.join(*a, *b));
                    let expected: Vec<u32> = (0..count as u32).map(|i| sets.root(i)).collect();
                    let found = linkage.components(CopyBounds { threshold, agreement });
                    assert_eq!(found.roots, expected, "{count} at {threshold}, {agreement:?}");
                    assert_eq!(found.sizes().iter().map(|(size, count)| size * count).sum::<usize>(), count);
                    let mut again = found.sets();
                    assert_eq!((0..count as u32).map(|i| again.root(i)).collect::<Vec<_>>(), expected);
                }
            }
        }
    }

    #[test]
    fn links_next_to_a_bound_are_the_nearest_to_it() {
        let all = vec![link(0.9, 0, 1), link(0.5, 1, 2), link(0.7, 2, 3), link(0.6, 0, 2), link(0.4, 4, 5)];
        let edges = vec![link(0.75, 0, 5), link(0.8, 1, 4), link(0.65, 2, 3)];
        let linkage = CopyLinkage::new(6, all, edges, vec![(3, 4)]);
        let [joined, apart] = linkage.at(0.6, 2);
        assert_eq!(joined, [link(0.6, 0, 2), link(0.7, 2, 3)]);
        assert_eq!(apart, [link(0.4, 4, 5)], "what is joined already is no link");
        let [joined, apart] = linkage.agreeing_at(0.7, 1);
        assert_eq!((joined, apart), (vec![link(0.75, 0, 5)], vec![link(0.65, 2, 3)]));
        let bounds = CopyBounds { threshold: 0.6, agreement: None };
        assert_eq!(linkage.components(bounds).sizes(), [(1, 1), (5, 1)], "the hashes join the fifth");
    }
}
