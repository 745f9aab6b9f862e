//! Several backbones in one file, a student's and its teacher's, say: which of them is read.

use crate::WeightsError;
use std::cmp::Reverse;

/// Words that tell a teacher.
const TEACHERS: [&str; 2] = ["teacher", "teachers"];
/// Words that tell a moving average of the weights: what a teacher is, under other names.
const AVERAGES: [&str; 10] =
    ["ema", "average", "averaged", "averages", "avg", "momentum", "target", "swa", "shadow", "polyak"];
/// Words that tell what is trained itself, beside an average of it.
const STUDENTS: [&str; 4] = ["student", "students", "online", "current"];
/// Words that tell an optimizer's own tensors, which have the names of weights.
const OPTIMIZERS: [&str; 10] =
    ["optimizer", "optimizers", "optim", "exp", "grad", "grads", "moment", "moments", "buffer", "buffers"];
/// Parts that a note names.
const SHOWN: usize = 6;

/// A backbone that was found: what stands before its keys.
#[derive(Clone, Debug)]
pub(crate) struct BackboneCandidate {
    /// The prefix, with a full stop at its end or empty.
    pub root: String,
    /// How many of the names that mark a backbone stand behind it.
    pub marks: usize,
    /// Whether the patch embedding is among them.
    pub whole: bool,
}

/// The words of `text`, in lower case: split where there is neither letter nor digit, and before capitals as in
/// `teacherModel` and `EMAModel`.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let letters: Vec<char> = text.chars().collect();
    for (i, &letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let before = i.checked_sub(1).and_then(|at| letters.get(at));
        let begins = letter.is_uppercase()
            && (before.is_some_and(|b| b.is_lowercase() || b.is_numeric())
                || (before.is_some_and(|b| b.is_uppercase())
                    && letters.get(i + 1).is_some_and(|next| next.is_lowercase())));
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn any(words: &[String], of: &[&str]) -> bool {
    words.iter().any(|word| of.contains(&word.as_str()))
}

/// A part's name for people: its prefix without the last full stop, `.` for none.
pub(crate) fn name(root: &str) -> &str {
    if root.is_empty() { "." } else { root.trim_end_matches('.') }
}

/// How many bytes of prefix, up to a full stop, all candidates share.
fn shared(candidates: &[BackboneCandidate]) -> usize {
    let Some(first) = candidates.first().map(|c| c.root.as_str()) else { return 0 };
    let all = |end: &usize| candidates.iter().all(|c| c.root.starts_with(&first[..*end]));
    first.match_indices('.').map(|(at, _)| at + 1).filter(all).max().unwrap_or(0)
}

/// Which candidate to read. `wanted` is a part that a person named.
///
/// Without one, a teacher's is preferred, then another moving average's, then what is not called a student: the average
/// is what such trainings are for. Of two that are alike the more complete one is read.
pub(crate) fn choose(
    file: &str,
    mut candidates: Vec<BackboneCandidate>,
    wanted: Option<&str>,
) -> Result<BackboneChoice, WeightsError> {
    // What lacks the patch embedding is a predictor or a decoder that shares a name.
    if candidates.iter().any(|c| c.whole) {
        candidates.retain(|c| c.whole);
    }
    let start = shared(&candidates);
    let rank = |c: &&BackboneCandidate| {
        let words = words(&c.root[start.min(c.root.len())..]);
        (
            any(&words, &OPTIMIZERS),
            !any(&words, &TEACHERS),
            !any(&words, &AVERAGES),
            any(&words, &STUDENTS),
            Reverse(c.marks),
            c.root.len(),
            c.root.clone(),
        )
    };
    let chosen = match wanted {
        Some(wanted) => named(file, &candidates, wanted)?,
        None => candidates.iter().min_by_key(rank).map(|c| c.root.clone()).unwrap_or_default(),
    };
    let others: Vec<String> = candidates.into_iter().map(|c| c.root).filter(|root| *root != chosen).collect();
    Ok(BackboneChoice { root: chosen, others })
}

/// What is read, and what could have been.
#[derive(Debug)]
pub(crate) struct BackboneChoice {
    /// Prefix of the backbone that is read.
    pub root: String,
    /// Prefixes of the others.
    pub others: Vec<String>,
}

impl BackboneChoice {
    /// A remark where there was a choice.
    pub fn note(&self) -> Option<String> {
        (!self.others.is_empty()).then(|| {
            let others = listed(self.others.iter().map(|root| name(root)));
            format!("several backbones: `{}` was read, {others} not; --part NAME chooses", name(&self.root))
        })
    }

    /// Whether `key` lies in a module that holds another backbone.
    pub fn is_of_another(&self, key: &str) -> bool {
        self.others.iter().any(|other| {
            let within = other.strip_prefix(&self.root).and_then(|rest| rest.split_once('.'));
            let module =
                within.map_or(other.as_str(), |(first, _)| &other[..self.root.len() + first.len() + 1]);
            !module.is_empty() && !self.root.starts_with(module) && key.starts_with(module)
        })
    }
}

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(SHOWN);
    let mut shown: Vec<String> = names.take(SHOWN).map(|name| format!("`{name}`")).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
}

