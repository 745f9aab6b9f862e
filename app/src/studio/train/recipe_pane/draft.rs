//! A recipe while it is edited: what was typed, where it differs from its preset, and what is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dinoscope_core::data::source::builtin::BUILTIN_WORDS;
use dinoscope_core::data::source::places::SourcePaths;
use dinoscope_core::train::fields::{self, RecipeField, RecipeFieldKind};
use dinoscope_core::train::recipe::presets;
use dinoscope_core::train::{Recipe, RecipeError};
use toml::Value;

/// A recipe while it is edited.
#[derive(Clone)]
pub struct RecipeDraft {
    preset: Recipe,
    /// What was typed, by field; only where it is not what the preset says.
    typed: BTreeMap<&'static str, String>,
    errors: BTreeMap<&'static str, String>,
    /// The recipe, while nothing is wrong.
    recipe: Option<Arc<Recipe>>,
    /// Rises with every change of the recipe.
    version: u64,
}

impl Default for RecipeDraft {
    /// What shows learning within a minute.
    fn default() -> Self {
        // Presets are ours: a test builds them all.
        Self::preset(presets::DEMO).unwrap_or_else(|error| unreachable!("{error}"))
    }
}

impl RecipeDraft {
    /// A preset, unchanged.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn preset(name: &str) -> Result<Self, RecipeError> {
        let preset = Recipe::preset(name)?;
        let recipe = Some(Arc::new(preset.clone()));
        Ok(Self { preset, typed: BTreeMap::new(), errors: BTreeMap::new(), recipe, version: 0 })
    }

    /// A recipe, as changes of its preset.
    ///
    /// # Errors
    /// When its preset does not exist.
    pub fn of(recipe: &Recipe) -> Result<Self, RecipeError> {
        let mut draft = Self::preset(&recipe.preset)?;
        for key in fields::differences(&draft.preset, recipe)? {
            if let Some(value) = fields::get(recipe, key) {
                draft.typed.insert(key, shown(&value));
            }
        }
        draft.check();
        Ok(draft)
    }

    /// Another preset. What pictures are trained on stays as it is: it has nothing to do with the model.
    pub fn choose_preset(&mut self, name: &str) {
        let Ok(preset) = Recipe::preset(name) else { return };
        self.preset = preset;
        self.typed.retain(|key, _| matches!(*key, "data.path" | "data.labels"));
        self.drop_what_is_not_changed();
        self.check();
    }

    /// Takes over all of another one.
    pub fn adopt(&mut self, other: Self) {
        self.replace(other);
    }

    /// The same; gives what there was before.
    pub fn replace(&mut self, other: Self) -> Self {
        let version = self.version.max(other.version) + 1;
        std::mem::replace(self, Self { version, ..other })
    }

    /// The preset that it started from.
    pub fn preset_name(&self) -> &str {
        &self.preset.preset
    }

    /// The recipe.
    ///
    /// # Errors
    /// The first field that is wrong, with what is wrong about it.
    pub fn recipe(&self) -> Result<&Arc<Recipe>, String> {
        match (&self.recipe, self.errors.first_key_value()) {
            (Some(recipe), _) => Ok(recipe),
            (None, Some((key, what))) => Err(format!("{key}: {what}")),
            (None, None) => Err("the recipe can't be used".to_owned()),
        }
    }

    /// Rises whenever the recipe changes.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What stands in a field.
    pub fn text(&self, key: &str) -> String {
        self.typed.get(key).cloned().unwrap_or_else(|| self.default_text(key))
    }

    /// What the preset says.
    pub fn default_text(&self, key: &str) -> String {
        fields::get(&self.preset, key).map(|value| shown(&value)).unwrap_or_default()
    }

    /// Types into a field.
    pub fn set(&mut self, key: &'static str, text: impl Into<String>) {
        let text = text.into();
        if self.text(key) == text {
            return;
        }
        self.typed.insert(key, text);
        self.drop_what_is_not_changed();
        self.check();
    }

    /// The preset's value again.
    pub fn put_back(&mut self, key: &str) {
        if self.typed.remove(key).is_some() {
            self.check();
        }
    }

    /// The preset's value again in every field, but not other pictures.
    pub fn put_all_back(&mut self) {
        self.typed.retain(|key, _| matches!(*key, "data.path" | "data.labels"));
        self.check();
    }

    /// Whether a field is not what the preset says.
    pub fn is_changed(&self, key: &str) -> bool {
        self.typed.contains_key(key)
    }

    /// How many fields of a section are changed; of all with an empty name.
    pub fn changed_in(&self, section: &str) -> usize {
        self.typed.keys().filter(|key| section.is_empty() || section_of(key) == section).count()
    }

    /// What is wrong with a field.
    pub fn error(&self, key: &str) -> Option<&str> {
        self.errors.get(key).map(String::as_str)
    }

    /// How many fields of a section are wrong.
    pub fn errors_in(&self, section: &str) -> usize {
        self.errors.keys().filter(|key| section_of(key) == section).count()
    }

    fn drop_what_is_not_changed(&mut self) {
        let preset = &self.preset;
        self.typed.retain(|key, text| {
            let value = fields::field(key).and_then(|field| parse(field, text).ok());
            value.is_none() || value != fields::get(preset, key)
        });
    }

    /// Every field by itself, then all together.
    fn check(&mut self) {
        self.version += 1;
        self.errors.clear();
        let mut pairs = Vec::new();
        for (key, text) in &self.typed {
            match fields::field(key).map(|field| parse(field, text)) {
                Some(Ok(value)) => pairs.push(format!("{key}={value}")),
                Some(Err(what)) => {
                    self.errors.insert(key, what);
                }
                None => {}
            }
        }
        let together = self.preset.with_overrides(&pairs);
        match together {
            Ok(recipe) => self.recipe = self.errors.is_empty().then(|| Arc::new(recipe)),
            Err(error) => {
                self.recipe = None;
                let (key, what) = match error {
                    RecipeError::Range { field, allowed, .. } => (field, allowed),
                    other => (String::new(), other.to_string()),
                };
                let key = fields::field(&key).map_or("preset", |field| field.key);
                self.errors.entry(key).or_insert(what);
            }
        }
    }
}

