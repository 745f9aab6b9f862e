//! A `.br` beside each file that gets smaller by it, for servers that hand such files out; and a `.gz` beside the program,
//! which the page unpacks itself where a server hands out nothing of the kind.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Files;
use super::hash::extension;
use super::store::Store;
use crate::here::Here;
use crate::run;

/// What is worth compressing. Pictures are compressed as they are.
const KINDS: [&str; 8] = ["css", "html", "js", "json", "safetensors", "svg", "wasm", "webmanifest"];

/// Quality for a build to look at: half a minute, and a twentieth larger.
const QUICK: u32 = 10;
/// Quality for hosting: minutes.
const SMALL: u32 = 11;

/// Writes the compressed copies of `files` in `dist`.
///
/// # Errors
/// When node fails or a file cannot be written.
pub fn compress(
    here: &Here,
    node: &Path,
    dist: &Path,
    files: &Files,
    small: bool,
    store: &mut Store,
) -> Result<()> {
    let quality = if small { SMALL } else { QUICK };
    let mut command = here.command(node);
    command.arg("web/tools/compress.mjs").arg(quality.to_string());
    let mut copies = Vec::new();
    let mut missing = false;
    for (path, content) in files.iter().filter(|(path, _)| KINDS.contains(&extension(path))) {
        let (place, made) = store.place(content, &format!("br{quality}"));
        if !made {
            command.arg(dist.join(path)).arg(&place);
            missing = true;
        }
        copies.push((place, dist.join(format!("{path}.br")), content.len() as u64));
    }
    for (path, content) in files.iter().filter(|(path, _)| extension(path) == "wasm") {
        let (place, made) = store.place(content, "gz");
        if !made {
            command.arg(dist.join(path)).arg(&place);
            missing = true;
        }
        copies.push((place, dist.join(format!("{path}.gz")), content.len() as u64));
    }
    if missing {
        run::run(&mut command)?;
    }
    for (place, copy, plain) in copies {
        // What hardly shrinks costs a visitor more time to unpack than to load.
        if fs::metadata(&place)?.len() * 20 < plain * 19 {
            fs::copy(&place, &copy).with_context(|| format!("writing {}", copy.display()))?;
        }
    }
    Ok(())
}
