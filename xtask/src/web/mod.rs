//! `cargo xtask web`: from the crates `web` and `js` to a folder that any web server can serve, and an npm package.
//!
//! [`build`] compiles, [`hash`] gives every file a name that changes with it, [`offline`] tells the page's service
//! worker all of them, [`compress`] puts a compressed copy beside each, [`sizes`] says what a visitor loads.

mod build;
mod composition;
mod compress;
mod hash;
mod offline;
mod policy;
pub mod serve;
mod sizes;
mod store;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::store::Store;
use crate::here::Here;
use crate::install;

/// The files of a page: path below its folder, with `/`, and content.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What the page takes from `assets/`, and by what name.
const ASSETS: [(&str, &str); 4] = [
    ("icon.svg", "icon/icon.svg"),
    ("icon-256.png", "icon/icon-256.png"),
    ("fonts/Hack-Regular.ttf", "fonts/Hack-Regular.ttf"),
    ("weights/starter.safetensors", "weights/starter.safetensors"),
];

/// Builds web/dist and js/dist. `small` spends minutes on files that are worth hosting: see [`build::optimise`].
///
/// # Errors
/// When the compiler for the web is missing, or does not accept the program; when the page refers in a circle.
pub fn build(here: &Here, small: bool) -> Result<PathBuf> {
    let node = install::node(here);
    build::compile(here)?;
    let mut store = Store::open(here.web_target().join("made"))?;
    let package = here.root.join("js/dist/pkg");
    build::bind(here, "dinoscope_js", &package, true)?;
    let program = here.web_target().join("pkg");
    build::bind(here, "dinoscope_web", &program, false)?;
    if let Ok(node) = &node {
        for wasm in [package.join("dinoscope_js_bg.wasm"), program.join("dinoscope_web_bg.wasm")] {
            build::optimise(here, node, &wasm, small, &mut store)?;
        }
    }

    let mut files = Files::new();
    read(&here.root.join("web/page"), "", &mut files)?;
    read(&program, "pkg/", &mut files)?;
    for (path, asset) in ASSETS {
        let asset = here.root.join("assets").join(asset);
        let content = fs::read(&asset).with_context(|| format!("reading {}", asset.display()))?;
        files.insert(path.into(), content);
    }
    sizes::announce(&mut files)?;
    let files = offline::list(hash::name(files)?)?;

    let dist = here.root.join("web/dist");
    write(&dist, &files)?;
    match node {
        Ok(node) => {
            compress::compress(here, &node, &dist, &files, small, &mut store)?;
            build::package(here, &node)?;
        }
        Err(error) => println!("as compiled: not folded, no compressed copies, no npm package: {error:#}"),
    }
    store.tidy()?;
    print!("{}", sizes::table(&dist, &files)?);
    Ok(dist)
}

/// Prints which crates the page's program consists of, largest first; it must have been built.
///
/// # Errors
/// When it was not, or is no wasm.
pub fn composition(here: &Here) -> Result<()> {
    let program = build::compiled(here, "dinoscope_web");
    let wasm = fs::read(&program).with_context(|| format!("reading {}", program.display()))?;
    print!("{}", composition::table(&wasm)?);
    Ok(())
}

/// Reads a folder with everything in it; `at` is put before each path.
fn read(folder: &Path, at: &str, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let path = format!("{at}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read(&entry.path(), &format!("{path}/"), files)?;
        } else {
            let file = entry.path();
            let content = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            files.insert(path, content);
        }
    }
    Ok(())
}

/// Writes `files` into a folder that then has no others.
fn write(folder: &Path, files: &Files) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    for (path, content) in files {
        let file = folder.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}
