//! Every field of a recipe with its meaning, unit and range: for error messages, `--help` and recipe editors.

use toml::{Table, Value};

use super::recipe::{Recipe, RecipeError};

/// One field of a recipe.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Dotted name, as in `--set train.batch=32`.
    pub key: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Unit, or empty.
    pub unit: &'static str,
    /// Smallest and largest allowed number; not used for words and switches.
    pub range: (f64, f64),
}

const fn f(key: &'static str, meaning: &'static str, unit: &'static str, low: f64, high: f64) -> Field {
    Field { key, meaning, unit, range: (low, high) }
}

const HUGE: f64 = 1e9;

/// All fields, in the order of the file.
pub const FIELDS: &[Field] = &[
    f("preset", "Name of the recipe that this one started from", "", 0.0, 0.0),
    f("model.patch", "Side of a patch", "pixels", 1.0, 64.0),
    f("model.dim", "Width of a token; a multiple of the heads", "", 1.0, 8192.0),
    f("model.depth", "Transformer blocks", "", 1.0, 128.0),
    f("model.heads", "Attention heads", "", 1.0, 128.0),
    f("model.ffn", "Feed-forward network: mlp or swiglu", "", 0.0, 0.0),
    f("model.registers", "Register tokens (Darcet et al. 2023)", "", 0.0, 64.0),
    f("model.layerscale", "Initial gain of the residual branches; 0 for none", "", 0.0, 10.0),
    f("model.drop_path", "Share of crops that skip a residual branch in training", "", 0.0, 0.95),
    f("model.interpolate_offset", "Added to the grid when positions are resampled", "patches", 0.0, 1.0),
    f("model.interpolate_antialias", "Resample positions with antialiasing", "", 0.0, 0.0),
    f("crops.global_size", "Side of the two global crops; a multiple of the patch", "pixels", 1.0, 4096.0),
    f("crops.local_size", "Side of the local crops; a multiple of the patch", "pixels", 1.0, 4096.0),
    f("crops.locals", "Local crops per picture", "", 0.0, 64.0),
    f("crops.global_scale", "Area of a global crop, from and to", "share of the picture", 1e-4, 1.0),
    f("crops.local_scale", "Area of a local crop, from and to", "share of the picture", 1e-4, 1.0),
    f("crops.blur", "Blur probabilities: official (0, 0.9, 0.5) or intended (1, 0.1, 0.5)", "", 0.0, 0.0),
    f("crops.brightness", "Jitter of the brightness, as a factor of 1 ± this", "", 0.0, 1.0),
    f("crops.contrast", "Jitter of the contrast, as a factor of 1 ± this", "", 0.0, 1.0),
    f("crops.saturation", "Jitter of the saturation, as a factor of 1 ± this", "", 0.0, 1.0),
    f("crops.hue", "Jitter of the hue; 0.5 reaches every colour", "turns", 0.0, 0.5),
    f("crops.grayscale", "Share of crops without colour", "", 0.0, 1.0),
    f("crops.solarize", "Share of second global crops that are solarised", "", 0.0, 1.0),
    f("mask.probability", "Share of global crops that are masked", "", 0.0, 1.0),
    f("mask.ratio_min", "Smallest masked share of a masked crop", "", 0.0, 1.0),
    f("mask.ratio_max", "Largest masked share of a masked crop", "", 0.0, 1.0),
    f("head.prototypes", "Prototypes of the DINO head, K", "", 2.0, 1_048_576.0),
    f("head.hidden", "Hidden width of the heads", "", 1.0, 65_536.0),
    f("head.bottleneck", "Width before the prototypes", "", 1.0, 65_536.0),
    f("head.layers", "Linear layers of the heads' MLP", "", 1.0, 8.0),
    f("head.separate_ibot", "A head of its own for iBOT", "", 0.0, 0.0),
    f("head.ibot_prototypes", "Prototypes of a separate iBOT head", "", 2.0, 1_048_576.0),
    f("head.ibot_bottleneck", "Width before the prototypes of a separate iBOT head", "", 1.0, 65_536.0),
    f("loss.dino", "Weight of the DINO loss", "", 0.0, 100.0),
    f("loss.ibot", "Weight of the iBOT loss", "", 0.0, 100.0),
    f("loss.koleo", "Weight of the KoLeo regulariser", "", 0.0, 100.0),
    f("loss.centering", "Teacher centering: softmax or sinkhorn-knopp", "", 0.0, 0.0),
    f(
        "optim.base_lr",
        "Peak learning rate for a batch of 1024; scales with the root of the batch",
        "",
        0.0,
        10.0,
    ),
    f("optim.min_lr", "Learning rate at the end", "", 0.0, 10.0),
    f("optim.warmup", "Length of the learning rate's warm-up", "iterations", 0.0, HUGE),
    f("optim.weight_decay", "Weight decay at the beginning", "", 0.0, 10.0),
    f("optim.weight_decay_end", "Weight decay at the end", "", 0.0, 10.0),
    f("optim.layer_decay", "Factor on the learning rate from each block to the one below", "", 0.01, 1.0),
    f("optim.patch_embed_lr", "Factor on the learning rate of the patch embedding", "", 0.0, 10.0),
    f("optim.beta1", "AdamW's decay of the first moment", "", 0.0, 0.9999),
    f("optim.beta2", "AdamW's decay of the second moment", "", 0.0, 0.999999),
    f(
        "optim.clip",
        "Largest gradient norm of the backbone and of each head; 0 for no clipping",
        "",
        0.0,
        HUGE,
    ),
    f("optim.freeze_last_layer", "How long the heads' last layers are held", "iterations", 0.0, HUGE),
    f("optim.momentum", "Momentum of the teacher at the beginning", "", 0.0, 1.0),
    f("optim.momentum_end", "Momentum of the teacher at the end", "", 0.0, 1.0),
    f("optim.teacher_temp_start", "Temperature of the teacher at the beginning", "", 0.001, 10.0),
    f("optim.teacher_temp", "Temperature of the teacher after its warm-up", "", 0.001, 10.0),
    f("optim.teacher_temp_warmup", "Length of the temperature's warm-up", "iterations", 0.0, HUGE),
    f("train.iterations", "Length of the run", "iterations", 1.0, HUGE),
    f("train.batch", "Pictures per step, all parts together", "pictures", 1.0, 65_536.0),
    f(
        "train.accumulate",
        "Parts that a batch is computed in; exact, costs a second student pass",
        "",
        1.0,
        65_536.0,
    ),
    f(
        "train.precision",
        "Numbers of the residual branches: f32, f16 or bf16; weights stay f32",
        "",
        0.0,
        0.0,
    ),
    f(
        "train.checkpoint_activations",
        "Keep less of the forward pass and compute it again: less memory, more work",
        "",
        0.0,
        0.0,
    ),
    f("train.seed", "Seed of weights, order, crops and masks", "", 0.0, 9e15),
    f("train.workers", "Threads that prepare pictures; 0 chooses", "", 0.0, 256.0),
    f("train.report_every", "Iterations between two reports", "iterations", 1.0, HUGE),
    f(
        "train.picture_every",
        "Iterations between two pictures of the watched images; 0 for none",
        "iterations",
        0.0,
        HUGE,
    ),
    f("train.evaluate_every", "Iterations between two k-NN evaluations; 0 for none", "iterations", 0.0, HUGE),
    f("train.checkpoint_every", "Iterations between two checkpoints", "iterations", 1.0, HUGE),
    f("train.keep_checkpoints", "Newest checkpoints that are kept", "", 1.0, 1e6),
    f("data.path", "A folder of pictures, an IDX file, or `scenes` for the built-in pictures", "", 0.0, 0.0),
    f("data.labels", "Take the names of subfolders as labels", "", 0.0, 0.0),
    f("data.scenes", "How many built-in pictures", "pictures", 1.0, 1e8),
    f("data.scene_size", "Side of the built-in pictures", "pixels", 8.0, 4096.0),
    f("data.scene_seed", "Seed of the built-in pictures", "", 0.0, 9e15),
];

