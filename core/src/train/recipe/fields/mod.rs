//! Every field of a recipe with its meaning, unit and range: for error messages, `--help` and recipe editors.

mod check;
mod near;
mod shorten;
mod table;
mod words;

use std::sync::LazyLock;

use toml::{Table, Value};

use crate::data::source::scenes::SceneKind;
use crate::fused::MatmulPrecision;
use crate::model::FfnKind;
use crate::ssl::{Centering, RankWire};
use crate::train::recipe::{
    BlurPreset, DistillMethod, KoleoGroup, LrSchedule, PositionKind, Recipe, RecipeError, ShardKind,
    TrainPrecision,
};
use words::words;

pub(in crate::train) use check::{from_table, merge, set_all};
pub(in crate::train) use shorten::{keys, shorten};
pub use table::FIELDS;
pub(in crate::train) use table::{HUGE, f, live as live_field};

/// One field of a recipe.
#[derive(Clone, Copy, Debug)]
pub struct RecipeField {
    /// Dotted name, as in `--set train.batch=32`.
    pub key: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Unit, or empty.
    pub unit: &'static str,
    /// Smallest and largest allowed number; not used for words and switches.
    pub range: (f64, f64),
    /// Whether it may change while a run goes on, and between a run and its continuation: it does not touch what is
    /// computed.
    pub live: bool,
}

/// What kind of value a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipeFieldKind {
    /// A whole number within [`RecipeField::range`].
    Whole,
    /// A number within [`RecipeField::range`].
    Number,
    /// Two numbers within [`RecipeField::range`], the first not above the second.
    Pair,
    /// True or false.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// A path, or a word that stands for one.
    Path,
}

/// The field called `key`.
pub fn field(key: &str) -> Option<&'static RecipeField> {
    FIELDS.iter().find(|f| f.key == key)
}

/// Fields that hold a path, or a word that stands for one.
const PATHS: [&str; 5] = ["data.path", "start.weights", "distill.teacher", "gram.teacher", "evaluate.dense"];

/// Kinds of all [`FIELDS`], told from a recipe's own types.
static KINDS: LazyLock<Vec<RecipeFieldKind>> = LazyLock::new(|| {
    let kind = |(field, value): &(&RecipeField, Value)| match value {
        Value::Integer(_) => RecipeFieldKind::Whole,
        Value::Float(_) => RecipeFieldKind::Number,
        Value::Array(_) => RecipeFieldKind::Pair,
        Value::Boolean(_) => RecipeFieldKind::Switch,
        _ if !choices(field.key).is_empty() => RecipeFieldKind::Choice(choices(field.key)),
        _ if PATHS.contains(&field.key) => RecipeFieldKind::Path,
        _ => RecipeFieldKind::Text,
    };
    Recipe::preset("nano").and_then(|nano| values(&nano)).unwrap_or_default().iter().map(kind).collect()
});

/// The kind of value that the field called `key` holds; `None` without such a field.
pub fn kind(key: &str) -> Option<RecipeFieldKind> {
    KINDS.get(FIELDS.iter().position(|f| f.key == key)?).copied()
}

/// The words that the field called `key` may hold; empty for fields of other kinds.
pub fn choices(key: &str) -> &'static [&'static str] {
    match key {
        "model.ffn" => words::<FfnKind>(),
        "model.positions" => words::<PositionKind>(),
        "crops.blur" => words::<BlurPreset>(),
        "loss.centering" => words::<Centering>(),
        "loss.koleo_group" => words::<KoleoGroup>(),
        "optim.schedule" => words::<LrSchedule>(),
        "distill.method" => words::<DistillMethod>(),
        "train.precision" => words::<TrainPrecision>(),
        "train.matmul_precision" => words::<MatmulPrecision>(),
        "train.shard" => words::<ShardKind>(),
        "train.wire" => words::<RankWire>(),
        "data.scene_kind" => words::<SceneKind>(),
        _ => &[],
    }
}

/// Whether the field called `key` may change while a run goes on ([`RecipeField::live`]).
pub fn live(key: &str) -> bool {
    field(key).is_some_and(|f| f.live)
}

/// The value of the field called `key`; `None` without such a field.
pub fn get(recipe: &Recipe, key: &str) -> Option<Value> {
    field(key)?;
    at(&to_table(recipe).ok()?, key).cloned()
}

/// All [`FIELDS`] with their values: one pass for someone who shows them all.
///
/// # Errors
/// Never for a recipe that was validated.
pub fn values(recipe: &Recipe) -> Result<Vec<(&'static RecipeField, Value)>, RecipeError> {
    let table = to_table(recipe)?;
    Ok(FIELDS.iter().filter_map(|field| Some((field, at(&table, field.key)?.clone()))).collect())
}

/// The recipe with another value of the field called `key`. A whole number is accepted where a fraction is meant.
///
/// # Errors
/// Names the field and what is allowed: there is no such field, the value is of another kind or out of range, or it
/// does not go together with the recipe's other values.
pub fn set(recipe: &Recipe, key: &str, value: Value) -> Result<Recipe, RecipeError> {
    from_table(check::set_one(to_table(recipe)?, key, value)?)
}

/// Names of the fields in which two recipes differ, in the order of the file.
///
/// # Errors
/// Never for recipes that were validated.
pub fn differences(a: &Recipe, b: &Recipe) -> Result<Vec<&'static str>, RecipeError> {
    let (a, b) = (to_table(a)?, to_table(b)?);
    Ok(FIELDS.iter().map(|f| f.key).filter(|key| at(&a, key) != at(&b, key)).collect())
}

/// `now` with the live fields of `wanted`, and the names of the other fields in which the two differ.
///
/// # Errors
/// When a value of `wanted` is out of range.
pub fn take_over(now: &Recipe, wanted: &Recipe) -> Result<(Recipe, Vec<String>), RecipeError> {
    let (free, bound): (Vec<_>, Vec<_>) = differences(now, wanted)?.into_iter().partition(|key| live(key));
    let values = to_table(wanted)?;
    let table = free.into_iter().try_fold(to_table(now)?, |table, key| match at(&values, key) {
        Some(value) => check::set_one(table, key, value.clone()),
        None => Ok(table),
    })?;
    Ok((from_table(table)?, bound.into_iter().map(str::to_owned).collect()))
}

/// All fields as a Markdown table with their values in the `nano` preset, for the documentation.
///
/// # Errors
/// Never for the presets of this crate.
pub fn markdown() -> Result<String, RecipeError> {
    let nano = to_table(&Recipe::preset("nano")?)?;
    let mut text = String::from("| field | meaning | unit | range | `nano` |\n|---|---|---|---|---|\n");
    for f in FIELDS {
        let value = at(&nano, f.key).map_or(String::new(), |v| v.to_string().replace('"', ""));
        let range = match f.range {
            (low, high) if high > low => format!("{low} to {high}"),
            _ => String::new(),
        };
        text += &format!("| `{}` | {} | {} | {range} | {value} |\n", f.key, f.meaning, f.unit);
    }
    Ok(text)
}

/// The value at a dotted name.
fn at<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

pub(in crate::train) fn to_table(recipe: &Recipe) -> Result<Table, RecipeError> {
    Table::try_from(recipe).map_err(|e| RecipeError::Syntax(e.to_string()))
}

#[cfg(test)]
mod tests;
