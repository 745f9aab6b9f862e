//! From values to a recipe: what is laid over what, and what is refused with which way out.

use toml::{Table, Value};

use super::{field, near};
use crate::data::channels::takes_colours;
use crate::data::source::builtin::BuiltinPictures;
use crate::data::source::datasets::PublicDataset;
use crate::data::source::dense::DepthUnit;
use crate::data::source::places::SourcePaths;
use crate::train::recipe::{PixelChoice, PositionKind, Recipe, RecipeError};

/// A recipe from a complete table, every value in range.
pub(in crate::train) fn from_table(table: Table) -> Result<Recipe, RecipeError> {
    check_ranges(&table, "")?;
    let recipe: Recipe = table.try_into().map_err(|e: toml::de::Error| RecipeError::Syntax(e.to_string()))?;
    check_together(&recipe)?;
    Ok(recipe)
}

/// `over` laid over `base`; a key that `base` does not have is an error.
pub(in crate::train) fn merge(mut base: Table, over: Table, prefix: &str) -> Result<Table, RecipeError> {
    for (key, value) in over {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let Some(old) = base.get_mut(&key) else { return Err(unknown(&first_leaf(path, &value))) };
        *old = match (old.clone(), value) {
            (Value::Table(old), Value::Table(new)) => Value::Table(merge(old, new, &path)?),
            (old, new) => fit(&path, &old, new)?,
        };
    }
    Ok(base)
}

/// The name of the first field in an unknown section, which says best what was meant.
fn first_leaf(path: String, value: &Value) -> String {
    match value.as_table().and_then(|section| section.iter().next()) {
        Some((key, inner)) => first_leaf(format!("{path}.{key}"), inner),
        None => path,
    }
}

/// Applies `key=value` pairs.
pub(in crate::train) fn set_all(mut table: Table, pairs: &[String]) -> Result<Table, RecipeError> {
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(RecipeError::Syntax(format!(
                "`{pair}` is not key=value, for instance train.batch=32"
            )));
        };
        let (key, value) = (key.trim(), value.trim());
        // Numbers, switches and lists parse as TOML; anything else is a word.
        let parsed = format!("v = {value}").parse::<Table>().ok().and_then(|t| t.get("v").cloned());
        let value = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
        table = set_one(table, key, value)?;
    }
    Ok(table)
}

/// Puts a value at a dotted name.
pub(super) fn set_one(table: Table, key: &str, value: Value) -> Result<Table, RecipeError> {
    if field(key).is_none() {
        return Err(unknown(key));
    }
    let mut parts = key.rsplit('.');
    let last = parts.next().unwrap_or(key);
    let innermost = Table::from_iter([(last.to_owned(), value)]);
    let over =
        parts.fold(innermost, |inner, part| Table::from_iter([(part.to_owned(), Value::Table(inner))]));
    merge(table, over, "")
}

/// `new` as the type that `old` has: whole numbers are accepted for fractions, nothing else is bent.
fn fit(key: &str, old: &Value, new: Value) -> Result<Value, RecipeError> {
    let refuse = |wanted: &str, new: &Value| {
        let about = field(key).map_or("", |f| f.meaning);
        Err(range(key, &new.to_string(), &format!("it must be {wanted} ({about})")))
    };
    match (old, new) {
        (Value::Float(_), Value::Integer(i)) => Ok(Value::Float(i as f64)),
        (Value::Float(_), new @ Value::Float(_)) => Ok(new),
        (Value::Float(_), new) => refuse("a number", &new),
        (Value::Integer(_), new @ Value::Integer(_)) => Ok(new),
        (Value::Integer(_), new) => refuse("a whole number", &new),
        (Value::Boolean(_), new @ Value::Boolean(_)) => Ok(new),
        (Value::Boolean(_), new) => refuse("true or false", &new),
        // Pictures may come from several places.
        (_, new) if key == "data.path" => places(key, new),
        (Value::String(_), new @ Value::String(_)) => Ok(new),
        (Value::String(_), new) => refuse("a word", &new),
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            let fitted = old.iter().zip(new).map(|(o, n)| fit(key, o, n)).collect::<Result<_, _>>()?;
            Ok(Value::Array(fitted))
        }
        (Value::Array(old), new) => refuse(&format!("a list of {} numbers", old.len()), &new),
        (_, new) => refuse("a section", &new),
    }
}

