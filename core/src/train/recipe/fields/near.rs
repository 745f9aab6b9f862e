//! The names that somebody may have meant.

use super::FIELDS;

/// Sections of a recipe, in the order of the file.
const SECTIONS: &str =
    "sections are model, crops, mask, head, loss, optim, start, distill, train, evaluate, data";

/// What to say of a name that does not exist: what was probably meant, else what there is.
pub(super) fn hint(key: &str) -> String {
    let (section, last) = key.rsplit_once('.').unwrap_or(("", key));
    let keys = || FIELDS.iter().map(|field| field.key);
    let sections = || keys().filter_map(|key| Some(key.split_once('.')?.0));
    let is_section = sections().any(|known| known == section);
    // The right name in the wrong place, a slip of the keyboard, or a part of a name.
    let same: Vec<&str> = keys().filter(|known| last_of(known) == last).collect();
    let mut near = nearest(key, keys());
    if near.is_empty() && !is_section {
        near = nearest(last, keys().map(last_of))
            .into_iter()
            .flat_map(|last| keys().filter(move |known| last_of(known) == last))
            .collect();
    }
    let part: Vec<&str> = keys().filter(|known| last_of(known).split('_').any(|word| word == last)).collect();
    for meant in [same, near, part] {
        if !meant.is_empty() {
            return format!("did you mean {}?", meant.join(" or "));
        }
    }
    if section.is_empty()
        && let Some(meant) = nearest(last, sections()).first()
    {
        return format!("did you mean [{meant}]?");
    }
    let siblings: Vec<&str> = keys().filter(|key| key.starts_with(&format!("{section}."))).collect();
    match siblings.as_slice() {
        [] => SECTIONS.to_owned(),
        siblings => format!("fields of {section} are {}", siblings.join(", ")),
    }
}

fn last_of(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// The known names that the fewest slips lead to, where those are few for the name's length.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let most = (name.chars().count() / 4).clamp(1, 3);
    let mut found: Vec<(usize, &str)> = known.map(|known| (edit_distance(name, known), known)).collect();
    let least = found.iter().map(|(edit_distance, _)| *edit_distance).min().filter(|least| *least <= most);
    found.retain(|(edit_distance, _)| Some(*edit_distance) == least);
    let mut names: Vec<&str> = found.into_iter().map(|(_, known)| known).collect();
    names.dedup();
    names
}

/// Letters left out, added, changed or swapped with their neighbour between two names (optimal string alignment).
/// Capitals, and hyphens for underscores, count as no slip.
fn edit_distance(a: &str, b: &str) -> usize {
    let letters = |name: &str| -> Vec<char> { name.to_lowercase().replace('-', "_").chars().collect() };
    let (a, b) = (letters(a), letters(b));
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (a, b, want) in [
            ("btch", "batch", 1),
            ("bacth", "batch", 1),
            ("Batch", "batch", 0),
            ("", "abc", 3),
            ("base-lr", "base_lr", 0),
        ] {
            assert_eq!(edit_distance(a, b), want, "{a} {b}");
            assert_eq!(edit_distance(b, a), want, "{b} {a}");
        }
    }

    #[test]
    fn what_was_meant_is_named_and_else_what_there_is() {
        for (key, want) in [
            ("train.btch", "did you mean train.batch?"),
            ("train.bacth", "did you mean train.batch?"),
            ("trian.batch", "did you mean train.batch?"),
            ("Train.Batch", "did you mean train.batch?"),
            ("batch", "did you mean train.batch?"),
            ("btch", "did you mean train.batch?"),
            ("model.batch", "did you mean train.batch?"),
            ("optim.base-lr", "did you mean optim.base_lr?"),
            ("optimizer.base_lr", "did you mean optim.base_lr?"),
            ("optim.lr", "did you mean optim.base_lr or optim.min_lr or optim.patch_embed_lr?"),
            ("crops.globalsize", "did you mean crops.global_size?"),
            ("trian", "did you mean [train]?"),
            ("train.zzz", "fields of train are train.iterations"),
            ("nothing.like.it", "sections are model"),
        ] {
            let said = hint(key);
            assert!(said.starts_with(want), "{key}: {said}");
        }
    }
}
