//! Lengths within a run that follow its own: a shorter run gets a shorter warm-up unless somebody chose one.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::{at, check::set_one};
use crate::train::recipe::RecipeError;

/// Fields that count steps from the beginning of a run, and what they are called.
const LENGTHS: [(&str, &str); 4] = [
    ("optim.warmup", "warm-up"),
    ("optim.freeze_last_layer", "hold of the heads' last layers"),
    ("optim.teacher_temp_warmup", "warm-up of the teacher's temperature"),
    ("start.hold_backbone", "hold of the backbone"),
];

const ITERATIONS: &str = "train.iterations";

/// Names of all fields that a table of a recipe's shape holds.
pub(in crate::train) fn keys(table: &Table) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                found.extend(keys(inner).into_iter().map(|inner| format!("{key}.{inner}")))
            }
            _ => {
                found.insert(key.clone());
            }
        }
    }
    found
}

/// Shortens what is longer than a run whose length was chosen, in proportion to the run that `base` describes. What was
/// `chosen` itself stays. Returns a sentence for each that was changed.
pub(in crate::train) fn shorten(
    base: &Table,
    mut table: Table,
    chosen: &BTreeSet<String>,
) -> Result<(Table, Vec<String>), RecipeError> {
    let mut notes = Vec::new();
    let number = |table: &Table, key: &str| at(table, key).and_then(Value::as_integer);
    let lengths = (number(base, ITERATIONS), number(&table, ITERATIONS));
    let (true, (Some(before), Some(now))) = (chosen.contains(ITERATIONS), lengths) else {
        return Ok((table, notes));
    };
    for (key, name) in LENGTHS {
        let Some(length) = number(&table, key).filter(|length| *length > now && !chosen.contains(key)) else {
            continue;
        };
        let shorter = (length as f64 * now as f64 / before.max(1) as f64).round() as i64;
        // No run is so short that it would do without altogether.
        let shorter = shorter.clamp(1.min(now), now.max(1));
        table = set_one(table, key, Value::Integer(shorter))?;
        notes.push(format!("{name} is {shorter} of {now} steps ({key} was {length}, for a run of {before})"));
    }
    Ok((table, notes))
}