/// The field called `key`.
pub fn field(key: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|f| f.key == key)
}

/// All fields as a Markdown table with their values in the `nano` preset, for the documentation.
///
/// # Errors
/// Never for the presets of this crate.
pub fn markdown() -> Result<String, RecipeError> {
    let nano = to_table(&Recipe::preset("nano")?)?;
    let mut text = String::from("| field | meaning | unit | range | `nano` |\n|---|---|---|---|---|\n");
    for f in FIELDS {
        let value = get(&nano, f.key).map_or(String::new(), |v| v.to_string().replace('"', ""));
        let range = match f.range {
            (low, high) if high > low => format!("{low} to {high}"),
            _ => String::new(),
        };
        text += &format!("| `{}` | {} | {} | {range} | {value} |\n", f.key, f.meaning, f.unit);
    }
    Ok(text)
}

/// The value at a dotted name.
pub(super) fn get<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

pub(super) fn to_table(recipe: &Recipe) -> Result<Table, RecipeError> {
    Table::try_from(recipe).map_err(|e| RecipeError::Syntax(e.to_string()))
}

/// A recipe from a complete table, every value in range.
pub(super) fn from_table(table: Table) -> Result<Recipe, RecipeError> {
    check_ranges(&table, "")?;
    let recipe: Recipe = table.try_into().map_err(|e: toml::de::Error| RecipeError::Syntax(e.to_string()))?;
    check_together(&recipe)?;
    Ok(recipe)
}

/// `over` laid over `base`; a key that `base` does not have is an error.
pub(super) fn merge(mut base: Table, over: Table, prefix: &str) -> Result<Table, RecipeError> {
    for (key, value) in over {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let Some(old) = base.get_mut(&key) else { return Err(unknown(&path)) };
        *old = match (old.clone(), value) {
            (Value::Table(old), Value::Table(new)) => Value::Table(merge(old, new, &path)?),
            (old, new) => fit(&path, &old, new)?,
        };
    }
    Ok(base)
}

