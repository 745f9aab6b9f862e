//! What was found in this session: one finding for each evaluation of each weights, and which of them shows.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use dinoscope_core::eval::catalogue::EvaluationKind;
use dinoscope_core::eval::outcome::{EvalMetric, EvalMetricUnit, EvalReport, EvalTableRow};
use dinoscope_core::eval::suite::EvalSubject;
use egui::{ColorImage, TextureHandle, TextureOptions};

use crate::studio::evaluate::dark_theme;
use crate::studio::evaluate::projection_data::ProjectionChartData;

/// What one evaluation found.
pub struct EvaluationRecord {
    /// Which evaluation.
    pub kind: EvaluationKind,
    /// What the weights are called.
    pub weights: String,
    /// What the pictures are called.
    pub data: String,
    /// The finding itself.
    pub outcome: EvalReport,
    /// Its pictures for the screen, in the same order: each at full size, then at halves of the size before.
    pub shown: Vec<Vec<Arc<ColorImage>>>,
    /// The map, of the evaluation that makes one.
    pub chart: Option<ProjectionChartData>,
    /// How long it took.
    pub seconds: f64,
    /// The folder of the run beside which it was written.
    pub kept: Option<PathBuf>,
}

/// A finding's number, in the order in which they came.
pub type Id = u64;

/// All findings of this session, oldest first.
#[derive(Default)]
pub struct EvaluationHistory {
    all: Vec<(Id, Arc<EvaluationRecord>)>,
    next: Id,
    chosen: Option<Id>,
    /// The name of the figure whose bars show, by evaluation.
    pub figures: HashMap<EvaluationKind, String>,
    /// By finding, picture, how often it was halved, and whether it is for the dark theme.
    textures: HashMap<(Id, usize, usize, bool), TextureHandle>,
}

/// A bar of the chart.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationBar {
    /// Whose figure.
    pub name: String,
    /// The figure.
    pub figure: EvalMetric,
    /// The finding it belongs to; none for what the chosen one is compared with.
    pub finding: Option<Id>,
}