/// One place or several, of which one is a word and several are a list.
fn places(key: &str, new: Value) -> Result<Value, RecipeError> {
    let refuse = |allowed: &str| Err(range(key, &new.to_string(), allowed));
    let Ok(places) = new.clone().try_into::<SourcePaths>() else {
        return refuse("it must be a place that pictures come from, or a list of such");
    };
    if places.only().is_none() && places.iter().any(|place| place.trim().is_empty()) {
        return refuse("one of the places is empty");
    }
    if let Err(allowed) = places.shared() {
        return refuse(&allowed);
    }
    Value::try_from(&places).map_err(|e| RecipeError::Syntax(e.to_string()))
}

fn check_ranges(table: &Table, prefix: &str) -> Result<(), RecipeError> {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => check_ranges(inner, &path)?,
            Value::Array(items) => items.iter().try_for_each(|item| check_number(&path, item))?,
            other => check_number(&path, other)?,
        }
    }
    Ok(())
}

fn check_number(key: &str, value: &Value) -> Result<(), RecipeError> {
    let number = match value {
        Value::Integer(i) => *i as f64,
        Value::Float(x) => *x,
        _ => return Ok(()),
    };
    let Some(field) = field(key) else { return Err(unknown(key)) };
    let (low, high) = field.range;
    if (low..=high).contains(&number) {
        return Ok(());
    }
    Err(range(key, &value.to_string(), &format!("allowed is {low} to {high} ({})", field.meaning)))
}

/// What must hold between fields.
fn check_together(r: &Recipe) -> Result<(), RecipeError> {
    let m = &r.model;
    let multiple = |key: &str, value: usize, of: &str, unit: usize| {
        if value.is_multiple_of(unit) && value > 0 {
            return Ok(());
        }
        let near = (value / unit).max(1) * unit;
        let allowed =
            format!("it must be a multiple of {of} = {unit}, for instance {near} or {}", near + unit);
        Err(range(key, &value.to_string(), &allowed))
    };
    multiple("model.dim", m.dim, "model.heads", m.heads)?;
    if m.positions == PositionKind::Rope && !(m.dim / m.heads).is_multiple_of(4) {
        let width = m.dim / m.heads;
        let allowed = format!(
            "with model.positions = \"rope\" a head's width must be a multiple of 4, and model.dim = {} has heads of {width}",
            m.dim
        );
        return Err(range("model.heads", &m.heads.to_string(), &allowed));
    }
    multiple("crops.global_size", r.crops.global_size, "model.patch", m.patch)?;
    multiple("crops.local_size", r.crops.local_size, "model.patch", m.patch)?;
    multiple("train.batch", r.train.batch, "train.accumulate", r.train.accumulate)?;
    for (key, [low, high]) in
        [("crops.global_scale", r.crops.global_scale), ("crops.local_scale", r.crops.local_scale)]
    {
        if low > high {
            return Err(range(
                key,
                &format!("[{low}, {high}]"),
                "the first number must not be above the second",
            ));
        }
    }
    if r.mask.ratio_min > r.mask.ratio_max {
        let allowed = format!("it must not be above mask.ratio_max = {}", r.mask.ratio_max);
        return Err(range("mask.ratio_min", &r.mask.ratio_min.to_string(), &allowed));
    }
    if r.optim.warmup > r.train.iterations {
        let allowed = format!("it must not be above train.iterations = {}", r.train.iterations);
        return Err(range("optim.warmup", &r.optim.warmup.to_string(), &allowed));
    }
    if let Err(allowed) = r.evaluate.depth_unit.parse::<DepthUnit>() {
        return Err(range("evaluate.depth_unit", &r.evaluate.depth_unit, &allowed));
    }
    check_channels(r)?;
    check_dense(r)?;
    check_start(r)?;
    check_distillation(r)?;
    check_gram(r)?;
    if r.loss.dino == 0.0 && r.loss.ibot == 0.0 {
        return Err(range(
            "loss.dino",
            "0",
            "loss.dino and loss.ibot must not both be 0: nothing would be learned",
        ));
    }
    Ok(())
}

