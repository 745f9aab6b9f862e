//! Which picture of a component stays, and why each does or does not.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::components::DisjointSets;
use super::{Contents, CopiesSummary};
use crate::table::{CuratedPicture, CurationTable};

/// What is known of a content's nearest ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NearestContent {
    /// Cosine to the nearest other content.
    pub similarity: Option<f32>,
    /// Which that is.
    pub nearest: Option<u32>,
    /// Whether that is near enough to be a copy.
    pub joins: bool,
    /// Bits in which the nearest hash differs, where that is near enough.
    pub bits: Option<u32>,
    /// How far its edges agree with those of another, where that is enough.
    pub agreement: Option<f32>,
}

impl NearestContent {
    /// Takes note of a cosine.
    pub fn feature(&mut self, other: u32, similarity: f32, joins: bool) {
        // Rows of length 1 in half precision may be a little more similar than that.
        let similarity = similarity.min(1.0);
        if self.similarity.is_none_or(|known| similarity > known) {
            (self.similarity, self.nearest) = (Some(similarity), Some(other));
        }
        self.joins |= joins;
    }

    /// Takes note of edges that agree.
    pub fn edges(&mut self, agreement: f32) {
        self.agreement = Some(self.agreement.map_or(agreement, |known| known.max(agreement)));
    }

    /// Takes note of a hash that is near.
    pub fn hash(&mut self, bits: u32) {
        self.bits = Some(self.bits.map_or(bits, |known| known.min(bits)));
    }
}

/// The picture of a test set that a content came near to.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentLeak {
    /// Its key.
    pub key: String,
    /// The cosine; none where it is the hashes or the edges.
    pub similarity: Option<f32>,
    /// How far the edges agree; none where it is the hashes that are near.
    pub agreement: Option<f32>,
}

impl ComponentLeak {
    /// Whether this is nearer than another.
    pub fn is_nearer(&self, other: &Self) -> bool {
        let nearness =
            |leak: &Self| (leak.similarity.unwrap_or(f32::MIN), leak.agreement.unwrap_or(f32::MIN));
        nearness(self) > nearness(other)
    }
}

/// Decides every row of a table, and counts.
pub fn decide(
    table: &mut CurationTable,
    contents: &Contents,
    sets: &mut DisjointSets,
    nearest: &[NearestContent],
    leaks: &[Option<ComponentLeak>],
) -> CopiesSummary {
    let mut summary =
        CopiesSummary { pictures: table.rows.len(), histogram: vec![0; 101], ..CopiesSummary::default() };
    let rows_of = ContentRows::of(contents);
    // Rows of each component in their order, the components by their first row.
    let mut places: HashMap<u32, usize> = HashMap::new();
    let mut components: Vec<Vec<usize>> = Vec::new();
    for (row, content) in contents.of_row.iter().enumerate() {
        let Some(content) = content else {
            summary.unreadable += 1;
            continue;
        };
        let place = *places.entry(sets.root(*content)).or_insert(components.len());
        if place == components.len() {
            components.push(Vec::new());
        }
        components[place].push(row);
    }
    for rows in &components {
        summary.components += usize::from(rows.len() > 1);
        summary.largest = summary.largest.max(rows.len());
        decide_component(table, rows, contents, nearest, leaks, &mut summary);
        for at in rows {
            let own = contents.of_row[*at].unwrap_or_default();
            table.rows[*at].nearest = rows_of.nearest(*at, own, nearest[own as usize].nearest);
        }
    }
    summary
}

/// The first two rows of each content.
struct ContentRows(Vec<[u32; 2]>);

impl ContentRows {
    fn of(contents: &Contents) -> Self {
        let mut all = vec![[u32::MAX; 2]; contents.len()];
        for (row, content) in contents.of_row.iter().enumerate() {
            let Some(content) = content else { continue };
            if let Some(slot) = all[*content as usize].iter_mut().find(|slot| **slot == u32::MAX) {
                *slot = row as u32;
            }
        }
        Self(all)
    }

    /// The row that a row is most similar to: another of the same bytes, or of its nearest content.
    fn nearest(&self, row: usize, own: u32, nearest: Option<u32>) -> Option<i64> {
        let same =
            self.0[own as usize].into_iter().find(|other| *other != u32::MAX && *other as usize != row);
        let other = || self.0.get(nearest? as usize).map(|rows| rows[0]);
        same.or_else(other).map(i64::from)
    }
}

