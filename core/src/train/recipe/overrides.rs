//! From a preset, a file and `key=value` pairs to a recipe with every value in range.

use std::collections::BTreeSet;

use crate::data::source::scenes::SceneKind;
use crate::train::fields;
use crate::train::recipe::{Recipe, RecipeError};

/// A recipe, and what was changed in it beside what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedRecipe {
    /// The recipe, every value in range.
    pub recipe: Recipe,
    /// A sentence for each field that had to follow another.
    pub notes: Vec<String>,
}

/// `table` with `key=value` pairs on top. `chosen` names the fields in which somebody made it differ from `base`.
fn resolved(
    base: &toml::Table,
    table: toml::Table,
    mut chosen: BTreeSet<String>,
    overrides: &[String],
) -> Result<ResolvedRecipe, RecipeError> {
    let table = fields::set_all(table, overrides)?;
    chosen.extend(overrides.iter().filter_map(|pair| Some(pair.split_once('=')?.0.trim().to_owned())));
    let (table, notes) = fields::shorten(base, table, &chosen)?;
    Ok(ResolvedRecipe { recipe: fields::from_table(table)?, notes })
}

/// Fields that versions before did not write.
const LATER_FIELDS: [&str; 3] = ["data.reduce", "data.scene_kind", "data.scene_views"];

/// Gives a file of a version before pictures were reduced and scenes had kinds what there was: all pixels, and one kind, which
/// it says unless an override names one. Such a file was written whole: it names the scenes' seed, which nobody names
/// who only wants scenes.
fn of_earlier_version(file: &mut toml::Table, overrides: &[String]) -> Option<String> {
    let data = file.get_mut("data")?.as_table_mut()?;
    if !data.contains_key("scene_seed") {
        return None;
    }
    data.entry("reduce").or_insert(toml::Value::Boolean(false));
    data.entry("scene_views").or_insert(toml::Value::Integer(1));
    if data.contains_key("scene_kind") {
        return None;
    }
    data.insert("scene_kind".to_owned(), toml::Value::String(SceneKind::Easy.to_string()));
    let named = |pair: &String| pair.split('=').next().is_some_and(|key| key.trim() == "data.scene_kind");
    let said = "scenes are easy ones, as before there were others: data.scene_kind = \"varied\" takes those";
    (!overrides.iter().any(named)).then(|| said.to_owned())
}

impl Recipe {
    /// Reads a recipe file: its `preset` (or `nano`), changed by whatever else the file says, then `key=value`
    /// pairs on top. Warm-ups that neither names and that are longer than a run whose length one of them names become
    /// shorter in proportion.
    ///
    /// # Errors
    /// Names the field and what is allowed.
    pub fn from_toml(text: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        Ok(Self::resolve_toml(text, overrides)?.recipe)
    }

    /// [`Recipe::from_toml`], with what was changed beside what was asked for.
    ///
    /// # Errors
    /// As [`Recipe::from_toml`].
    pub fn resolve_toml(text: &str, overrides: &[String]) -> Result<ResolvedRecipe, RecipeError> {
        let mut file: toml::Table =
            text.parse().map_err(|e: toml::de::Error| RecipeError::Syntax(e.to_string()))?;
        let preset = match file.get("preset") {
            Some(toml::Value::String(name)) => name.clone(),
            Some(other) => return Err(RecipeError::Syntax(format!("preset = {other} is not a name"))),
            None => "nano".to_owned(),
        };
        let base = fields::to_table(&Self::preset(&preset)?)?;
        let note = of_earlier_version(&mut file, overrides);
        let chosen = fields::keys(&file);
        let merged = fields::merge(base.clone(), file, "")?;
        let mut resolved = resolved(&base, merged, chosen, overrides)?;
        resolved.notes.extend(note.filter(|_| resolved.recipe.data.path.has_builtin()));
        Ok(resolved)
    }

    /// The same recipe with `key=value` pairs applied. Warm-ups that none of them names and that are longer than a run
    /// whose length one of them names become shorter in proportion.
    ///
    /// # Errors
    /// Names the field and what is allowed.
    pub fn with_overrides(&self, overrides: &[String]) -> Result<Self, RecipeError> {
        Ok(self.resolve(overrides)?.recipe)
    }

    /// [`Recipe::with_overrides`], with what was changed beside what was asked for.
    ///
    /// # Errors
    /// As [`Recipe::with_overrides`].
    pub fn resolve(&self, overrides: &[String]) -> Result<ResolvedRecipe, RecipeError> {
        let base = fields::to_table(self)?;
        resolved(&base, base.clone(), BTreeSet::new(), overrides)
    }

    /// `key=value` pairs of what this recipe of a run has in fields that earlier versions did not write, as far as `file`, which
    /// describes the run once more, names them as little: nobody wishes for another value by leaving them out.
    pub fn later_pairs(&self, file: &str) -> Vec<String> {
        let named = file.parse().map(|file: toml::Table| fields::keys(&file)).unwrap_or_default();
        let unnamed = LATER_FIELDS.iter().filter(|key| !named.contains(**key));
        unnamed.filter_map(|key| Some(format!("{key}={}", fields::get(self, key)?))).collect()
    }

    /// The same recipe with `key=value` pairs applied and nothing else changed: for a run that goes on, whose warm-ups are
    /// what they were.
    ///
    /// # Errors
    /// Names the field and what is allowed.
    pub fn exactly(&self, overrides: &[String]) -> Result<Self, RecipeError> {
        fields::from_table(fields::set_all(fields::to_table(self)?, overrides)?)
    }
}
