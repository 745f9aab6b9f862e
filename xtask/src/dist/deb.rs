//! The Debian package: an `ar` archive of what the package manager reads and what it unpacks.

use anyhow::Result;

use super::tree::{self, PackedTree};

/// What is said about a package.
pub struct PackageControl<'a> {
    /// Of the program.
    pub version: &'a str,
    /// Debian's name of the processor.
    pub architecture: &'a str,
    /// What it does not start without.
    pub depends: &'a str,
    /// Where the project lives.
    pub homepage: &'a str,
}

/// What a window and a GPU need. The program opens them by name and says what is missing, so that a machine without a
/// display does not have to have them.
const RECOMMENDS: &str = "libvulkan1, mesa-vulkan-drivers, libx11-6, libx11-xcb1, libxcursor1, libxi6, \
    libxkbcommon0, libxkbcommon-x11-0, libwayland-client0, xdg-desktop-portal | zenity";

/// The text that the package manager reads.
fn control(package: &PackageControl, bytes: u64) -> String {
    let PackageControl { version, architecture, depends, homepage } = package;
    let kib = bytes.div_ceil(1024);
    format!(
        "Package: dinoscope\n\
         Version: {version}\n\
         Architecture: {architecture}\n\
         Maintainer: The Dinoscope developers <dinoscope@users.noreply.github.com>\n\
         Installed-Size: {kib}\n\
         Depends: {depends}\n\
         Recommends: {RECOMMENDS}\n\
         Section: science\n\
         Priority: optional\n\
         Homepage: {homepage}\n\
         Description: train, distil and look into DINOv2 models on any GPU or none\n \
         A studio and a command line for self-supervised vision: features of pictures\n \
         as colours, attention maps, similarity; training on your own pictures, watched\n \
         live; evaluations; weights in and out. It needs no Python, and a GPU only for speed.\n"
    )
}

/// The package with these files.
///
/// # Errors
/// When a path is too long or there is no `xz`.
pub fn package(package: &PackageControl, files: &PackedTree, time: u64) -> Result<Vec<u8>> {
    let mut about = PackedTree::default();
    about.add("control", control(package, files.size()));
    let mut out = b"!<arch>\n".to_vec();
    for (name, content) in [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.xz", tree::xz(about.tar("./", time)?)?),
        ("data.tar.xz", tree::xz(files.tar("./", time)?)?),
    ] {
        let size = content.len();
        out.extend(format!("{name:<16}{time:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, "100644").as_bytes());
        out.extend(content);
        if size % 2 == 1 {
            out.push(b'\n');
        }
    }
    Ok(out)
}
