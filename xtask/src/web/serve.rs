//! `cargo xtask web --serve`: a server for this machine only, enough for one developer and a page.
//!
//! It answers as a good host does: compressed copies to who takes them, the page's policy, names with a hash for ever.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};

use super::hash::FIXED;
use super::policy;

/// Where the page is served unless `--port` says otherwise.
pub const PORT: u16 = 8080;

/// Serves `root` on the loopback address until the process is stopped.
///
/// # Errors
/// When the port is taken or `root` has no page.
pub fn serve(root: &Path, port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("listening on port {port}; choose another with --port"))?;
    let site = Arc::new(Site { root: root.to_owned(), policy: policy::read(root)? });
    println!("http://{} (stop with Ctrl-C)", listener.local_addr()?);
    for stream in listener.incoming() {
        let site = Arc::clone(&site);
        // A browser that closes a connection early is no fault of ours.
        thread::spawn(move || stream.and_then(|stream| site.answer(stream)));
    }
    Ok(())
}

/// What is served.
struct Site {
    root: PathBuf,
    policy: String,
}

impl Site {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?);
        let (mut request, mut header, mut brotli) = (String::new(), String::new(), false);
        lines.read_line(&mut request)?;
        while lines.read_line(&mut header)? > 2 {
            brotli |= takes_brotli(&header);
            header.clear();
        }
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or("/"));
        let file = file(&self.root, path).filter(|_| matches!(method, "GET" | "HEAD"));
        let (head, body) = match file.and_then(|file| self.found(&file, brotli)) {
            Some((head, body)) => (format!("200 OK\r\n{head}"), body),
            None => ("404 Not Found\r\nContent-Type: text/plain\r\n".into(), b"not found\n".to_vec()),
        };
        write!(stream, "HTTP/1.1 {head}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
        if method != "HEAD" {
            stream.write_all(&body)?;
        }
        stream.flush()
    }

    /// Header lines and content.
    fn found(&self, file: &Path, brotli: bool) -> Option<(String, Vec<u8>)> {
        let mut copy = file.as_os_str().to_owned();
        copy.push(".br");
        let compressed = if brotli { fs::read(copy).ok() } else { None };
        let encoding = if compressed.is_some() { "Content-Encoding: br\r\n" } else { "" };
        let body = compressed.or_else(|| fs::read(file).ok())?;
        let (kind, keep, policy) = (kind(file), keep(file), &self.policy);
        let head = format!(
            "Content-Type: {kind}\r\nCache-Control: {keep}\r\nVary: Accept-Encoding\r\n\
             Content-Security-Policy: {policy}\r\n{encoding}"
        );
        Some((head, body))
    }
}

/// Whether a header line says that brotli is understood.
fn takes_brotli(header: &str) -> bool {
    header.split_once(':').is_some_and(|(name, values)| {
        let coding = |value: &str| value.split(';').next().is_some_and(|coding| coding.trim() == "br");
        name.eq_ignore_ascii_case("accept-encoding") && values.split(',').any(coding)
    })
}

/// The file that a request asks for; never one outside `root`.
fn file(root: &Path, path: &str) -> Option<PathBuf> {
    let path = path.split(['?', '#']).next()?.trim_start_matches('/');
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let file = root.join(if path.is_empty() { "index.html" } else { path });
    inside.then_some(file)
}

/// How long a browser may keep a file: one whose name has its hash for ever, any other until it has asked.
fn keep(file: &Path) -> &'static str {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if FIXED.contains(&name) { "no-cache" } else { "public, max-age=31536000, immutable" }
}

/// Media type by extension. Browsers compile wasm while it loads only if it is called what it is.
fn kind(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_page_are_served() {
        let root = Path::new("dist");
        assert_eq!(file(root, "/"), Some(root.join("index.html")));
        assert_eq!(file(root, "/pkg/a.wasm?v=1"), Some(root.join("pkg/a.wasm")));
        assert_eq!(file(root, "/../secret"), None);
        assert_eq!(file(root, "/pkg/../../secret"), None);
    }

    #[test]
    fn brotli_is_for_who_asks_for_it() {
        assert!(takes_brotli("Accept-Encoding: gzip, deflate, br, zstd\r\n"));
        assert!(takes_brotli("accept-encoding:br;q=0.5\r\n"));
        assert!(!takes_brotli("Accept-Encoding: gzip, brisk\r\n"));
        assert!(!takes_brotli("Accept: br\r\n"));
    }

    #[test]
    fn a_name_with_a_hash_is_kept() {
        assert_eq!(keep(Path::new("dist/sw.js")), "no-cache");
        assert!(keep(Path::new("dist/pkg/a.1a2b3c4d.js")).ends_with("immutable"));
    }
}