impl EvaluationHistory {
    /// Adds one, and shows it. The same question about the same weights is answered anew, in the place of the old answer.
    pub fn add(&mut self, finding: EvaluationRecord) {
        self.all.retain(|(_, before)| !(before.weights == finding.weights && alike(before, &finding)));
        let id = self.next;
        self.next += 1;
        self.all.push((id, Arc::new(finding)));
        self.chosen = Some(id);
        let kept: Vec<Id> = self.all.iter().map(|(id, _)| *id).collect();
        self.textures.retain(|(id, ..), _| kept.contains(id));
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &EvaluationRecord> {
        self.all.iter().map(|(_, finding)| finding.as_ref())
    }

    /// The one that shows.
    pub fn chosen(&self) -> Option<(Id, &Arc<EvaluationRecord>)> {
        let chosen = self.chosen?;
        self.all.iter().find(|(id, _)| *id == chosen).map(|(id, finding)| (*id, finding))
    }

    /// Shows another one.
    pub fn choose(&mut self, id: Id) {
        self.chosen = Some(id);
    }

    /// Forgets the one that shows; the next one that can be compared with it shows then, else the newest. What was
    /// forgotten is handed back.
    pub fn forget(&mut self) -> Option<(Id, Arc<EvaluationRecord>)> {
        let (gone, finding) = self.chosen().map(|(id, finding)| (id, finding.clone()))?;
        let next = self.beside().find(|(id, _)| *id != gone).map(|(id, _)| id);
        self.all.retain(|(id, _)| *id != gone);
        self.textures.retain(|(id, ..), _| *id != gone);
        self.chosen = next.or_else(|| self.all.last().map(|(id, _)| *id));
        Some((gone, finding))
    }

    /// Takes one back that was forgotten, unless its question was answered anew.
    pub fn take_back(&mut self, (id, finding): (Id, Arc<EvaluationRecord>)) {
        let anew = |there: &EvaluationRecord| there.weights == finding.weights && alike(there, &finding);
        if !self.all.iter().any(|(_, there)| anew(there)) {
            let at = self.all.partition_point(|(there, _)| *there < id);
            self.all.insert(at, (id, finding));
            self.chosen = Some(id);
        }
    }

    /// Questions that were asked, in the order in which they came first, each with its newest answer.
    pub fn questions(&self) -> Vec<(Id, String)> {
        let mut questions: Vec<(Id, &EvaluationRecord)> = Vec::new();
        for (id, finding) in &self.all {
            match questions.iter_mut().find(|(_, before)| alike(before, finding)) {
                Some(same) => *same = (*id, finding),
                None => questions.push((*id, finding)),
            }
        }
        // The same evaluation of different pictures of one name is told apart by what is said of them.
        let name = |finding: &EvaluationRecord| format!("{} · {}", finding.outcome.title, finding.data);
        let twice = |finding: &EvaluationRecord| {
            questions.iter().filter(|(_, f)| name(f) == name(finding)).count() > 1
        };
        let full = |finding: &EvaluationRecord| match twice(finding) {
            true => format!("{} · {}", finding.outcome.title, finding.outcome.data),
            false => name(finding),
        };
        questions.iter().map(|(id, finding)| (*id, full(finding))).collect()
    }

    /// Findings of the same question as the one that shows, oldest first, and that one.
    pub fn beside(&self) -> impl Iterator<Item = (Id, &EvaluationRecord)> {
        let chosen = self.chosen().map(|(_, finding)| finding);
        let same = move |finding: &EvaluationRecord| chosen.is_some_and(|chosen| alike(chosen, finding));
        self.all.iter().filter(move |(_, finding)| same(finding)).map(|(id, finding)| (*id, finding.as_ref()))
    }

    /// The figure whose bars show: the one that was chosen last, else the one to quote.
    pub fn figure(&self) -> Option<String> {
        let (_, finding) = self.chosen()?;
        let names = figure_names(&finding.outcome);
        let wanted = self.figures.get(&finding.kind).filter(|name| names.contains(name));
        wanted.cloned().or_else(|| names.into_iter().next())
    }

    /// Bars of that figure: all weights of which the same was asked, and what the chosen ones are compared with.
    pub fn bars(&self) -> Vec<EvaluationBar> {
        let (Some((chosen, finding)), Some(figure)) = (self.chosen(), self.figure()) else {
            return Vec::new();
        };
        let weights = EvalSubject::Weights.name();
        let mut bars: Vec<EvaluationBar> = self
            .beside()
            .filter_map(|(id, beside)| {
                let figure = of_subject(&beside.outcome, weights, &figure)?;
                Some(EvaluationBar {
                    name: beside.weights.clone(),
                    figure: figure.clone(),
                    finding: Some(id),
                })
            })
            .collect();
        for row in &finding.outcome.rows {
            let known = bars.iter().any(|bar| bar.finding.is_none() && bar.name == row.subject);
            if row.subject != weights
                && !known
                && let Some(figure) = of_subject(&finding.outcome, &row.subject, &figure)
            {
                bars.push(EvaluationBar { name: row.subject.clone(), figure: figure.clone(), finding: None });
            }
        }
        // What has no weights of its own has no bar to choose by: its first row stands for it.
        if bars.iter().all(|bar| bar.finding.is_none())
            && let Some(bar) = bars.first_mut()
        {
            bar.finding = Some(chosen);
        }
        bars
    }

    /// A picture of a finding as a texture, the smallest that has `width` pixels.
    pub fn texture(
        &mut self,
        ctx: &egui::Context,
        id: Id,
        index: usize,
        width: f32,
    ) -> Option<TextureHandle> {
        let (_, finding) = self.all.iter().find(|(there, _)| *there == id)?;
        let sizes = finding.shown.get(index)?;
        let level = sizes.iter().rposition(|image| image.size[0] as f32 >= width).unwrap_or(0);
        let in_dark = ctx.theme() == egui::Theme::Dark;
        if let Some(texture) = self.textures.get(&(id, index, level, in_dark)) {
            return Some(texture.clone());
        }
        let name = format!("finding {id} {index} {level} {in_dark}");
        let mut image = sizes.get(level)?.clone();
        if in_dark && let Some(shown) = finding.outcome.pictures.get(index) {
            image = Arc::new(dark_theme::on_panel(
                &image,
                [shown.picture.width, shown.picture.height],
                &shown.kept,
            ));
        }
        let texture = ctx.load_texture(name, image, TextureOptions::LINEAR);
        self.textures.insert((id, index, level, in_dark), texture.clone());
        Some(texture)
    }
}

/// Whether both answer the same question, so that their figures may stand beside each other.
fn alike(a: &EvaluationRecord, b: &EvaluationRecord) -> bool {
    let question =
        |f: &EvaluationRecord| (f.kind, f.data.clone(), f.outcome.title.clone(), f.outcome.data.clone());
    question(a) == question(b)
}

/// The figure of a subject's first row, which is the one to quote.
fn of_subject<'a>(outcome: &'a EvalReport, subject: &str, name: &str) -> Option<&'a EvalMetric> {
    let row = outcome.rows.iter().find(|row| row.subject == subject)?;
    row.figures.iter().find(|figure| figure.name == name)
}

/// Names of all figures, in the order in which they come first.
pub fn figure_names(outcome: &EvalReport) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for figure in outcome.rows.iter().flat_map(|row| &row.figures) {
        if !names.contains(&figure.name) {
            names.push(figure.name.clone());
        }
    }
    names
}

/// `k 20: top-1 72.1 % (68.4–75.6), top-5 90.3 %`
pub fn row_text(row: &EvalTableRow) -> String {
    let figures = row.figures.iter().map(|figure| format!("{} {}", figure.name, figure.text()));
    let figures = figures.collect::<Vec<_>>().join(", ");
    match row.setting.as_str() {
        "" => format!("{}: {figures}", row.subject),
        setting => format!("{}, {setting}: {figures}", row.subject),
    }
}

