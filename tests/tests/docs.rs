//! The documentation says what the program does.

use std::path::Path;

use dinoscope_core::eval::catalogue;
use dinoscope_core::train::{fields, figures, presets};

/// `docs/recipe.md` holds the table of all fields. `UPDATE_DOCS=1` writes it anew.
#[test]
fn the_recipe_page_lists_every_field() {
    let page = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../docs/recipe.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (head, _) = text.split_once("| field |").unwrap();
    let wanted = format!("{head}{}", fields::markdown().unwrap());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, &wanted).unwrap();
    } else {
        assert_eq!(
            text, wanted,
            "UPDATE_DOCS=1 cargo test --release --package dinoscope-tests --test all docs"
        );
    }
    assert!(presets::NAMES.iter().all(|name| head.contains(&format!("`{name}`"))), "every preset is named");
}

/// `docs/figures.md` holds the table of all figures. `UPDATE_DOCS=1` writes it anew.
#[test]
fn the_figures_page_lists_every_figure() {
    let page = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../docs/figures.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (head, _) = text.split_once("| key |").unwrap();
    let wanted = format!("{head}{}", figures::markdown());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, &wanted).unwrap();
    } else {
        assert_eq!(
            text, wanted,
            "UPDATE_DOCS=1 cargo test --release --package dinoscope-tests --test all docs"
        );
    }
}

/// `docs/eval.md` holds the table of all evaluations. `UPDATE_DOCS=1` writes it anew.
#[test]
fn the_evaluation_page_lists_every_evaluation() {
    let page = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../docs/eval.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (head, rest) = text.split_once("| word |").unwrap();
    let (_, tail) = rest.split_once("\n\n").unwrap();
    let wanted = format!("{head}{}\n{tail}", catalogue::markdown());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, &wanted).unwrap();
    } else {
        assert_eq!(
            text, wanted,
            "UPDATE_DOCS=1 cargo test --release --package dinoscope-tests --test all docs"
        );
    }
}
