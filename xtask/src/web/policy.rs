//! The page's content security policy: it stands in index.html, and servers here send it too.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The policy of the page in `dist`.
///
/// # Errors
/// When the page is missing or has no policy.
pub fn read(dist: &Path) -> Result<String> {
    let file = dist.join("index.html");
    let page = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    find(&page).with_context(|| format!("{} has no content security policy", file.display()))
}

/// On one line, whatever lines it takes in the page.
fn find(page: &str) -> Option<String> {
    let (_, after) = page.split_once("http-equiv=\"Content-Security-Policy\"")?;
    let (_, after) = after.split_once("content=\"")?;
    let (policy, _) = after.split_once('"')?;
    Some(policy.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_found_over_several_lines() {
        let page = "<meta http-equiv=\"Content-Security-Policy\"\n content=\"default-src 'none';\n  img-src blob:\">";
        assert_eq!(find(page).as_deref(), Some("default-src 'none'; img-src blob:"));
        assert_eq!(find("<meta charset=\"utf-8\">"), None);
    }
}