/// The number of a figure without its interval, and the interval alone.
pub fn parts(figure: &EvalMetric) -> (String, String) {
    let number = EvalMetric { interval: None, ..figure.clone() }.text();
    let interval = figure.interval.map_or(String::new(), |(low, high)| {
        let bare = |value: f64| {
            let text = EvalMetric { value, interval: None, ..figure.clone() }.text();
            text.trim_end_matches(" %").to_owned()
        };
        format!("{}–{}", bare(low), bare(high))
    });
    (number, interval)
}

/// Whether less of it is better.
pub fn less_is_better(figure: &EvalMetric) -> bool {
    figure.unit == EvalMetricUnit::Less
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod tests {
    use dinoscope_core::data::Picture;
    use dinoscope_core::eval::outcome::CaptionedPicture;

    use super::*;

    /// A finding with a row and a top-1 for each subject.
    pub fn finding(weights: &str, subjects: &[(&str, f64)]) -> EvaluationRecord {
        let row = |(subject, value): &(&str, f64)| EvalTableRow {
            subject: (*subject).to_owned(),
            setting: "k 20".to_owned(),
            figures: vec![
                EvalMetric::plain("top-1", *value, EvalMetricUnit::Share),
                EvalMetric::plain("top-5", value / 2.0, EvalMetricUnit::Share),
            ],
        };
        let picture = Picture::of_rgb(2, 1, vec![0, 1, 2, 3, 4, 5]);
        let shown = CaptionedPicture {
            name: "confusion".to_owned(),
            caption: String::new(),
            picture,
            kept: Vec::new(),
        };
        EvaluationRecord {
            kind: EvaluationKind::Knn,
            weights: weights.to_owned(),
            data: "scenes".to_owned(),
            outcome: EvalReport {
                title: "Nearest neighbours".to_owned(),
                data: "3 pictures".to_owned(),
                rows: subjects.iter().map(row).collect(),
                pictures: vec![shown],
                notes: Vec::new(),
                left_out: Vec::new(),
            },
            shown: vec![vec![Arc::new(ColorImage::from_rgb([2, 1], &[0, 1, 2, 3, 4, 5]))]],
            chart: None,
            seconds: 1.0,
            kept: None,
        }
    }

    fn names(results: &EvaluationHistory) -> Vec<(String, f64)> {
        results.bars().into_iter().map(|bar| (bar.name, bar.figure.value)).collect()
    }

    #[test]
    fn weights_stand_beside_each_other_and_above_what_they_are_compared_with() {
        let mut results = EvaluationHistory::default();
        results.add(finding("a", &[("weights", 0.5), ("weights", 0.9), ("raw pixels", 0.2)]));
        results.add(finding("b", &[("weights", 0.6), ("untrained", 0.3), ("raw pixels", 0.1)]));
        let of = |name: &str, value| (name.to_owned(), value);
        assert_eq!(
            names(&results),
            [of("a", 0.5), of("b", 0.6), of("untrained", 0.3), of("raw pixels", 0.1)]
        );
        results.figures.insert(EvaluationKind::Knn, "top-5".to_owned());
        assert_eq!(names(&results)[..2], [of("a", 0.25), of("b", 0.3)]);
        results.figures.insert(EvaluationKind::Knn, "no such".to_owned());
        assert_eq!(results.figure().as_deref(), Some("top-1"));
        results.choose(0);
        assert_eq!(names(&results)[2], of("raw pixels", 0.2));
        // The same weights once more take the place of what was known of them.
        results.add(finding("a", &[("weights", 0.55)]));
        assert_eq!(names(&results), [of("b", 0.6), of("a", 0.55)]);
        results.forget();
        assert_eq!(results.chosen().unwrap().1.weights, "b");
        results.forget();
        assert!(results.iter().next().is_none() && results.bars().is_empty() && results.figure().is_none());
    }

    #[test]
    fn other_questions_are_kept_apart() {
        let mut results = EvaluationHistory::default();
        results.add(finding("a", &[("weights", 0.5)]));
        let mut other = finding("a", &[("weights", 0.7)]);
        other.outcome.data = "9 pictures".to_owned();
        results.add(other);
        let mut third = finding("a", &[("weights", 0.1)]);
        third.data = "cats".to_owned();
        results.add(third);
        let questions: Vec<String> = results.questions().into_iter().map(|(_, name)| name).collect();
        assert_eq!(
            questions,
            [
                "Nearest neighbours · 3 pictures",
                "Nearest neighbours · 9 pictures",
                "Nearest neighbours · cats"
            ]
        );
        assert_eq!(results.bars().len(), 1);
    }

    #[test]
    fn rows_read_as_sentences() {
        let finding = finding("a", &[("weights", 0.5)]);
        assert_eq!(row_text(&finding.outcome.rows[0]), "weights, k 20: top-1 50.0 %, top-5 25.0 %");
        let figure =
            EvalMetric { interval: Some((0.41, 0.62)), ..finding.outcome.rows[0].figures[0].clone() };
        assert_eq!(parts(&figure), ("50.0 %".to_owned(), "41.0–62.0".to_owned()));
    }
}
