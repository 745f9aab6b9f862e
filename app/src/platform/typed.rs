//! Paths as people type and paste them: in quotation marks, as the address that a file manager copies, from the home folder.

use std::path::PathBuf;

/// The path that a line means.
pub fn path(line: &str) -> PathBuf {
    let line = line.trim().trim_matches(['"', '\'']);
    if let Some(address) = line.strip_prefix("file://") {
        return unescaped(address).into();
    }
    let below = line.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with(['/', '\\']));
    match (below, home()) {
        (Some(rest), Some(home)) => home.join(rest.trim_start_matches(['/', '\\'])),
        _ => line.into(),
    }
}

/// The path that a field means, where that is not what stands there.
pub fn tidy(text: &mut String) {
    let meant = path(text);
    if text.starts_with(['"', '\'', '~', ' ']) || text.ends_with(' ') || text.starts_with("file://") {
        *text = meant.to_string_lossy().into_owned();
    }
}

/// A path as it is read most easily: from the home folder, where it lies in there.
pub fn shown(path: &std::path::Path) -> String {
    match home().and_then(|home| path.strip_prefix(home).ok().map(PathBuf::from)) {
        Some(below) if cfg!(unix) && below.components().next().is_some() => format!("~/{}", below.display()),
        _ => path.display().to_string(),
    }
}

/// The home folder.
pub fn home() -> Option<PathBuf> {
    let set = |name: &&str| std::env::var_os(name).filter(|value| !value.is_empty());
    ["HOME", "USERPROFILE"].iter().find_map(set).map(PathBuf::from)
}

/// `%20` stands for a space in an address.
fn unescaped(address: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), address.as_bytes());
    while let [first, after @ ..] = rest {
        let code = std::str::from_utf8(after.get(..2).unwrap_or_default()).ok();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_they_are_typed_and_pasted() {
        let home = home().unwrap();
        for (text, wanted) in [
            ("  /a b/c.png ", PathBuf::from("/a b/c.png")),
            ("\"/a b/c.png\"", PathBuf::from("/a b/c.png")),
            ("'/a/it.png'", PathBuf::from("/a/it.png")),
            ("file:///a%20b/%C3%BC.png", PathBuf::from("/a b/ü.png")),
            ("~/Pictures", home.join("Pictures")),
            ("~", home.clone()),
            ("~other/x", PathBuf::from("~other/x")),
            ("starter", PathBuf::from("starter")),
        ] {
            assert_eq!(path(text), wanted, "{text}");
        }
        let mut text = "dinov2_vits14".to_owned();
        tidy(&mut text);
        assert_eq!(text, "dinov2_vits14");
        text = "'/a b'".to_owned();
        tidy(&mut text);
        assert_eq!(text, "/a b");
        assert_eq!(shown(&home.join("Documents/x")), "~/Documents/x");
        assert_eq!(
            (shown(std::path::Path::new("/a")).as_str(), shown(&home)),
            ("/a", home.display().to_string())
        );
    }
}