/// What must hold for pictures of other channels than three.
fn check_channels(r: &Recipe) -> Result<(), RecipeError> {
    let channels = r.data.channels;
    if let PixelChoice::Given(pixels) = &r.data.normalize
        && pixels.channels() != channels
    {
        let allowed = format!("data.channels = {channels} takes as many means and deviations");
        return Err(range("data.normalize", &r.data.normalize.to_string(), &allowed));
    }
    // What is drawn has colours, which can become grey, or get an opacity.
    if takes_colours(channels) {
        return Ok(());
    }
    let value = channels.to_string();
    if r.data.path.has_builtin() {
        let allowed =
            "built-in pictures have colours: data.channels = 1, 3 or 4, or data.path of other pictures";
        return Err(range("data.channels", &value, allowed));
    }
    let drawn = matches!(BuiltinPictures::named(&r.evaluate.dense), Ok(Some(_)));
    if drawn && (r.evaluate.segment || r.evaluate.depth) {
        let allowed = "evaluate.dense names built-in pictures, which have colours: name a folder there";
        return Err(range("data.channels", &value, allowed));
    }
    Ok(())
}

/// What must hold for pictures with a truth for every pixel.
fn check_dense(r: &Recipe) -> Result<(), RecipeError> {
    let dense = &r.evaluate.dense;
    match BuiltinPictures::named(dense) {
        Ok(Some(BuiltinPictures::Procedural)) => {
            let allowed =
                "nothing is known of their pixels: name scenes, scenes:easy, scenes:varied or a folder";
            Err(range("evaluate.dense", dense, allowed))
        }
        Ok(None) if PublicDataset::named(dense).is_some() => {
            Err(range("evaluate.dense", dense, "nothing is known of its pixels: name scenes or a folder"))
        }
        Ok(_) => Ok(()),
        Err(allowed) => Err(range("evaluate.dense", dense, &allowed)),
    }
}

/// What must hold for weights to start from.
fn check_start(r: &Recipe) -> Result<(), RecipeError> {
    if r.start.heads && r.start.weights.is_empty() {
        return Err(range("start.heads", "true", "start.weights must name the run that they come from"));
    }
    if r.start.hold_backbone > r.train.iterations {
        let allowed = format!("it must not be above train.iterations = {}", r.train.iterations);
        return Err(range("start.hold_backbone", &r.start.hold_backbone.to_string(), &allowed));
    }
    Ok(())
}

/// What must hold for a frozen teacher.
fn check_distillation(r: &Recipe) -> Result<(), RecipeError> {
    let d = &r.distill;
    if d.is_on() && d.teacher.is_empty() {
        let method = format!("{:?}", d.method).to_lowercase();
        return Err(range("distill.method", &method, "distill.teacher must name the weights to learn from"));
    }
    if d.fixed_views && !d.of_features() {
        let allowed = "only distill.method = similarity or regression can keep what the teacher says";
        return Err(range("distill.fixed_views", "true", allowed));
    }
    if d.mixup && !d.of_features() {
        let allowed = "only distill.method = similarity or regression blends pictures";
        return Err(range("distill.mixup", "true", allowed));
    }
    if d.fixed_views && d.mixup {
        let allowed =
            "distill.fixed_views and distill.mixup exclude each other: blended views are never the same";
        return Err(range("distill.mixup", "true", allowed));
    }
    Ok(())
}

/// What must hold for a Gram teacher.
fn check_gram(r: &Recipe) -> Result<(), RecipeError> {
    if r.loss.gram == 0.0 {
        return Ok(());
    }
    let weight = r.loss.gram.to_string();
    if r.distill.is_on() {
        let allowed = "a Gram teacher is for pre-training; distill.method = none, or loss.gram = 0";
        return Err(range("loss.gram", &weight, allowed));
    }
    if r.gram.start >= r.train.iterations {
        let allowed = format!(
            "it must be below train.iterations = {}, or nothing would come of loss.gram",
            r.train.iterations
        );
        return Err(range("gram.start", &r.gram.start.to_string(), &allowed));
    }
    if r.gram.size > 0 && r.gram.size < r.model.patch {
        let allowed = format!("it must hold a patch of model.patch = {}; 0 chooses", r.model.patch);
        return Err(range("gram.size", &r.gram.size.to_string(), &allowed));
    }
    Ok(())
}

fn range(field: &str, value: &str, allowed: &str) -> RecipeError {
    RecipeError::Range { field: field.to_owned(), value: value.to_owned(), allowed: allowed.to_owned() }
}

fn unknown(key: &str) -> RecipeError {
    RecipeError::Unknown { field: key.to_owned(), hint: near::hint(key) }
}
