//! The figures behind the health of a run, each beside what is normal.

use dinoscope_core::train::Recipe;
use dinoscope_core::train::health::{self, HealthLevel};
use dinoscope_core::train::metrics::Values;
use egui::{Align2, FontId, Rect, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::studio::theme::{self, fonts};
use crate::studio::train::words;
use crate::studio::widgets::StatusTone;

/// A figure on its scale. Its tone is that of the verdict: what the verdict finds nothing in is well.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricGauge {
    /// What it is called.
    pub name: &'static str,
    /// How it stands.
    pub tone: StatusTone,
    /// As it is written.
    pub text: String,
    /// Where it is on its scale, 0 to 1.
    pub place: f64,
    /// The normal part of the scale.
    pub normal: (f64, f64),
    /// What is normal, and what it means when it is not.
    pub about: &'static str,
}

/// The gauges of the report after `done` steps.
pub fn gauges(values: &Values, recipe: &Recipe, done: u64) -> Vec<MetricGauge> {
    let found = health::findings(values, recipe, done.saturating_sub(1));
    let tone = |figure: &str| match found
        .iter()
        .find(|finding| finding.figure == Some(figure))
        .map(|finding| finding.level)
    {
        None | Some(HealthLevel::Fine) => StatusTone::Good,
        Some(HealthLevel::Watch) => StatusTone::Watch,
        Some(HealthLevel::Wrong) => StatusTone::Bad,
    };
    let get = |name: &str| values.get(name).copied().filter(|v| v.is_finite());
    let ln_k = (recipe.head.prototypes as f64).ln();
    let entropy = |name: &'static str, metric: &str, most, about| {
        get(metric).map(|h| MetricGauge {
            name,
            tone: tone(metric),
            text: format!("{h:.2} of {ln_k:.2}"),
            place: h / ln_k,
            normal: (0.0, most),
            about,
        })
    };
    let rank = get("feature_rank").map(|rank| {
        // The rank of a batch can't be more than its pictures or the width of a token.
        let most = (recipe.train.batch.min(recipe.model.dim) as f64).max(2.0);
        MetricGauge {
            name: "Feature rank",
            tone: tone("feature_rank"),
            text: format!("{rank:.1} of {most:.0}"),
            place: (rank.ln() / most.ln()).min(1.0),
            normal: (health::LEAST_RANK.ln() / most.ln(), 1.0),
            about: "Directions in which the class features of a batch vary. Near 1 they lie on a line: collapsing.",
        }
    });
    let norms = match (get("patch_norm_max"), get("patch_norm_mean")) {
        (Some(max), Some(mean)) if mean > 0.0 => Some(MetricGauge {
            name: "Patch norms",
            tone: tone("patch_norm_max"),
            text: format!("{:.1} × mean", max / mean),
            place: (max / mean / (2.0 * health::LARGEST_PATCH_NORM)).min(1.0),
            normal: (0.0, 0.5),
            about: "The longest patch token against the mean. Beyond 8 there are outliers: registers help.",
        }),
        _ => None,
    };
    let share = get("prototype_use").map(|used| MetricGauge {
        name: "Prototypes in use",
        tone: tone("prototype_use"),
        text: words::percent(used),
        place: used,
        normal: (health::LEAST_PROTOTYPE_USE, 1.0),
        about: "As if so many were used equally often. Below 2 % the teacher is collapsing.",
    });
    let apart = get("neighbour_distance").map(|distance| MetricGauge {
        name: "Neighbours apart",
        tone: tone("neighbour_distance"),
        text: words::figure(distance),
        place: (distance / 1.4).min(1.0),
        normal: (health::LEAST_NEIGHBOUR_DISTANCE / 1.4, 1.0),
        about: "Distance of nearest neighbours on the unit sphere. Near 0 features have fallen together.",
    });
    [
        entropy(
            "Teacher entropy",
            "teacher_entropy",
            1.0,
            "Of its predictions, of at most ln K. Near 0: one prototype for everything. At the most: nothing decided.",
        ),
        entropy(
            "Student entropy",
            "student_entropy",
            health::LARGEST_STUDENT_ENTROPY,
            "Of its predictions, of at most ln K. At the most for long: the student learns nothing.",
        ),
        share,
        apart,
        rank,
        norms,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Draws one: its name, its value, and below both a scale with the normal part marked.
pub fn ui(ui: &mut Ui, gauge: &MetricGauge, width: f32) {
    let t = theme::tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 32.0), Sense::hover());
    let label = format!("{}: {}", gauge.name, gauge.text);
    response.widget_info(|| WidgetInfo::labeled(egui::accesskit::Role::Meter, true, &label));
    if ui.is_rect_visible(rect) {
        let font = FontId::proportional(fonts::SMALL);
        let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
        let colour = if gauge.tone == StatusTone::Good { t.text } else { gauge.tone.colour(&t) };
        let value = painter.text(rect.right_top(), Align2::RIGHT_TOP, &gauge.text, font.clone(), colour);
        let room = (value.left() - rect.left() - 6.0).max(0.0);
        let mode = Some(egui::TextWrapMode::Truncate);
        let name = egui::WidgetText::from(gauge.name).into_galley(ui, mode, room, font);
        painter.galley_with_override_text_color(rect.left_top(), name, t.muted);
        let rail = Rect::from_min_max(
            pos2(rect.left(), rect.bottom() - 9.0),
            pos2(rect.right(), rect.bottom() - 5.0),
        );
        let at = |place: f64| rail.left() + rail.width() * place.clamp(0.0, 1.0) as f32;
        painter.rect_filled(rail, 2.0, t.pressed);
        let normal =
            Rect::from_min_max(pos2(at(gauge.normal.0), rail.top()), pos2(at(gauge.normal.1), rail.bottom()));
        painter.rect_filled(normal, 2.0, t.good.gamma_multiply(0.45));
        let mark = pos2(at(gauge.place).clamp(rail.left() + 3.0, rail.right() - 3.0), rail.center().y);
        painter.circle_filled(mark, 5.0, t.panel);
        painter.circle_filled(mark, 4.0, gauge.tone.colour(&t));
    }
    response.on_hover_text(gauge.about);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_verdict_are_of_one_opinion() {
        let recipe = Recipe::preset("nano").unwrap();
        let ln_k = (recipe.head.prototypes as f64).ln();
        let good = [
            ("teacher_entropy", 2.0),
            ("student_entropy", 2.5),
            ("prototype_use", 0.5),
            ("neighbour_distance", 0.4),
            ("feature_rank", 9.0),
            ("patch_norm_max", 30.0),
            ("patch_norm_mean", 15.0),
        ];
        let changed = [
            // As much of the largest as is still well, and more.
            ("student_entropy", 0.97 * ln_k),
            ("student_entropy", 0.999 * ln_k),
            ("teacher_entropy", 0.99 * ln_k),
            ("prototype_use", 0.008),
            ("neighbour_distance", 0.001),
            ("feature_rank", 1.1),
            ("patch_norm_max", 300.0),
        ];
        let mut seen = 0;
        for (figure, value) in good.iter().chain(&changed) {
            let mut values: Values = good.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
            values.insert((*figure).to_owned(), *value);
            // While figures settle, and afterwards.
            for done in [3, 200] {
                let level = health::diagnose(&values, &recipe, done - 1).level;
                let all = gauges(&values, &recipe, done);
                assert_eq!(all.len(), 6);
                let tones: Vec<_> = all.iter().map(|gauge| (gauge.name, gauge.tone)).collect();
                let odd = tones.iter().filter(|(_, tone)| *tone != StatusTone::Good).count();
                assert_eq!(
                    odd,
                    usize::from(level != HealthLevel::Fine),
                    "{figure} {value}: {level:?}, {tones:?}"
                );
                // What is found wrong lies outside of what is marked as normal.
                let outside = |gauge: &MetricGauge| !(gauge.normal.0..=gauge.normal.1).contains(&gauge.place);
                assert!(all.iter().all(|gauge| gauge.tone == StatusTone::Good || outside(gauge)), "{all:?}");
                seen += odd;
            }
        }
        assert_eq!(seen, 5);
        let nothing: Values = [("feature_rank".to_owned(), f64::NAN)].into_iter().collect();
        assert!(gauges(&nothing, &recipe, 200).is_empty());
    }
}
