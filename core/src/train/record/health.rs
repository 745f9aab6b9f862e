//! What the figures of a run mean, in a sentence a person can act on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::train::metrics::Values;
use crate::train::recipe::Recipe;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthLevel {
    /// Nothing to do.
    Fine,
    /// Worth watching.
    Watch,
    /// The run is going wrong.
    Wrong,
}

/// A judgement of the run's figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunHealth {
    /// The worst of what was found.
    pub level: HealthLevel,
    /// What was found and what to try, most serious first.
    pub sentences: Vec<String>,
}

/// Least rank of the class features of a batch: below it they lie on a line.
pub const LEAST_RANK: f64 = 1.5;
/// Least share of the prototypes that a teacher uses.
pub const LEAST_PROTOTYPE_USE: f64 = 0.02;
/// Least distance of nearest neighbours on the unit sphere.
pub const LEAST_NEIGHBOUR_DISTANCE: f64 = 0.02;
/// Largest entropy of a student that has decided something, as a share of the largest that there can be.
pub const LARGEST_STUDENT_ENTROPY: f64 = 0.995;
/// Largest norm of a patch token, in means.
pub const LARGEST_PATCH_NORM: f64 = 8.0;

/// Something that the figures of a report say.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthFinding {
    /// How serious it is.
    pub level: HealthLevel,
    /// The key of the figure that says it, where it is one.
    pub figure: Option<&'static str>,
    /// What it is and what to try.
    pub sentence: String,
}

/// Judges the report of a step: [`findings`] in sentences.
pub fn diagnose(values: &Values, recipe: &Recipe, iteration: u64) -> RunHealth {
    let found = findings(values, recipe, iteration);
    let level = found.first().map_or(HealthLevel::Fine, |finding| finding.level);
    let mut sentences: Vec<String> = found.into_iter().map(|finding| finding.sentence).collect();
    if sentences.is_empty() {
        sentences.push("Healthy: features spread out, prototypes are in use.".to_owned());
    }
    RunHealth { level, sentences }
}

