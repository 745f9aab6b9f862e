//! The licences of everything that is compiled into the program, each text once, with who wants it to be handed on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::packages::LinkedPackage;

/// How names of files begin that have to be handed on.
const BEGINNINGS: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// All texts, for the packages that are not ours and for the fonts in `fonts`.
///
/// # Errors
/// When a folder or a file can't be read.
pub fn third_party(packages: &[LinkedPackage], fonts: &Path) -> Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut without = Vec::new();
    let mut list = String::new();
    for package in packages.iter().filter(|package| package.checksum.is_some()) {
        let LinkedPackage { name, version, .. } = package;
        let license = package.license.as_deref().unwrap_or("see its text");
        list += &format!("{name} {version}: {license}\n");
        let found = found(&package.folder)?;
        if found.is_empty() {
            without.push(format!("{name} {version} ({license})"));
        }
        for text in found {
            texts.entry(text).or_default().push(format!("{name} {version}"));
        }
    }
    for entry in fs::read_dir(fonts).with_context(|| format!("reading {}", fonts.display()))? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(font) = name.strip_suffix("-LICENSE.txt") {
            let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            texts.entry(text).or_default().push(format!("the font {font}"));
        }
    }
    let mut out = format!("What Dinoscope is made of, beside its own code.\n\n{list}");
    if !without.is_empty() {
        out += "\nThese hand on no text of their own; the licences that they name are among those below:\n";
        without.iter().for_each(|package| out += &format!("{package}\n"));
    }
    let mut texts: Vec<(String, Vec<String>)> = texts.into_iter().collect();
    texts.sort_by(|a, b| a.1.cmp(&b.1));
    for (text, mut of) in texts {
        of.sort();
        of.dedup();
        out += &format!("\n{}\n{}\n\n{}\n", "=".repeat(78), of.join(", "), text.trim_end());
    }
    Ok(out)
}

/// The texts in a package's folder.
fn found(folder: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if file.is_file() && BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) {
            let text = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            // Lines end in one way, or the same text is there twice.
            texts.push(String::from_utf8_lossy(&text).replace('\r', ""));
        }
    }
    texts.sort();
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, folder: &Path) -> LinkedPackage {
        LinkedPackage {
            name: name.into(),
            version: "1.0.0".into(),
            license: Some("MIT".into()),
            repository: None,
            folder: folder.to_owned(),
            checksum: Some("abc".into()),
            uses: Default::default(),
        }
    }

    #[test]
    fn a_text_of_several_packages_stands_there_once() {
        let root = std::env::temp_dir().join(format!("dinoscope-licences-{}", std::process::id()));
        for (name, text) in [("a", "Be kind.\r\n"), ("b", "Be kind.\n")] {
            fs::create_dir_all(root.join(name)).unwrap();
            fs::write(root.join(name).join("LICENSE-MIT"), text).unwrap();
        }
        for folder in ["c", "fonts"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("fonts/Hack-LICENSE.txt"), "Of a font.").unwrap();
        let packages: Vec<_> = ["a", "b", "c"].map(|name| package(name, &root.join(name))).into();
        let text = third_party(&packages, &root.join("fonts")).unwrap();
        assert_eq!(text.matches("Be kind.").count(), 1);
        assert!(text.contains("a 1.0.0, b 1.0.0") && text.contains("c 1.0.0 (MIT)"), "{text}");
        assert!(text.contains("the font Hack"), "{text}");
        fs::remove_dir_all(&root).unwrap();
    }
}
