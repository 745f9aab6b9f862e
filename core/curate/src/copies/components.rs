//! Connected components by a forest of sets.

/// Which of several things belong together. Source: Tarjan 1975, "Efficiency of a Good But Not Linear Set Union Algorithm"; the
/// smallest of a set is its root, so that what comes out depends on no order.
#[derive(Clone, Debug)]
pub struct DisjointSets {
    above: Vec<u32>,
}

impl DisjointSets {
    /// Sets of one thing each.
    pub fn new(count: usize) -> Self {
        Self { above: (0..count as u32).collect() }
    }

    /// The smallest thing of a set.
    pub fn root(&mut self, thing: u32) -> u32 {
        let mut at = thing;
        while self.above[at as usize] != at {
            // Every second step of the way leads further up from now on.
            let up = self.above[self.above[at as usize] as usize];
            self.above[at as usize] = up;
            at = up;
        }
        at
    }

    /// Puts two sets together.
    pub fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.above[a.max(b) as usize] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dinoscope_base::rng::{self, RngExt};

    #[test]
    fn sets_are_those_of_a_walk_over_all_edges() {
        let mut stream = rng::stream(1, "sets", 0, 0);
        for (count, edges) in [(1, 0), (2, 1), (50, 20), (200, 150), (200, 600)] {
            let pairs: Vec<(u32, u32)> =
                (0..edges).map(|_| (stream.random_range(0..count), stream.random_range(0..count))).collect();
            let mut sets = DisjointSets::new(count as usize);
            pairs.iter().for_each(|(a, b)| sets.join(*a, *b));
            // Labels that are lowered until no edge lowers one.
            let mut labels: Vec<u32> = (0..count).collect();
            loop {
                let before = labels.clone();
                for (a, b) in &pairs {
                    let low = labels[*a as usize].min(labels[*b as usize]);
                    (labels[*a as usize], labels[*b as usize]) = (low, low);
                }
                if labels == before {
                    break;
                }
            }
            assert_eq!((0..count).map(|i| sets.root(i)).collect::<Vec<_>>(), labels);
        }
    }
}