/// What the report of a step says, most serious first. What needs figures that have settled is left out in the first of them, and what blames
/// the backbone while it is held.
pub fn findings(values: &Values, recipe: &Recipe, iteration: u64) -> Vec<HealthFinding> {
    let held = recipe.start.hold_backbone;
    // After it is let go the heads' figures have to settle once more.
    let warmed_up = iteration >= held + recipe.optim.warmup.max(20);
    let get = |name: &str| values.get(name).copied();
    let mut found: Vec<HealthFinding> = Vec::new();
    let mut say = |level, figure, sentence| found.push(HealthFinding { level, figure, sentence });
    let ln_k = (recipe.head.prototypes as f64).ln();

    let broken: Vec<&str> = values.iter().filter(|(_, v)| !v.is_finite()).map(|(k, _)| k.as_str()).collect();
    if !broken.is_empty() {
        let what = broken.join(", ");
        say(
            HealthLevel::Wrong,
            None,
            format!(
                "Not finite: {what}. Try a lower optim.base_lr, a longer optim.warmup or a smaller optim.clip."
            ),
        );
    }
    if let Some(rank) = get("feature_rank").filter(|r| warmed_up && *r < LEAST_RANK) {
        say(
            HealthLevel::Wrong,
            Some("feature_rank"),
            format!(
                "Collapsing: the CLS features lie on a line (rank {rank:.1}). Try a lower optim.base_lr, \
                 loss.centering = sinkhorn-knopp or a larger loss.koleo."
            ),
        );
    }
    if let Some(used) = get("prototype_use").filter(|u| warmed_up && *u < LEAST_PROTOTYPE_USE) {
        say(
            HealthLevel::Wrong,
            Some("prototype_use"),
            format!(
                "Collapsing: the teacher uses {:.1} % of the prototypes. Try loss.centering = sinkhorn-knopp, \
                 a higher optim.teacher_temp or fewer head.prototypes.",
                100.0 * used
            ),
        );
    }
    if let Some(distance) = get("neighbour_distance").filter(|d| warmed_up && *d < LEAST_NEIGHBOUR_DISTANCE) {
        say(
            HealthLevel::Wrong,
            Some("neighbour_distance"),
            format!(
                "Collapsing: nearest neighbours are {distance:.3} apart on the unit sphere. Try a larger \
                 loss.koleo, and look for duplicates among the pictures."
            ),
        );
    }
    if let Some(h) = get("student_entropy").filter(|h| warmed_up && *h > LARGEST_STUDENT_ENTROPY * ln_k) {
        say(
            HealthLevel::Watch,
            Some("student_entropy"),
            format!(
                "The student is still undecided (entropy {h:.2} of {ln_k:.2}). If this lasts, try a higher \
                 optim.base_lr or a shorter optim.freeze_last_layer."
            ),
        );
    }
    if let (Some(max), Some(mean)) = (get("patch_norm_max"), get("patch_norm_mean"))
        && warmed_up
        && max > LARGEST_PATCH_NORM * mean
    {
        say(
            HealthLevel::Watch,
            Some("patch_norm_max"),
            format!(
                "Some patch tokens are outliers (norm {max:.0}, mean {mean:.0}). Registers help: model.registers = 4."
            ),
        );
    }
    if iteration < held {
        say(
            HealthLevel::Fine,
            None,
            format!(
                "Only the heads learn until step {held}; the backbone is held and its features stay as they were."
            ),
        );
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    found
}

/// Reports in a row without anything wrong after which the same would be news again.
const RECOVERED: usize = 20;

/// Remembers what went wrong, so that figures that hover about a limit are not said at every other report.
#[derive(Debug, Default)]
pub struct HealthAlarm {
    said: BTreeSet<String>,
    calm: usize,
}

impl HealthAlarm {
    /// Whether the run goes wrong in a way that was not said yet, or not since it had recovered for a while.
    pub fn is_news(&mut self, health: &RunHealth) -> bool {
        if health.level < HealthLevel::Wrong {
            self.calm += 1;
            if self.calm >= RECOVERED {
                self.said.clear();
            }
            return false;
        }
        self.calm = 0;
        // The most serious finding, whatever its numbers are now.
        let worst = health.sentences.first().map_or("", String::as_str);
        self.said.insert(worst.chars().filter(|c| !c.is_ascii_digit()).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::train::metrics::of_pairs as values;

    #[test]
    fn figures_become_sentences() {
        let recipe = Recipe::preset("nano").unwrap();
        let fine = values(&[("feature_rank", 12.0), ("prototype_use", 0.4), ("neighbour_distance", 0.6)]);
        assert_eq!(diagnose(&fine, &recipe, 100).level, HealthLevel::Fine);
        let line = values(&[("feature_rank", 1.1), ("prototype_use", 0.4)]);
        let health = diagnose(&line, &recipe, 100);
        assert!(health.level == HealthLevel::Wrong && health.sentences[0].contains("Collapsing"));
        assert_eq!(diagnose(&line, &recipe, 3).level, HealthLevel::Fine, "figures settle first");
        let found = findings(&line, &recipe, 100);
        assert_eq!(found.iter().map(|finding| finding.figure).collect::<Vec<_>>(), [Some("feature_rank")]);
        let nan = diagnose(&values(&[("loss", f64::NAN)]), &recipe, 3);
        assert!(nan.sentences[0].contains("loss") && nan.level == HealthLevel::Wrong);

        let held = recipe.with_overrides(&["start.hold_backbone=90".into()]).unwrap();
        let said = diagnose(&line, &held, 89);
        assert!(said.level == HealthLevel::Fine && said.sentences[0].contains("until step 90"), "{said:?}");
        assert_eq!(diagnose(&line, &held, 100).level, HealthLevel::Fine, "and settle again afterwards");
        assert_eq!(diagnose(&line, &held, 110).level, HealthLevel::Wrong);
    }

    #[test]
    fn the_same_is_said_once_until_it_changes() {
        let health = |level, sentence: &str| RunHealth { level, sentences: vec![sentence.to_owned()] };
        let mut alarm = HealthAlarm::default();
        let rank = |rank: &str| health(HealthLevel::Wrong, &format!("Collapsing: (rank {rank}). Try less."));
        let fine = health(HealthLevel::Fine, "Healthy.");
        assert!(!alarm.is_news(&fine));
        assert!(alarm.is_news(&rank("1.4")));
        for _ in 0..5 {
            assert!(!alarm.is_news(&rank("1.2")) && !alarm.is_news(&fine), "figures hover about a limit");
        }
        assert!(
            alarm.is_news(&health(HealthLevel::Wrong, "Collapsing: prototypes.")),
            "another way to go wrong"
        );
        for _ in 0..RECOVERED {
            assert!(!alarm.is_news(&fine));
        }
        assert!(alarm.is_news(&rank("1.1")), "it had recovered");
    }
}