fn pixels(row: &CuratedPicture) -> i64 {
    row.width.unwrap_or(0) * row.height.unwrap_or(0)
}

/// What orders the pictures of a component, the one that stays last: the largest, of those the sharpest, of those the first.
pub fn rank(about: &CuratedPicture, row: usize) -> (i64, u32, Reverse<usize>) {
    // Blur is no number below 0, whose bits order it.
    (pixels(about), about.blur.unwrap_or(0.0).max(0.0).to_bits(), Reverse(row))
}

fn decide_component(
    table: &mut CurationTable,
    rows: &[usize],
    contents: &Contents,
    nearest: &[NearestContent],
    leaks: &[Option<ComponentLeak>],
    summary: &mut CopiesSummary,
) {
    let content = |row: usize| contents.of_row[row].unwrap_or_default();
    let Some(best) = rows.iter().copied().max_by_key(|row| rank(&table.rows[*row], *row)) else { return };
    let leak = rows
        .iter()
        .filter_map(|row| leaks[content(*row) as usize].as_ref())
        .reduce(|a, b| if b.is_nearer(a) { b } else { a });
    let kept_key = table.rows[best].key.clone();
    let stays = match rows {
        [_] => "there is no copy of it".to_owned(),
        _ => {
            let most =
                rows.iter().filter(|row| pixels(&table.rows[**row]) == pixels(&table.rows[best])).count();
            let sharp = rows.iter().filter(|row| {
                let row = &table.rows[**row];
                (pixels(row), row.blur) == (pixels(&table.rows[best]), table.rows[best].blur)
            });
            let why = if most == 1 {
                "largest"
            } else if sharp.count() == 1 {
                "sharpest of the largest"
            } else {
                "first"
            };
            format!("the {why} of {} copies", rows.len())
        }
    };
    let mut seen: HashMap<u32, usize> = HashMap::new();
    rows.iter().for_each(|row| *seen.entry(content(*row)).or_default() += 1);
    for at in rows {
        let own = content(*at);
        let near = nearest[own as usize];
        let twice = seen.get(&own).is_some_and(|count| *count > 1);
        let row = &mut table.rows[*at];
        row.component = rows.first().map(|first| *first as i64);
        row.similarity = if twice { Some(1.0) } else { near.similarity };
        row.copy_of = None;
        if let Some(similarity) = row.similarity {
            summary.histogram[(similarity.clamp(0.0, 1.0) * 100.0) as usize] += 1;
        }
        let decided = match leak {
            Some(leak) => {
                summary.leaks += 1;
                row.copy_of = Some(leak.key.clone());
                row.similarity = leak.similarity.or(row.similarity);
                let of = if leaks[own as usize].is_some() { "it" } else { "a copy of it" };
                let how = match (leak.similarity, leak.agreement) {
                    (Some(cosine), _) => format!("with a cosine of {cosine:.3}"),
                    (None, Some(agreement)) => format!("by its edges, which agree by {agreement:.2}"),
                    (None, None) => "by its hash".to_owned(),
                };
                (false, format!("{of} came near the test set {how}"))
            }
            None if *at == best => {
                summary.kept += 1;
                (true, stays.clone())
            }
            None => {
                summary.copies += 1;
                row.copy_of = Some(kept_key.clone());
                let why = match near {
                    _ if own == contents.of_row[best].unwrap_or_default() => {
                        "it has the same bytes".to_owned()
                    }
                    NearestContent { joins: true, similarity: Some(s), .. } => {
                        format!("a copy: its nearest has a cosine of {s:.3}")
                    }
                    NearestContent { agreement: Some(agreement), .. } => {
                        format!("a copy: its edges agree with another's by {agreement:.2}")
                    }
                    NearestContent { bits: Some(bits), .. } => {
                        format!("a copy: its hash differs in {bits} bits")
                    }
                    _ => "a copy of its copies".to_owned(),
                };
                (false, why)
            }
        };
        (row.kept, row.why) = (Some(decided.0), Some(decided.1));
    }
}
