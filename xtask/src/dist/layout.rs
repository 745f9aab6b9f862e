//! Which file of a release lies where: in the archive that is unpacked anywhere, and in the Debian package.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::tree::{self, PackedTree};

/// A menu's entry; desktops list it under the kinds of files that it opens.
const DESKTOP: &str = "\
[Desktop Entry]
Type=Application
Name=Dinoscope
GenericName=Vision model studio
Comment=Train DINOv2 on your own pictures and watch what it sees
Exec=dinoscope explore %F
Icon=dinoscope
Terminal=false
Categories=Science;ArtificialIntelligence;
Keywords=DINOv2;features;attention;machine learning;
MimeType=image/jpeg;image/png;image/webp;image/gif;image/bmp;image/tiff;application/x-safetensors;application/x-pytorch-weights;
StartupWMClass=dinoscope
";

/// What desktops do not know yet: kinds of weights files.
const MIME: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="application/x-safetensors">
    <comment>Weights of a model (safetensors)</comment>
    <glob pattern="*.safetensors"/>
  </mime-type>
  <mime-type type="application/x-pytorch-weights">
    <comment>Weights of a model (PyTorch)</comment>
    <glob pattern="*.pth"/>
  </mime-type>
</mime-info>
"#;

/// The shells, the names of their files in the archive, and where Debian's shells look for them.
pub const SHELLS: [(&str, &str, &str); 3] = [
    ("bash", "dinoscope.bash", "usr/share/bash-completion/completions/dinoscope"),
    ("zsh", "_dinoscope", "usr/share/zsh/vendor-completions/_dinoscope"),
    ("fish", "dinoscope.fish", "usr/share/fish/vendor_completions.d/dinoscope.fish"),
];

/// What a release of the program consists of.
pub struct ReleaseParts {
    /// The program itself.
    pub program: Vec<u8>,
    /// Its file's name.
    pub program_name: String,
    /// The text for each of [`SHELLS`].
    pub completions: Vec<String>,
    /// Manual pages: name and text.
    pub pages: Vec<(String, Vec<u8>)>,
    /// Licences of everything that was compiled in.
    pub third_party: String,
    /// Of the project.
    pub root: PathBuf,
}

/// What lies beside the program everywhere.
const READ: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// The archive: everything in one folder, in which the program runs where it lies.
///
/// # Errors
/// When a file of the project can't be read.
pub fn archive(parts: &ReleaseParts) -> Result<PackedTree> {
    let mut tree = PackedTree::default();
    tree.add_program(&parts.program_name, parts.program.clone());
    for name in READ {
        tree.add_from(name, &parts.root.join(name))?;
    }
    tree.add("THIRD-PARTY.txt", parts.third_party.clone());
    for ((_, name, _), text) in SHELLS.iter().zip(&parts.completions) {
        tree.add(format!("completions/{name}"), text.clone());
    }
    for (name, page) in &parts.pages {
        tree.add(format!("man/{name}"), page.clone());
    }
    tree.add("desktop/dinoscope.desktop", DESKTOP);
    tree.add("desktop/dinoscope.xml", MIME);
    for icon in ["icon.svg", "icon-256.png"] {
        tree.add_from(format!("desktop/{icon}"), &icons(parts).join(icon))?;
    }
    Ok(tree)
}

/// The files of the Debian package.
///
/// # Errors
/// When a file of the project can't be read.
pub fn debian(parts: &ReleaseParts) -> Result<PackedTree> {
    let mut tree = PackedTree::default();
    tree.add_program("usr/bin/dinoscope", parts.program.clone());
    tree.add("usr/share/applications/dinoscope.desktop", DESKTOP);
    tree.add("usr/share/mime/packages/dinoscope.xml", MIME);
    let hicolor = "usr/share/icons/hicolor";
    tree.add_from(format!("{hicolor}/scalable/apps/dinoscope.svg"), &icons(parts).join("icon.svg"))?;
    tree.add_from(format!("{hicolor}/256x256/apps/dinoscope.png"), &icons(parts).join("icon-256.png"))?;
    for ((_, _, path), text) in SHELLS.iter().zip(&parts.completions) {
        tree.add(*path, text.clone());
    }
    for (name, page) in &parts.pages {
        tree.add(format!("usr/share/man/man1/{name}.gz"), tree::gzip(page)?);
    }
    let doc = "usr/share/doc/dinoscope";
    tree.add_from(format!("{doc}/README.md"), &parts.root.join("README.md"))?;
    let changes = parts.root.join("CHANGELOG.md");
    let changes = fs::read(&changes).with_context(|| format!("reading {}", changes.display()))?;
    tree.add(format!("{doc}/changelog.gz"), tree::gzip(&changes)?);
    tree.add(format!("{doc}/third-party.gz"), tree::gzip(parts.third_party.as_bytes())?);
    tree.add(format!("{doc}/copyright"), copyright(&parts.root)?);
    Ok(tree)
}

fn icons(parts: &ReleaseParts) -> PathBuf {
    parts.root.join("assets/icon")
}

/// Both licences in one file, as Debian wants them.
fn copyright(root: &Path) -> Result<String> {
    let read = |name: &str| {
        let file = root.join(name);
        fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
    };
    let (mit, apache) = (read("LICENSE-MIT")?, read("LICENSE-APACHE")?);
    Ok(format!(
        "Dinoscope may be used under the MIT licence or the Apache License 2.0, as you like. The licences of\n\
         what is compiled into it are in third-party.gz beside this file.\n\n{mit}\n\n{apache}"
    ))
}
