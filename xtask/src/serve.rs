//! `cargo xtask web --serve`: a server for this machine only, enough for one developer and a page.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};

/// Where the page is served unless `--port` says otherwise.
pub const PORT: u16 = 8080;

/// Serves `root` on the loopback address until the process is stopped.
///
/// # Errors
/// When the port is taken.
pub fn serve(root: &Path, port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("listening on port {port}; choose another with --port"))?;
    println!("http://{} (stop with Ctrl-C)", listener.local_addr()?);
    for stream in listener.incoming() {
        let root = root.to_owned();
        // A browser that closes a connection early is no fault of ours.
        thread::spawn(move || stream.and_then(|stream| answer(stream, &root)));
    }
    Ok(())
}

fn answer(mut stream: TcpStream, root: &Path) -> std::io::Result<()> {
    let mut request = String::new();
    let mut lines = BufReader::new(stream.try_clone()?);
    lines.read_line(&mut request)?;
    let mut header = String::new();
    while lines.read_line(&mut header)? > 2 {
        header.clear();
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or("/"));
    let file = file(root, path).filter(|_| matches!(method, "GET" | "HEAD"));
    let (status, kind, body) = match file.and_then(|file| Some((kind(&file), fs::read(&file).ok()?))) {
        Some((kind, body)) => ("200 OK", kind, body),
        None => ("404 Not Found", "text/plain", b"not found\n".to_vec()),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n")?;
    write!(stream, "Cache-Control: no-store\r\nConnection: close\r\n\r\n")?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    stream.flush()
}

/// The file that a request asks for; never one outside `root`.
fn file(root: &Path, path: &str) -> Option<PathBuf> {
    let path = path.split(['?', '#']).next()?.trim_start_matches('/');
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let file = root.join(if path.is_empty() { "index.html" } else { path });
    inside.then_some(file)
}

/// Media type by extension. Browsers compile wasm while it loads only if it is called what it is.
fn kind(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
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
}
