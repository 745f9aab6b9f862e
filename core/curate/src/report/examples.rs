//! Pictures that show what a bound means: those on both sides of it, and what belongs together.

use std::collections::{BTreeMap, HashMap};

use super::counts::{StepCounts, coarsest};
use crate::CurationStep;
use crate::table::CuratedPicture;

/// A picture of an example: its path, and what is said below it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExamplePicture {
    /// The key of its row.
    pub key: String,
    /// A few words.
    pub caption: String,
    /// Whether it stays.
    pub stays: bool,
}

/// Pictures under a heading.
#[derive(Clone, Debug, PartialEq)]
pub struct ExampleGroup {
    /// What they show.
    pub title: String,
    /// Pictures beside each other; those of one list belong together.
    pub pictures: Vec<Vec<ExamplePicture>>,
}

/// Pictures that come nearest to a bound.
struct NearestToBound {
    most: usize,
    kept: Vec<(f32, ExamplePicture)>,
}

impl NearestToBound {
    fn new(most: usize) -> Self {
        Self { most, kept: Vec::new() }
    }

    fn offer(&mut self, distance: f32, picture: impl FnOnce() -> ExamplePicture) {
        if self.most == 0
            || (self.kept.len() == self.most && self.kept.last().is_some_and(|last| last.0 <= distance))
        {
            return;
        }
        let at = self.kept.partition_point(|(known, _)| *known <= distance);
        self.kept.insert(at, (distance, picture()));
        self.kept.truncate(self.most);
    }
}

/// A row that is shown with the row that it is most similar to.
struct ExamplePair {
    /// How far from the bound.
    distance: f32,
    row: ExamplePicture,
    at: usize,
    nearest: usize,
}

/// Chooses examples from the rows of a step as they pass by.
pub struct ExampleChoice {
    step: CurationStep,
    most: usize,
    settings: Vec<(String, f32)>,
    /// By their title.
    bounds: BTreeMap<&'static str, NearestToBound>,
    /// Pairs by edges, hashes and test pictures, with the other's key.
    pairs: BTreeMap<&'static str, Vec<(f32, ExamplePicture, String)>>,
    /// Pairs by their cosine: copies, and those that are none.
    around: [Vec<ExamplePair>; 2],
}

impl ExampleChoice {
    /// Of a step with these bounds, so many of each kind.
    pub fn new(step: CurationStep, settings: Vec<(String, f32)>, most: usize) -> Self {
        Self {
            step,
            most,
            settings,
            bounds: BTreeMap::new(),
            pairs: BTreeMap::new(),
            around: [Vec::new(), Vec::new()],
        }
    }

