//! Whether a run made features better: figures of before and after, and what they say in a sentence.

use crate::eval::Accuracy;
use crate::train::recipe::Recipe;

/// An accuracy before the first step, and the newest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccuracyChange {
    /// Before the first step.
    pub before: Accuracy,
    /// The newest.
    pub after: Accuracy,
    /// Steps that had been done by then.
    pub steps: u64,
}

/// What a change amounts to, as far as the 95 % intervals can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeVerdict {
    /// The interval of after lies above that of before.
    Better,
    /// The intervals overlap.
    Unclear,
    /// The interval of after lies below that of before.
    Worse,
}

impl AccuracyChange {
    /// Whether it is better, by the intervals.
    pub fn verdict(&self) -> ChangeVerdict {
        let ((low, high), (from, to)) = (self.before.wilson95(), self.after.wilson95());
        if from > high {
            ChangeVerdict::Better
        } else if to < low {
            ChangeVerdict::Worse
        } else {
            ChangeVerdict::Unclear
        }
    }

    /// `40.3 % (34.9–46.0) before, 71.0 % (65.6–75.9) after 400 steps`
    pub fn text(&self) -> String {
        format!("{} before, {} after {} steps", percent(self.before), percent(self.after), self.steps)
    }
}

/// Whether a run is one of which it is said if it made features better: one that goes on from weights by itself.
pub fn is_told(recipe: &Recipe) -> bool {
    !recipe.start.weights.is_empty() && !recipe.distill.is_on()
}

/// `72.1 % (68.4–75.6)`
pub fn percent(accuracy: Accuracy) -> String {
    let (low, high) = accuracy.wilson95();
    format!("{:.1} % ({:.1}–{:.1})", 100.0 * accuracy.value(), 100.0 * low, 100.0 * high)
}

/// What a run that went on from weights did to them, in plain words: by crops that find each other, and by k-NN where
/// there are classes. One that did not make them better is told so.
pub fn sentence(crops: &AccuracyChange, knn: Option<&AccuracyChange>) -> String {
    let figures = format!("two crops of one picture find each other in {}", crops.text());
    let own = match crops.verdict() {
        ChangeVerdict::Better => format!("These pictures made the features better: {figures}."),
        ChangeVerdict::Unclear if crops.after.value() > crops.before.value() => format!(
            "These pictures may have made the features better, or it is chance: {figures}. A longer run or more pictures \
             would tell."
        ),
        ChangeVerdict::Unclear => format!(
            "These pictures did not make the features better: {figures}, which may be chance. A longer run or more \
             pictures may."
        ),
        ChangeVerdict::Worse => format!(
            "These pictures did not make the features better, but worse: {figures}. A smaller learning rate, a longer \
             run or more pictures may do better."
        ),
    };
    let Some(knn) = knn else { return own };
    let verdict = match knn.verdict() {
        ChangeVerdict::Better => "better too",
        ChangeVerdict::Unclear => "no clear change",
        ChangeVerdict::Worse => "worse",
    };
    format!("{own} k-NN on their classes: {}, {verdict}.", knn.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(before: usize, after: usize) -> AccuracyChange {
        let of = |correct| Accuracy { correct, total: 300 };
        AccuracyChange { before: of(before), after: of(after), steps: 400 }
    }

    #[test]
    fn what_did_not_get_better_is_told_so() {
        assert_eq!(change(121, 213).verdict(), ChangeVerdict::Better);
        assert_eq!(change(121, 135).verdict(), ChangeVerdict::Unclear);
        assert_eq!(change(213, 121).verdict(), ChangeVerdict::Worse);
        let said = sentence(&change(121, 213), None);
        assert_eq!(
            said,
            "These pictures made the features better: two crops of one picture find each other in 40.3 % (34.9–46.0) \
             before, 71.0 % (65.6–75.8) after 400 steps."
        );
        let said = sentence(&change(121, 135), None);
        assert!(
            said.starts_with("These pictures may have made the features better, or it is chance: "),
            "{said}"
        );
        for (after, knn) in [(121, None), (20, None), (110, Some(change(100, 200)))] {
            let said = sentence(&change(121, after), knn.as_ref());
            assert!(said.starts_with("These pictures did not make the features better"), "{said}");
            assert!(
                said.contains("more pictures may") && said.contains("40.3 % (34.9–46.0) before"),
                "{said}"
            );
        }
        let said = sentence(&change(121, 213), Some(&change(200, 100)));
        assert!(
            said.contains("made the features better") && said.ends_with("after 400 steps, worse."),
            "{said}"
        );
    }
}