/// Applies `key=value` pairs.
pub(super) fn set_all(mut table: Table, pairs: &[String]) -> Result<Table, RecipeError> {
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(RecipeError::Syntax(format!(
                "`{pair}` is not key=value, for instance train.batch=32"
            )));
        };
        let (key, value) = (key.trim(), value.trim());
        if field(key).is_none() {
            return Err(unknown(key));
        }
        // Numbers, switches and lists parse as TOML; anything else is a word.
        let parsed = format!("v = {value}").parse::<Table>().ok().and_then(|t| t.get("v").cloned());
        let value = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
        let mut over = value;
        for part in key.rsplit('.') {
            over = Value::Table(Table::from_iter([(part.to_owned(), over)]));
        }
        if let Value::Table(over) = over {
            table = merge(table, over, "")?;
        }
    }
    Ok(table)
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
    if r.loss.dino == 0.0 && r.loss.ibot == 0.0 {
        return Err(range(
            "loss.dino",
            "0",
            "loss.dino and loss.ibot must not both be 0: nothing would be learned",
        ));
    }
    Ok(())
}

fn range(field: &str, value: &str, allowed: &str) -> RecipeError {
    RecipeError::Range { field: field.to_owned(), value: value.to_owned(), allowed: allowed.to_owned() }
}

fn unknown(key: &str) -> RecipeError {
    let (section, last) = key.rsplit_once('.').unwrap_or(("", key));
    let same_name: Vec<&str> =
        FIELDS.iter().map(|f| f.key).filter(|k| k.rsplit('.').next() == Some(last)).collect();
    let siblings: Vec<&str> = FIELDS
        .iter()
        .map(|f| f.key)
        .filter(|k| !section.is_empty() && k.starts_with(&format!("{section}.")))
        .collect();
    let hint = match (same_name.as_slice(), siblings.as_slice()) {
        ([], []) => "sections are model, crops, mask, head, loss, optim, train, data".to_owned(),
        ([], siblings) => format!("fields of {section} are {}", siblings.join(", ")),
        (same, _) => format!("did you mean {}?", same.join(" or ")),
    };
    RecipeError::Unknown { field: key.to_owned(), hint }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn set(pairs: &[&str]) -> Result<Recipe, String> {
        let pairs: Vec<String> = pairs.iter().map(|s| (*s).to_owned()).collect();
        Recipe::preset("nano").unwrap().with_overrides(&pairs).map_err(|e| e.to_string())
    }

    fn leaves(table: &Table, prefix: &str, out: &mut Vec<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                Value::Table(inner) => leaves(inner, &path, out),
                _ => out.push(path),
            }
        }
    }

    #[test]
    fn the_table_and_the_struct_name_the_same_fields() {
        let mut names = Vec::new();
        leaves(&to_table(&Recipe::preset("nano").unwrap()).unwrap(), "", &mut names);
        let mut keys: Vec<&str> = FIELDS.iter().map(|f| f.key).collect();
        names.sort();
        keys.sort();
        assert_eq!(names, keys);
    }

    #[test]
    fn values_are_set_by_name() {
        let r =
            set(&["train.batch=8", "loss.centering=softmax", "crops.global_scale=[0.5, 1]", "optim.clip=1"]);
        let r = r.unwrap();
        assert_eq!(r.train.batch, 8);
        assert_eq!(r.crops.global_scale, [0.5, 1.0]);
        assert_eq!(r.optim.clip, 1.0);
    }

    #[test]
    fn mistakes_name_the_field_and_the_way_out() {
        for (pair, wanted) in [
            ("train.bach=8", "fields of train are"),
            ("batch=8", "did you mean train.batch?"),
            ("train.batch=0", "allowed is 1 to 65536"),
            ("train.batch=ten", "must be a whole number"),
            ("train.batch=1.5", "must be a whole number"),
            ("model.ffn=gated", "gated"),
            ("crops.global_size=65", "multiple of model.patch = 8, for instance 64 or 72"),
            ("optim.base_lr=nan", "allowed is"),
            ("train.accumulate=5", "multiple of train.accumulate"),
            ("crops.local_scale=[0.5,0.1]", "must not be above"),
            ("optim.warmup=1000", "train.iterations"),
            ("whatever", "key=value"),
        ] {
            let message = set(&[pair]).unwrap_err();
            assert!(message.contains(wanted), "{pair}: {message}");
        }
    }

    #[test]
    fn a_file_changes_its_preset() {
        let r =
            Recipe::from_toml("preset = \"tiny\"\n[train]\nbatch = 8\n", &["train.seed=3".into()]).unwrap();
        assert_eq!((r.preset.as_str(), r.train.batch, r.train.seed, r.model.dim), ("tiny", 8, 3, 192));
        assert!(
            Recipe::from_toml("preset = \"huge\"", &[]).unwrap_err().to_string().contains("presets are nano")
        );
        assert!(Recipe::from_toml("[train]\nbatch = ", &[]).is_err());
        assert!(Recipe::from_toml("[trian]\nbatch = 3", &[]).is_err());
    }
}
