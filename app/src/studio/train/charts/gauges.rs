//! The figures behind the health of a run, each beside what is normal.

use dinoscope_core::train::Recipe;
use dinoscope_core::train::metrics::Values;
use egui::{Align2, FontId, Rect, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::studio::theme::{self, fonts};
use crate::studio::train::words;
use crate::studio::widgets::StatusTone;

/// A figure on its scale.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricGauge {
    /// What it is called.
    pub name: &'static str,
    /// As it is written.
    pub text: String,
    /// Where it is on its scale, 0 to 1.
    pub place: f64,
    /// The normal part of the scale.
    pub normal: (f64, f64),
    /// What is normal, and what it means when it is not.
    pub about: &'static str,
}

/// The gauges of a report.
pub fn gauges(values: &Values, recipe: &Recipe) -> Vec<MetricGauge> {
    let get = |name: &str| values.get(name).copied().filter(|v| v.is_finite());
    let ln_k = (recipe.head.prototypes as f64).ln();
    let entropy = |name: &'static str, metric: &str, about| {
        get(metric).map(|h| MetricGauge {
            name,
            text: format!("{h:.2} of {ln_k:.2}"),
            place: h / ln_k,
            normal: (0.05, 0.95),
            about,
        })
    };
    let rank = get("feature_rank").map(|rank| {
        // The rank of a batch can't be more than its pictures or the width of a token.
        let most = (recipe.train.batch.min(recipe.model.dim) as f64).max(2.0);
        MetricGauge {
            name: "Feature rank",
            text: format!("{rank:.1} of {most:.0}"),
            place: (rank.ln() / most.ln()).min(1.0),
            normal: (1.5f64.ln() / most.ln(), 1.0),
            about: "Directions in which the class features of a batch vary. Near 1 they lie on a line: collapsing.",
        }
    });
    let norms = match (get("patch_norm_max"), get("patch_norm_mean")) {
        (Some(max), Some(mean)) if mean > 0.0 => Some(MetricGauge {
            name: "Patch norms",
            text: format!("{:.1} × mean", max / mean),
            place: (max / mean / 16.0).min(1.0),
            normal: (0.0, 0.5),
            about: "The longest patch token against the mean. Beyond 8 there are outliers: registers help.",
        }),
        _ => None,
    };
    let share = get("prototype_use").map(|used| MetricGauge {
        name: "Prototypes in use",
        text: words::percent(used),
        place: used,
        normal: (0.02, 1.0),
        about: "As if so many were used equally often. Below 2 % the teacher is collapsing.",
    });
    let apart = get("neighbour_distance").map(|distance| MetricGauge {
        name: "Neighbours apart",
        text: words::figure(distance),
        place: (distance / 1.4).min(1.0),
        normal: (0.02 / 1.4, 1.0),
        about: "Distance of nearest neighbours on the unit sphere. Near 0 features have fallen together.",
    });
    [
        entropy(
            "Teacher entropy",
            "teacher_entropy",
            "Of its predictions, of at most ln K. Near 0: one prototype for everything. At the most: nothing decided.",
        ),
        entropy(
            "Student entropy",
            "student_entropy",
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

impl MetricGauge {
    fn is_normal(&self) -> bool {
        (self.normal.0..=self.normal.1).contains(&self.place)
    }
}

/// Draws one: its name, its value, and below both a scale with the normal part marked.
pub fn ui(ui: &mut Ui, gauge: &MetricGauge, width: f32) {
    let t = theme::tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 32.0), Sense::hover());
    let tone = if gauge.is_normal() { StatusTone::Good } else { StatusTone::Watch };
    let label = format!("{}: {}", gauge.name, gauge.text);
    response.widget_info(|| WidgetInfo::labeled(egui::accesskit::Role::Meter, true, &label));
    if ui.is_rect_visible(rect) {
        let font = FontId::proportional(fonts::SMALL);
        let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
        let colour = if gauge.is_normal() { t.text } else { tone.colour(&t) };
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
        painter.circle_filled(mark, 4.0, tone.colour(&t));
    }
    response.on_hover_text(gauge.about);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn figures_outside_what_is_normal_are_told_apart() {
        let recipe = Recipe::preset("nano").unwrap();
        let of = |pairs: &[(&str, f64)]| {
            let values = pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
            gauges(&values, &recipe).into_iter().map(|g| (g.name, g.is_normal())).collect::<Vec<_>>()
        };
        let good = [
            ("teacher_entropy", 2.0),
            ("student_entropy", 2.5),
            ("prototype_use", 0.5),
            ("neighbour_distance", 0.4),
            ("feature_rank", 9.0),
            ("patch_norm_max", 30.0),
            ("patch_norm_mean", 15.0),
        ];
        let found = of(&good);
        assert_eq!(found.len(), 6);
        assert!(found.iter().all(|(_, normal)| *normal), "{found:?}");
        let bad = [
            ("teacher_entropy", 0.01),
            ("student_entropy", 4.85),
            ("prototype_use", 0.008),
            ("neighbour_distance", 0.001),
            ("feature_rank", 1.1),
            ("patch_norm_max", 300.0),
            ("patch_norm_mean", 15.0),
        ];
        let found = of(&bad);
        assert!(found.len() == 6 && found.iter().all(|(_, normal)| !*normal), "{found:?}");
        assert!(of(&[("feature_rank", f64::NAN)]).is_empty());
    }
}
