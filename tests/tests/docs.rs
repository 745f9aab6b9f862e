//! The documentation says what the program does.

use std::path::Path;

use dinoscope_core::eval::catalogue;
use dinoscope_core::train::{fields, figures, presets, state_bytes};

/// A page of `docs/` is what `wanted` makes of it. `UPDATE_DOCS=1` writes it anew. What it said.
#[track_caller]
fn says(page: &str, wanted: impl Fn(&str) -> String) -> String {
    let page = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../docs").join(page);
    let text = std::fs::read_to_string(&page).unwrap();
    let wanted = wanted(&text);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, &wanted).unwrap();
    } else {
        assert_eq!(
            text, wanted,
            "UPDATE_DOCS=1 cargo test --release --package dinoscope-tests --test all docs"
        );
    }
    text
}

/// What stands before the first `mark`.
fn head<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).unwrap().0
}

#[test]
fn the_recipe_page_lists_every_field() {
    let mark = "| field |";
    let text = says("recipe.md", |text| format!("{}{}", head(text, mark), fields::markdown().unwrap()));
    let named = |name: &&str| head(&text, mark).contains(&format!("`{name}`"));
    assert!(presets::NAMES.iter().all(named), "every preset is named");
}

#[test]
fn the_figures_page_lists_every_figure() {
    says("figures.md", |text| format!("{}{}", head(text, "| key |"), figures::markdown()));
}

#[test]
fn the_evaluation_page_lists_every_evaluation() {
    says("eval.md", |text| {
        let (head, rest) = text.split_once("| word |").unwrap();
        let (_, tail) = rest.split_once("\n\n").unwrap();
        format!("{head}{}\n{tail}", catalogue::markdown())
    });
}

#[test]
fn the_cluster_page_tells_what_ranks_hold() {
    says("cluster.md", |text| {
        let (head, rest) = text.split_once("| model, ranks |").unwrap();
        let (_, tail) = rest.split_once("\n\n").unwrap();
        format!("{head}{}\n{tail}", state_bytes::markdown().unwrap())
    });
}
