//! Paths in a recipe: whole while a run lies where it was made, short where it goes to others.

use std::path::{Path, PathBuf};

use toml::Value;

use crate::data::source::builtin::SharedPlace;
use crate::data::source::listed;
use crate::data::source::places::builtin;
use crate::files;
use crate::train::fields::{self, FIELDS, RecipeFieldKind};
use crate::train::model_source::split_part;
use crate::train::recipe::{Recipe, RecipeError};
use crate::train::report::escape;

/// The fields of a recipe that hold a path, or a word that stands for one.
pub fn fields() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|field| field.key).filter(|key| fields::kind(key) == Some(RecipeFieldKind::Path))
}

/// Their values that are not empty; of a field with several paths each one.
pub fn values(recipe: &Recipe) -> impl Iterator<Item = (&'static str, String)> {
    fields().flat_map(|key| {
        let all = fields::get(recipe, key).map(texts).unwrap_or_default();
        all.into_iter().filter(|text| !text.is_empty()).map(move |text| (key, text))
    })
}

/// The words of a value: of a list each one.
fn texts(value: Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.into_iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The recipe with other values in those of its fields that hold a path and are not empty: `change` gets field and value, and
/// gives what takes its place, or nothing.
///
/// # Errors
/// A value that the recipe does not take.
pub fn changed(
    recipe: &Recipe,
    change: impl Fn(&str, &str) -> Option<String>,
) -> Result<Recipe, RecipeError> {
    let mut changed = recipe.clone();
    for key in fields() {
        let Some(before) = fields::get(recipe, key) else { continue };
        let other = |text: &str| change(key, text).filter(|_| !text.is_empty()).map(Value::String);
        let after = match &before {
            Value::String(text) => other(text).unwrap_or_else(|| before.clone()),
            Value::Array(items) => {
                let item = |item: &Value| item.as_str().and_then(other).unwrap_or_else(|| item.clone());
                Value::Array(items.iter().map(item).collect())
            }
            _ => continue,
        };
        if after != before {
            changed = fields::set(&changed, key, after)?;
        }
    }
    Ok(changed)
}

/// The files and folders that a recipe names, as far as they are there, and what its lists of pictures name: what has to be
/// at hand for a run of it.
pub fn named(recipe: &Recipe) -> Vec<PathBuf> {
    // What is built in is drawn.
    let paths = values(recipe).filter(|(_, text)| builtin(text).is_none());
    let paths = paths.map(|(_, text)| absolute(&split_part(Path::new(&place_of(&text))).0));
    let mut all: Vec<PathBuf> = paths.filter(|path| files::exists(path)).collect();
    for list in recipe.data.path.given().map(|place| absolute(Path::new(&place))) {
        let entries = match listed::is_list(&list) {
            true => listed::read(&list).map(|list| list.entries).unwrap_or_default(),
            false => Vec::new(),
        };
        let places = entries.iter().map(|entry| listed::place(&list, &entry.path));
        all.extend(places.filter(|path| files::exists(path)));
    }
    all
}

/// A place without its share.
fn place_of(text: &str) -> String {
    SharedPlace::read(text).map_or_else(|_| text.to_owned(), |place| place.place)
}

/// Whether a place is no path, but a word for pictures.
fn is_word(text: &str) -> bool {
    SharedPlace::read(text).is_ok_and(|place| place.is_word())
}

/// The recipe with absolute paths, so that its run goes on from any folder. Words that stand for something stay:
/// `scenes`, `procedural`, `stamps`, `starter`, the name of a pulled model.
///
/// # Errors
/// Never for a recipe that was validated.
pub fn with_absolute_paths(recipe: &Recipe) -> Result<Recipe, RecipeError> {
    changed(recipe, |key, text| {
        let path = Path::new(text);
        // Pictures are a word where they are built in or have a name of their own; weights where there is no such file.
        let is_path = !is_word(text) && (key == "data.path" || files::exists(path));
        (is_path && !files::is_absolute(path)).then(|| absolute(path).to_string_lossy().into_owned())
    })
}

#[cfg(not(target_family = "wasm"))]
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A page's paths count from its root.
#[cfg(target_family = "wasm")]
fn absolute(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}

/// The last part of a path of this or of another system: what says which one is meant, and not whose it is.
pub fn last_part(path: &str) -> &str {
    let trimmed = path.trim_end_matches(['/', '\\']);
    trimmed.rsplit(['/', '\\']).next().filter(|part| !part.is_empty()).unwrap_or("elsewhere")
}

/// The recipe with no more of its paths than their last parts, for those who get the run from elsewhere.
///
/// # Errors
/// Never for a recipe that was validated.
pub fn short(recipe: &Recipe) -> Result<Recipe, RecipeError> {
    changed(recipe, |_, text| Some(last_part(text).to_owned()))
}

/// Takes the paths of a recipe, and home folders, out of text that is handed on.
#[derive(Debug)]
pub struct PathRedactor {
    /// What is replaced by what, the longest first.
    pairs: Vec<(String, String)>,
}

impl PathRedactor {
    /// What a recipe names, and this person's home.
    pub fn of(recipe: &Recipe) -> Self {
        let named = values(recipe).map(|(_, path)| (last_part(&path).to_owned(), path));
        let home = ["HOME", "USERPROFILE"].iter().filter_map(|name| std::env::var(name).ok());
        // A root is in every path.
        let home = home.filter(|home| home.len() > 3).map(|home| ("~".to_owned(), home));
        Self::from(named.chain(home))
    }

    fn from(named: impl Iterator<Item = (String, String)>) -> Self {
        let named = named.filter(|(short, path)| short != path);
        let mut pairs: Vec<(String, String)> = named
            .flat_map(|(short, path)| {
                // As it is, and as it stands in JSON, TOML and HTML.
                let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
                let plain = [(path.clone(), short.clone()), (quoted(&path), quoted(&short))];
                let html = plain.clone().map(|(path, short)| (escape(&path), escape(&short)));
                plain.into_iter().chain(html)
            })
            .collect();
        pairs.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        pairs.dedup();
        Self { pairs }
    }

    /// The text without them.
    pub fn taken_out_of(&self, text: &str) -> String {
        let text = self.pairs.iter().fold(text.to_owned(), |text, (path, short)| text.replace(path, short));
        redact_home_dirs(&text)
    }
}

/// Folders in which systems keep those of their users.
const HOMES: [&str; 4] = ["/home/", "/Users/", "\\Users\\", "\\\\Users\\\\"];

/// `~` for every home folder, whosever it is.
fn redact_home_dirs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, home)) =
        HOMES.iter().filter_map(|home| Some((rest.find(home)?, *home))).min_by_key(|(at, _)| *at)
    {
        let (before, after) = (&rest[..at], &rest[at + home.len()..]);
        // `C:` belongs to it.
        let drive = before.as_bytes();
        let drive = drive.len() >= 2
            && drive[drive.len() - 1] == b':'
            && drive[drive.len() - 2].is_ascii_alphabetic();
        out.push_str(if drive && home.starts_with('\\') { &before[..before.len() - 2] } else { before });
        out.push('~');
        let ends = |c: char| matches!(c, '/' | '\\' | '"' | '\'' | '<' | '>' | '&' | ',' | ';' | ')' | '\n');
        let end = after.find(ends).unwrap_or(after.len());
        let name = &after[..end];
        // A name may have a blank in it, where the path goes on after it.
        let goes_on = after[end..].starts_with(['/', '\\']);
        let length = if goes_on { end } else { name.find(char::is_whitespace).unwrap_or(end) };
        rest = &after[length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn recipe(pairs: &[&str]) -> Recipe {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        Recipe::preset("nano").unwrap().with_overrides(&pairs).unwrap()
    }

    #[test]
    fn paths_are_made_absolute_and_words_stay() {
        let here = std::env::current_dir().unwrap();
        let own = recipe(&["data.path=photos", "start.weights=Cargo.toml", "evaluate.dense=nowhere"]);
        let with_absolute_paths = with_absolute_paths(&own).unwrap();
        assert_eq!(with_absolute_paths.data.path.paths(), [here.join("photos")]);
        assert_eq!(Path::new(&with_absolute_paths.start.weights), here.join("Cargo.toml"));
        assert_eq!(
            (with_absolute_paths.evaluate.dense.as_str(), with_absolute_paths.distill.teacher.as_str()),
            ("nowhere", "")
        );
        let words = recipe(&["start.weights=dinov2_vits14"]);
        assert_eq!(super::with_absolute_paths(&words).unwrap(), words, "scenes, a pulled model");
        assert_eq!(super::with_absolute_paths(&with_absolute_paths).unwrap(), with_absolute_paths);
        let drawn =
            recipe(&[r#"data.path=["scenes:easy*0.5", "procedural*0.5"]"#, "evaluate.dense=scenes:easy"]);
        assert_eq!(super::with_absolute_paths(&drawn).unwrap(), drawn);
        let handed_out = recipe(&[r#"data.path=["stamps*0.5", "digits*0.5"]"#]);
        assert_eq!(super::with_absolute_paths(&handed_out).unwrap(), handed_out);
        let shared = recipe(&[r#"data.path=["src*0.5", "procedural*0.5"]"#]);
        let shared = super::with_absolute_paths(&shared).unwrap();
        assert_eq!(shared.data.path.given().collect::<Vec<_>>(), [here.join("src").display().to_string()]);
        assert_eq!(named(&shared), [here.join("src")]);
    }

    #[test]
    fn what_a_recipe_names_is_found_whichever_field_it_stands_in() {
        let here = std::env::current_dir().unwrap();
        let own = recipe(&["data.path=src", "start.weights=Cargo.toml#student", "evaluate.dense=nowhere"]);
        assert_eq!(
            named(&own).iter().collect::<std::collections::BTreeSet<_>>().len(),
            2,
            "{:?}",
            named(&own)
        );
        assert!(named(&own).contains(&here.join("src")) && named(&own).contains(&here.join("Cargo.toml")));
        let taught = recipe(&["distill.teacher=Cargo.toml", "distill.method=similarity", "crops.locals=0"]);
        assert_eq!(named(&taught), [here.join("Cargo.toml")], "scenes are drawn");
        assert!(named(&recipe(&["start.weights=starter"])).is_empty());
    }

    #[test]
    fn what_is_handed_on_says_which_and_not_whose() {
        for (path, part) in [
            ("/home/ada/my photos/", "my photos"),
            ("C:\\Users\\ada\\photos", "photos"),
            ("scenes", "scenes"),
            ("../../t.pth", "t.pth"),
            ("/", "elsewhere"),
        ] {
            assert_eq!(last_part(path), part);
        }
        let own = recipe(&["data.path=/mnt/ada/a&b \"c\"", "start.weights=/srv/ada/w.pth"]);
        let short = short(&own).unwrap();
        assert_eq!((short.data.path.text().as_str(), short.start.weights.as_str()), ("a&b \"c\"", "w.pth"));
        let withheld = PathRedactor::of(&own);
        for text in
            [own.to_toml().unwrap(), escape(&own.to_toml().unwrap()), format!("{:?}", own.data.path.text())]
        {
            let handed = withheld.taken_out_of(&text);
            assert!(
                !handed.contains("ada") && (handed.contains("b \\\"c") || handed.contains("b ")),
                "{handed}"
            );
        }
    }

    #[test]
    fn several_places_are_each_made_absolute_and_short() {
        let here = std::env::current_dir().unwrap();
        let own = recipe(&[r#"data.path=["photos", "/mnt/ada/more"]"#]);
        let with_absolute_paths = with_absolute_paths(&own).unwrap();
        assert_eq!(with_absolute_paths.data.path.paths(), [here.join("photos"), "/mnt/ada/more".into()]);
        assert_eq!(short(&own).unwrap().data.path.text(), r#"["photos", "more"]"#);
        let handed = PathRedactor::of(&own).taken_out_of(&own.to_toml().unwrap());
        assert!(!handed.contains("ada") && handed.contains("\"more\""), "{handed}");
    }

    #[test]
    fn homes_are_taken_out_of_any_text() {
        for (text, left) in [
            ("can't read /home/ada/a.png: no", "can't read ~/a.png: no"),
            ("in /Users/Ada Byron/a and /home/b", "in ~/a and ~"),
            ("C:\\Users\\Ada Byron\\a", "~\\a"),
            ("\"C:\\\\Users\\\\ada\\\\a\"", "\"~\\\\a\""),
            ("<b>/home/ada</b>", "<b>~</b>"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(redact_home_dirs(text), left);
        }
    }
}