    fn setting(&self, name: &str) -> Option<f32> {
        self.settings.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Looks at a row.
    pub fn look(&mut self, at: usize, row: &CuratedPicture, stays: bool) {
        match self.step {
            CurationStep::Quality => self.look_at_quality(row, stays),
            CurationStep::Copies => self.look_at_copies(at, row, stays),
            CurationStep::Retrieve => {
                let Some(similarity) = row.similarity else { return };
                let caption = || format!("{similarity:.3}");
                if stays {
                    self.offer("Found, and least similar to a query", similarity, row, caption(), true);
                    self.offer("Found, and most similar", -similarity, row, caption(), true);
                }
            }
            // Those of clusters are chosen when their sizes are known.
            CurationStep::Balance => {}
        }
    }

    fn offer(
        &mut self,
        title: &'static str,
        distance: f32,
        row: &CuratedPicture,
        caption: String,
        stays: bool,
    ) {
        let most = self.most;
        let list = self.bounds.entry(title).or_insert_with(|| NearestToBound::new(most));
        list.offer(distance, || ExamplePicture { key: row.key.clone(), caption, stays });
    }

    fn look_at_quality(&mut self, row: &CuratedPicture, stays: bool) {
        let (width, height) = (row.width.unwrap_or(0) as f32, row.height.unwrap_or(0) as f32);
        let (short, long) = (width.min(height), width.max(height));
        let measures = [
            (
                "min_side",
                "Size: kept, and just large enough",
                "Size: left out, and nearly large enough",
                Some(short),
            ),
            (
                "max_aspect",
                "Shape: kept, and the longest",
                "Shape: left out, and the least long",
                Some(long / short.max(1.0)),
            ),
            (
                "min_blur",
                "Sharpness: kept, and the least sharp",
                "Sharpness: left out, and the sharpest",
                row.blur,
            ),
            (
                "max_darkness",
                "Darkness: kept, and the darkest",
                "Darkness: left out, and the lightest",
                row.darkness,
            ),
        ];
        for (name, kept, left, value) in measures {
            let (Some(bound), Some(value)) = (self.setting(name), value) else { continue };
            let falls_short = if name.starts_with("min") { value < bound } else { value > bound };
            let caption = match name {
                "min_side" => format!("{value:.0} pixels"),
                "max_darkness" => format!("{value:.2}"),
                _ => format!("{value:.1}"),
            };
            match (stays, falls_short) {
                (true, _) => self.offer(kept, (value - bound).abs(), row, caption, true),
                (false, true) => self.offer(left, (value - bound).abs(), row, caption, false),
                // Left out for something else.
                (false, false) => {}
            }
        }
    }

    fn look_at_copies(&mut self, at: usize, row: &CuratedPicture, stays: bool) {
        let why = row.why.as_deref().unwrap_or_default();
        let number = || why.rsplit(' ').find_map(|word| word.parse::<f32>().ok()).unwrap_or(0.0);
        // The title, how doubtful it is, and what is said.
        let pair = if why.contains("edges agree") {
            let agreement = number();
            Some((
                "Copies by their edges, the most doubtful first",
                agreement,
                format!("edges {agreement:.2}"),
            ))
        } else if why.contains("hash differs") {
            let bits = number();
            Some(("Copies by their hashes, the most doubtful first", -bits, format!("{bits:.0} bits")))
        } else if why.contains("test set") {
            let similarity = row.similarity.unwrap_or(0.0);
            Some((
                "Too near to the test set, the most doubtful first",
                similarity,
                format!("{similarity:.3}"),
            ))
        } else {
            None
        };
        if let (Some((title, order, caption)), Some(other), false) = (pair, &row.copy_of, stays) {
            let list = self.pairs.entry(title).or_default();
            let full = list.len() == self.most;
            if self.most > 0 && !(full && list.last().is_some_and(|last| last.0 <= order)) {
                let picture = ExamplePicture { key: row.key.clone(), caption, stays };
                let place = list.partition_point(|(known, _, _)| *known <= order);
                list.insert(place, (order, picture, other.clone()));
                list.truncate(self.most);
            }
        }
        let near = row.nearest.and_then(|nearest| usize::try_from(nearest).ok());
        let (Some(nearest), Some(similarity), Some(bound)) =
            (near, row.similarity, self.setting("threshold"))
        else {
            return;
        };
        // A picture that has the same bytes says nothing of the bound.
        if similarity >= 1.0 {
            return;
        }
        let distance = (similarity - bound).abs();
        let list = &mut self.around[usize::from(similarity < bound)];
        // Some fall away when both are known to be of one component.
        let room = self.most * 8;
        if list.len() == room && list.last().is_none_or(|last| last.distance <= distance) {
            return;
        }
        let is_same = |pair: &ExamplePair| pair.at == nearest && pair.nearest == at;
        if list.iter().any(is_same) {
            return;
        }
        let row = ExamplePicture { key: row.key.clone(), caption: format!("{similarity:.3}"), stays };
        let place = list.partition_point(|pair| pair.distance <= distance);
        list.insert(place, ExamplePair { distance, row, at, nearest });
        list.truncate(room);
    }

    /// The examples, and which other rows are asked for by them.
    pub fn end(self, counts: &StepCounts) -> ChosenExamples {
        let mut chosen = ChosenExamples::default();
        // Where nothing was left out the nearest to a bound are far from it.
        let measure = |title: &str| title.split(": ").next().map(str::to_owned);
        let decided: Vec<_> = self
            .bounds
            .keys()
            .filter(|title| title.contains(": left out"))
            .map(|title| measure(title))
            .collect();
        let is_quality = self.step == CurationStep::Quality;
        for (title, list) in
            self.bounds.into_iter().filter(|(title, _)| !is_quality || decided.contains(&measure(title)))
        {
            let pictures = list.kept.into_iter().map(|(_, picture)| vec![picture]).collect();
            chosen.groups.push(ExampleGroup { title: title.to_owned(), pictures });
        }
        let titles = [
            "Copies by their features, nearest to the bound",
            "No copies by their features, nearest to the bound",
        ];
        for ((mut pairs, title), apart) in self.around.into_iter().zip(titles).zip([false, true]) {
            // What is one component for another reason says nothing of this bound.
            pairs.retain(|pair| !apart || counts.components[pair.at] != counts.components[pair.nearest]);
            pairs.truncate(self.most);
            if !pairs.is_empty() {
                let pairs = pairs.into_iter().map(|pair| (pair.row, pair.nearest)).collect();
                chosen.by_row.push((title.to_owned(), pairs));
            }
        }
        for (title, list) in self.pairs {
            let with = |(_, picture, other): (f32, ExamplePicture, String)| {
                let is_test = title.contains("test set");
                let caption = if is_test { "of the test set" } else { "stays" }.to_owned();
                vec![picture, ExamplePicture { key: other, caption, stays: !is_test }]
            };
            chosen.groups.push(ExampleGroup {
                title: title.to_owned(),
                pictures: list.into_iter().map(with).collect(),
            });
        }
        if self.most == 0 {
            return chosen;
        }
        if self.step == CurationStep::Copies {
            // Pairs are among the examples of bounds.
            let largest = counts.largest_components().into_iter().filter(|(_, count)| *count > 2).take(4);
            chosen.components = largest.map(|(row, count)| (row, count, Vec::new())).collect();
        }
        let mut sizes: Vec<(&String, usize)> =
            counts.coarsest.iter().map(|(name, count)| (name, count.before)).collect();
        sizes.sort_by_key(|(name, size)| (std::cmp::Reverse(*size), (*name).clone()));
        // From the largest to the smallest, evenly.
        let clusters = sizes.len().min(6);
        for i in 0..clusters {
            let (name, _) = sizes[i * (sizes.len() - 1) / (clusters - 1).max(1)];
            chosen.clusters.push((name.clone(), Vec::new(), Vec::new()));
        }
        chosen.clusters.dedup_by(|a, b| a.0 == b.0);
        chosen.most = self.most;
        chosen
    }
}

/// Examples of which some pictures are still to be found in the table.
#[derive(Default)]
pub struct ChosenExamples {
    /// Those that are whole.
    groups: Vec<ExampleGroup>,
    /// Pairs with the row of the second picture.
    by_row: Vec<(String, Vec<(ExamplePicture, usize)>)>,
    /// Components, their sizes, and some of their pictures.
    components: Vec<(u32, usize, Vec<ExamplePicture>)>,
    /// Clusters with pictures that stay and that do not.
    clusters: Vec<(String, Vec<ExamplePicture>, Vec<ExamplePicture>)>,
    found: HashMap<usize, (String, bool)>,
    most: usize,
}

impl ChosenExamples {
    /// Whether the table must be read once more.
    pub fn is_open(&self) -> bool {
        !(self.by_row.is_empty() && self.components.is_empty() && self.clusters.is_empty())
    }