/// The part of a name before the point; nothing for `preset`.
pub fn section_of(key: &str) -> &str {
    key.split_once('.').map_or("", |(section, _)| section)
}

/// A value as a person writes it.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Float(x) => number(*x),
        // Several places: `["a", "b"]`.
        Value::Array(items) if items.iter().any(Value::is_str) => value.to_string(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A number without noughts that say nothing.
pub fn number(x: f64) -> String {
    if x != 0.0 && (x.abs() < 1e-3 || x.abs() >= 1e7) { format!("{x:e}") } else { x.to_string() }
}

/// The value that a text stands for, within the field's own range.
fn parse(field: &RecipeField, text: &str) -> Result<Value, String> {
    let text = text.trim();
    let (low, high) = field.range;
    let allowed = || format!("{} to {} is allowed", number(low), number(high));
    let within = |x: f64| if (low..=high).contains(&x) { Ok(x) } else { Err(allowed()) };
    let plain: String = text.chars().filter(|c| !matches!(c, '_' | ' ' | '\u{202f}')).collect();
    match fields::kind(field.key) {
        Some(RecipeFieldKind::Whole) => {
            let number: i64 =
                plain.parse().map_err(|_| format!("a whole number is needed; {}", allowed()))?;
            within(number as f64).map(|_| Value::Integer(number))
        }
        Some(RecipeFieldKind::Number) => {
            let number: f64 = plain.parse().map_err(|_| format!("a number is needed; {}", allowed()))?;
            within(number).map(Value::Float)
        }
        Some(RecipeFieldKind::Pair) => {
            let parts: Vec<Option<f64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
            let [Some(a), Some(b)] = parts[..] else { return Err("two numbers are needed".to_owned()) };
            Ok(Value::Array(vec![Value::Float(within(a)?), Value::Float(within(b)?)]))
        }
        Some(RecipeFieldKind::Switch) => {
            text.parse().map(Value::Boolean).map_err(|_| "true or false is needed".to_owned())
        }
        Some(RecipeFieldKind::Choice(words)) if words.contains(&text) => Ok(Value::String(text.to_owned())),
        Some(RecipeFieldKind::Choice(words)) => Err(format!("one of {} is needed", words.join(", "))),
        Some(RecipeFieldKind::Path) if text.is_empty() && field.key == "data.path" => {
            Err(format!("a folder is needed, or {BUILTIN_WORDS}"))
        }
        Some(RecipeFieldKind::Path) if field.key == "data.path" => {
            Value::try_from(SourcePaths::from_text(text)).map_err(|error| error.to_string())
        }
        Some(RecipeFieldKind::Path | RecipeFieldKind::Text) | None => Ok(Value::String(text.to_owned())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn nano() -> RecipeDraft {
        RecipeDraft::preset("nano").unwrap()
    }

    #[test]
    fn what_is_typed_changes_the_recipe_and_can_be_put_back() {
        let mut draft = nano();
        let before = draft.version();
        draft.set("train.batch", "16");
        assert_eq!(draft.recipe().unwrap().train.batch, 16);
        assert!(draft.is_changed("train.batch") && draft.version() > before);
        assert_eq!((draft.changed_in("train"), draft.changed_in("model"), draft.changed_in("")), (1, 0, 1));
        draft.put_back("train.batch");
        assert_eq!(**draft.recipe().unwrap(), Recipe::preset("nano").unwrap());
        draft.set("optim.base_lr", "0.020");
        assert!(!draft.is_changed("optim.base_lr"), "the same number, written otherwise");
        draft.set("crops.global_scale", "0.25, 0.75");
        assert_eq!(draft.recipe().unwrap().crops.global_scale, [0.25, 0.75]);
        draft.set("data.path", "/a \"strange\" folder\\");
        assert_eq!(draft.recipe().unwrap().data.path, "/a \"strange\" folder\\");
        draft.put_all_back();
        assert!(draft.is_changed("data.path") && !draft.is_changed("crops.global_scale"));
    }

    #[test]
    fn pictures_of_several_places_are_written_as_a_list() {
        let mut draft = nano();
        draft.set("data.path", r#"["/a", "/b c"]"#);
        assert_eq!(draft.recipe().unwrap().data.path.paths().len(), 2);
        assert_eq!(RecipeDraft::of(draft.recipe().unwrap()).unwrap().text("data.path"), r#"["/a", "/b c"]"#);
        draft.set("data.path", r#"["/a", "scenes:odd"]"#);
        assert!(draft.recipe().unwrap_err().contains("easy or varied"));
    }

    #[test]
    fn a_wrong_value_stands_where_it_was_typed_with_what_is_allowed() {
        let mut draft = nano();
        for (key, text, wanted) in [
            ("train.batch", "many", "a whole number is needed"),
            ("train.batch", "0", "1 to 65536 is allowed"),
            ("optim.clip", "", "a number is needed"),
            ("crops.global_scale", "0.5", "two numbers are needed"),
            ("crops.global_scale", "0.5, 7", "is allowed"),
            ("model.ffn", "gated", "mlp"),
            ("optim.clip", "NaN", "is allowed"),
        ] {
            draft.set(key, text);
            assert_eq!(draft.text(key), text);
            assert!(draft.error(key).unwrap().contains(wanted), "{key} = {text}: {:?}", draft.error(key));
            assert!(draft.recipe().unwrap_err().contains(key), "{key}");
            draft.put_back(key);
            assert!(draft.recipe().is_ok());
        }
    }

    #[test]
    fn fields_that_belong_together_may_be_changed_one_after_the_other() {
        let mut draft = nano();
        draft.set("model.patch", "14");
        let told = draft.error("crops.global_size").unwrap().to_owned();
        assert!(told.contains("multiple of model.patch = 14"), "{told}");
        assert_eq!((draft.errors_in("crops"), draft.errors_in("model")), (1, 0));
        draft.set("crops.global_size", "56");
        draft.set("crops.local_size", "28");
        assert_eq!(draft.recipe().unwrap().model.patch, 14);
    }

    #[test]
    fn a_recipe_is_its_preset_and_what_differs() {
        let pairs = ["train.batch=16".to_owned(), "loss.centering=softmax".to_owned()];
        let recipe = Recipe::preset("tiny").unwrap().with_overrides(&pairs).unwrap();
        let mut draft = RecipeDraft::of(&recipe).unwrap();
        assert_eq!(**draft.recipe().unwrap(), recipe);
        assert_eq!((draft.preset_name(), draft.changed_in("")), ("tiny", 2));
        draft.set("data.path", "/pictures");
        draft.choose_preset("nano");
        assert_eq!((draft.preset_name(), draft.changed_in("")), ("nano", 1));
        assert_eq!(draft.recipe().unwrap().data.path, "/pictures");
    }

    #[test]
    fn every_value_of_every_preset_survives_being_shown() {
        for name in dinoscope_core::train::presets::NAMES {
            let preset = Recipe::preset(name).unwrap();
            for field in fields::FIELDS {
                let value = fields::get(&preset, field.key).unwrap();
                assert_eq!(parse(field, &shown(&value)), Ok(value), "{name}: {}", field.key);
            }
        }
    }
}