/// The candidate that a person means: by its whole prefix, by parts of it between full stops, or by words of them.
fn named(file: &str, candidates: &[BackboneCandidate], wanted: &str) -> Result<String, WeightsError> {
    let unsupported = |reason| WeightsError::Unsupported { file: file.into(), reason };
    let wanted = wanted.trim();
    let parts = |text: &str| -> Vec<String> {
        text.split('.').filter(|s| !s.is_empty()).map(str::to_lowercase).collect()
    };
    let holds = |all: &[String], some: &[String]| {
        !some.is_empty() && all.windows(some.len()).any(|window| window == some)
    };
    let whole = |c: &BackboneCandidate| name(&c.root) == name(wanted.trim_end_matches('.'));
    let by_parts = |c: &BackboneCandidate| holds(&parts(&c.root), &parts(wanted));
    let by_words = |c: &BackboneCandidate| holds(&words(&c.root), &words(wanted));
    for fits in [&whole as &dyn Fn(&BackboneCandidate) -> bool, &by_parts, &by_words] {
        let found: Vec<&BackboneCandidate> = candidates.iter().filter(|c| fits(c)).collect();
        match found[..] {
            [] => {}
            [only] => return Ok(only.root.clone()),
            _ => {
                let names = listed(found.iter().map(|c| name(&c.root)));
                return Err(unsupported(format!("--part {wanted} fits several: {names}; name one of them")));
            }
        }
    }
    Err(unsupported(match candidates {
        [only] if only.root.is_empty() => {
            format!("has one backbone, without a prefix: there is no part {wanted} to choose")
        }
        _ => format!("has no part {wanted}; there is {}", listed(candidates.iter().map(|c| name(&c.root)))),
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn chosen(roots: &[&str], wanted: Option<&str>) -> Result<String, String> {
        let one = |root: &&str| BackboneCandidate { root: (*root).into(), marks: 5, whole: true };
        choose("x.ckpt", roots.iter().map(one).collect(), wanted)
            .map(|choice| choice.root)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn words_are_found_within_parts_of_a_key() {
        let cases: [(&str, &[&str]); 5] = [
            (
                "student_embedding_model_wrapper._model.",
                &["student", "embedding", "model", "wrapper", "model"],
            ),
            ("teacherModel.backbone", &["teacher", "model", "backbone"]),
            ("EMAModel-2", &["ema", "model", "2"]),
            ("state_dict_ema.", &["state", "dict", "ema"]),
            ("", &[]),
        ];
        for (text, wanted) in cases {
            assert_eq!(words(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_average_is_preferred_whatever_it_is_called() {
        for (roots, wanted) in [
            (&["student_backbone.", "teacher_backbone."][..], "teacher_backbone."),
            (
                &[
                    "state_dict.student_embedding_model_wrapper._model.",
                    "state_dict.teacher_embedding_model_wrapper._model.",
                ],
                "state_dict.teacher_embedding_model_wrapper._model.",
            ),
            (&["m.student.backbone.", "m.teacher.backbone."], "m.teacher.backbone."),
            (&["model.", "model_ema."], "model_ema."),
            (&["state_dict.", "state_dict_ema."], "state_dict_ema."),
            (&["", "ema_model."], "ema_model."),
            (&["net.", "netEMA."], "netEMA."),
            (&["net.", "averaged_model."], "averaged_model."),
            (&["net.", "swa_model."], "swa_model."),
            (&["base_encoder.", "momentum_encoder."], "momentum_encoder."),
            (&["online_encoder.net.", "target_encoder.net."], "target_encoder.net."),
            // A word that all have says nothing, and the names of an optimizer's averages are no weights.
            (&["student_teacher.student.", "student_teacher.teacher."], "student_teacher.teacher."),
            (
                &["model.student.", "model.teacher.", "model_ema.student.", "model_ema.teacher."],
                "model_ema.teacher.",
            ),
            (&["model.", "optimizer.exp_avg."], "model."),
            (&["current_model_state.", "state_dict."], "state_dict."),
        ] {
            assert_eq!(chosen(roots, None).unwrap(), wanted);
        }
    }

    #[test]
    fn a_part_is_named_by_its_prefix_a_part_of_it_or_a_word() {
        let roots = ["", "model.student_backbone.", "model.teacher_backbone.", "model_ema.student_backbone."];
        for (wanted, root) in [
            (".", ""),
            ("model.student_backbone", "model.student_backbone."),
            ("model.student_backbone.", "model.student_backbone."),
            ("teacher_backbone", "model.teacher_backbone."),
            ("teacher", "model.teacher_backbone."),
            ("EMA", "model_ema.student_backbone."),
            ("model_ema", "model_ema.student_backbone."),
        ] {
            assert_eq!(chosen(&roots, Some(wanted)).unwrap(), root, "{wanted}");
        }
        let several = chosen(&roots, Some("student")).unwrap_err();
        assert!(several.contains("several") && several.contains("model_ema.student_backbone"), "{several}");
        let none = chosen(&roots, Some("critic")).unwrap_err();
        assert!(none.contains("no part critic") && none.contains("model.teacher_backbone"), "{none}");
        assert!(chosen(&[""], Some("teacher")).unwrap_err().contains("one backbone"));
        assert_eq!(chosen(&["teacher."], Some("teacher")).unwrap(), "teacher.");
    }
}
