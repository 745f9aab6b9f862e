//! Archives of a program that is none, looked into by those who will unpack them.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::dist::layout::{ReleaseParts, SHELLS};

fn parts() -> ReleaseParts {
    ReleaseParts {
        program: b"#!/bin/sh\necho dinoscope 0.0.0\n".to_vec(),
        program_name: "dinoscope".into(),
        completions: SHELLS.map(|(shell, ..)| format!("# for {shell}\n")).into(),
        pages: vec![
            ("dinoscope.1".into(), b".TH dinoscope 1\n".to_vec()),
            ("dinoscope-train.1".into(), b".TH dinoscope-train 1\n".to_vec()),
        ],
        third_party: "all of them\n".into(),
        root: Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
    }
}

/// A folder that goes when it is dropped.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("dinoscope-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a program says; none where there is no such program.
fn said(folder: &Path, words: &[&str]) -> Option<String> {
    install::which(words[0])?;
    let output = Command::new(words[0]).args(&words[1..]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_archive_unpacks_into_one_folder_in_which_the_program_runs() {
    let folder = TemporaryFolder::new("archive");
    let tar = layout::archive(&parts()).unwrap().tar("dinoscope-0.0.0-x86_64-linux/", 1_700_000_000).unwrap();
    fs::write(folder.0.join("a.tar"), tar).unwrap();
    let Some(list) = said(&folder.0, &["tar", "-tf", "a.tar"]) else { return };
    let top = "dinoscope-0.0.0-x86_64-linux";
    for name in [
        "dinoscope",
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "THIRD-PARTY.txt",
        "completions/_dinoscope",
        "man/dinoscope-train.1",
        "desktop/dinoscope.desktop",
        "desktop/icon.svg",
    ] {
        assert!(list.lines().any(|line| line == format!("{top}/{name}")), "{name} is not in\n{list}");
    }
    assert!(list.lines().all(|line| line.starts_with(top)), "{list}");
    said(&folder.0, &["tar", "-xf", "a.tar"]).unwrap();
    if cfg!(unix) {
        let program = format!("./{top}/dinoscope");
        let output = Command::new(program).current_dir(&folder.0).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "dinoscope 0.0.0\n");
    }
}

#[test]
fn debian_reads_the_package() {
    if ["xz", "dpkg-deb"].iter().any(|name| install::which(name).is_none()) {
        return;
    }
    let folder = TemporaryFolder::new("deb");
    let control = PackageControl {
        version: "0.0.0",
        architecture: "amd64",
        depends: "libc6 (>= 2.35), libgcc-s1",
        homepage: "https://example.org",
    };
    let files = layout::debian(&parts()).unwrap();
    let made = deb::package(&control, &files, 1_700_000_000).unwrap();
    assert_eq!(made, deb::package(&control, &files, 1_700_000_000).unwrap(), "each time another file");
    fs::write(folder.0.join("a.deb"), made).unwrap();
    let field = |name| said(&folder.0, &["dpkg-deb", "--field", "a.deb", name]).unwrap().trim().to_owned();
    assert_eq!(field("Package"), "dinoscope");
    assert_eq!(field("Depends"), control.depends);
    assert_eq!(field("Installed-Size"), files.size().div_ceil(1024).to_string());
    assert!(field("Recommends").contains("libvulkan1"));
    let list = said(&folder.0, &["dpkg-deb", "--contents", "a.deb"]).unwrap();
    let line = |path: &str| {
        list.lines().find(|line| line.ends_with(path)).unwrap_or_else(|| panic!("{path} is not in\n{list}"))
    };
    assert!(line(" ./usr/bin/dinoscope").starts_with("-rwxr-xr-x root/root"));
    assert!(line(" ./usr/share/applications/dinoscope.desktop").starts_with("-rw-r--r-- root/root"));
    line(" ./usr/share/icons/hicolor/scalable/apps/dinoscope.svg");
    line(" ./usr/share/mime/packages/dinoscope.xml");
    line(" ./usr/share/man/man1/dinoscope-train.1.gz");
    line(" ./usr/share/doc/dinoscope/copyright");
    said(&folder.0, &["dpkg-deb", "--extract", "a.deb", "out"]).unwrap();
    let out = folder.0.join("out/usr/share");
    if install::which("desktop-file-validate").is_some() {
        said(&out, &["desktop-file-validate", "applications/dinoscope.desktop"]).unwrap();
    }
    if let Some(page) = said(&out, &["gzip", "-dc", "man/man1/dinoscope.1.gz"]) {
        assert_eq!(page, ".TH dinoscope 1\n");
    }
    assert!(
        fs::read_to_string(out.join("doc/dinoscope/copyright")).unwrap().contains("Permission is hereby")
    );
}

#[test]
fn digests_are_listed_as_they_are_checked() {
    let folder = TemporaryFolder::new("sums");
    fs::write(folder.0.join("b"), "b").unwrap();
    fs::write(folder.0.join("a"), "a").unwrap();
    sums(&folder.0).unwrap();
    sums(&folder.0).unwrap();
    let text = fs::read_to_string(folder.0.join(SUMS)).unwrap();
    assert_eq!(text.lines().map(|line| &line[66..]).collect::<Vec<_>>(), ["a", "b"]);
    if let Some(said) = said(&folder.0, &["sha256sum", "--check", SUMS]) {
        assert_eq!(said, "a: OK\nb: OK\n");
    }
}

#[test]
fn parts_are_chosen_by_name() {
    assert_eq!(ReleasePart::choose(None).unwrap().len(), 6);
    assert_eq!(ReleasePart::choose(Some("npm, deb")).unwrap(), [ReleasePart::Npm, ReleasePart::Deb]);
    let error = ReleasePart::choose(Some("rpm")).unwrap_err().to_string();
    assert!(error.contains("rpm") && error.contains("sbom"), "{error}");
}