    /// The rows that are asked for by their number.
    pub fn wanted(&self) -> Vec<usize> {
        self.by_row.iter().flat_map(|(_, pairs)| pairs.iter().map(|(_, row)| *row)).collect()
    }

    /// Looks at a row for the second time.
    pub fn look(&mut self, at: usize, row: &CuratedPicture, stays: bool, is_wanted: bool) {
        if is_wanted {
            self.found.insert(at, (row.key.clone(), stays));
        }
        let picture = |caption: String| ExamplePicture { key: row.key.clone(), caption, stays };
        let component = row.component.and_then(|component| u32::try_from(component).ok());
        let known = self.components.iter_mut().find(|(known, _, _)| Some(*known) == component);
        if let Some((_, _, pictures)) = known.filter(|(_, _, pictures)| pictures.len() < self.most || stays) {
            // The one that stays is among those that are shown.
            pictures.truncate(self.most - 1);
            let caption = if stays { "stays".to_owned() } else { String::new() };
            if stays { pictures.insert(0, picture(caption)) } else { pictures.push(picture(caption)) }
        }
        let Some(cluster) = row.cluster.as_deref().map(coarsest) else { return };
        if let Some((_, drawn, left)) = self.clusters.iter_mut().find(|(known, _, _)| known == cluster) {
            let list = if stays { drawn } else { left };
            if list.len() < self.most.div_ceil(2) {
                list.push(picture(if stays { "drawn".to_owned() } else { String::new() }));
            }
        }
    }

    /// All of them.
    pub fn end(self, counts: &StepCounts) -> Vec<ExampleGroup> {
        let mut groups = Vec::new();
        for (title, pairs) in self.by_row {
            let with = |(picture, row): (ExamplePicture, usize)| {
                let other = self.found.get(&row);
                let other = other.map(|(key, stays)| {
                    let caption = if *stays { "stays" } else { "left out" }.to_owned();
                    ExamplePicture { key: key.clone(), caption, stays: *stays }
                });
                [Some(picture), other].into_iter().flatten().collect()
            };
            groups.push(ExampleGroup { title, pictures: pairs.into_iter().map(with).collect() });
        }
        groups.extend(self.groups);
        for (_, count, pictures) in self.components {
            groups.push(ExampleGroup {
                title: format!("A component of {count} pictures"),
                pictures: vec![pictures],
            });
        }
        for (name, drawn, left) in self.clusters {
            let count = counts.coarsest.get(&name).copied().unwrap_or_default();
            let title = format!("Cluster {name}: {} of {} drawn", count.after, count.before);
            groups.push(ExampleGroup { title, pictures: vec![drawn, left] });
        }
        groups.retain(|group| group.pictures.iter().any(|pictures| !pictures.is_empty()));
        groups
    }
}
