//! Downloads against a small server on the loopback: whole, broken off, changed, refused.

use super::super::WeightsError;
use super::super::download::{DownloadedWeights, WeightsDownloadRequest, find, names, target};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// How the server answers, in order of the requests; the last answer stays.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    /// As asked, ranges honoured.
    Proper,
    /// Only so many bytes of what was announced.
    Cut(usize),
    /// The whole file, whatever range was asked for.
    IgnoreRange,
    /// Status 416 without knowing better.
    Unsatisfiable,
    NotFound,
    Locked,
    WebPage,
    /// As asked, without saying how long it is, and only so many bytes of it.
    Unannounced(usize),
    /// Elsewhere.
    Redirect(&'static str),
}

struct Server {
    address: String,
    /// The `Range` header of every request.
    ranges: Arc<Mutex<Vec<Option<String>>>>,
}

fn serve(content: Vec<u8>, tag: &'static str, answers: &'static [Answer]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let log = ranges.clone();
    std::thread::spawn(move || {
        for (count, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let (mut range, mut condition) = (None, None);
            for line in BufReader::new(&stream).lines() {
                let line = line.unwrap_or_default();
                let Some((name, value)) = line.split_once(": ") else {
                    if line.is_empty() { break } else { continue }
                };
                match name.to_lowercase().as_str() {
                    "range" => range = Some(value.to_string()),
                    "if-range" => condition = Some(value.to_string()),
                    _ => {}
                }
            }
            log.lock().unwrap().push(range.clone());
            let answer = answers[count.min(answers.len() - 1)];
            let start: usize = range
                .filter(|_| answer != Answer::IgnoreRange && condition.is_none_or(|c| c == tag))
                .and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
                .unwrap_or(0);
            let total = content.len();
            let (status, extra) = match answer {
                Answer::NotFound => ("404 Not Found", String::new()),
                Answer::Locked => ("401 Unauthorized", String::new()),
                Answer::Redirect(to) => ("302 Found", format!("Location: {to}\r\n")),
                Answer::Unsatisfiable => ("416 Range Not Satisfiable", String::new()),
                _ if start >= total => {
                    ("416 Range Not Satisfiable", format!("Content-Range: bytes */{total}\r\n"))
                }
                _ if start > 0 => {
                    ("206 Partial Content", format!("Content-Range: bytes {start}-{}/{total}\r\n", total - 1))
                }
                _ => ("200 OK", String::new()),
            };
            let body = if status.starts_with('2') { &content[start..] } else { &[] };
            let kind = if answer == Answer::WebPage { "text/html" } else { "application/octet-stream" };
            let length = match answer {
                Answer::Unannounced(_) => String::new(),
                _ => format!("Content-Length: {}\r\n", body.len()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{length}ETag: {tag}\r\n{extra}Connection: close\r\n\r\n"
            );
            let sent = match answer {
                Answer::Cut(bytes) | Answer::Unannounced(bytes) => &body[..bytes.min(body.len())],
                _ => body,
            };
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent));
        }
    });
    Server { address, ranges }
}

impl Server {
    fn ranges(&self) -> Vec<Option<String>> {
        self.ranges.lock().unwrap().clone()
    }
}

/// A weights file, as far as opening it goes.
fn content() -> Vec<u8> {
    let header = r#"{"noise":{"dtype":"U8","shape":[1200000],"data_offsets":[0,1200000]}}"#;
    let noise = (0..300_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes());
    (header.len() as u64).to_le_bytes().into_iter().chain(header.bytes()).chain(noise).collect()
}

/// From a server of these tests, which is not encrypted, with contents that are not the released ones.
fn pull(
    name: &str,
    cache: &Path,
    base_url: Option<&str>,
    progress: &mut dyn FnMut(u64, Option<u64>) -> ControlFlow<()>,
    sha256: Option<&str>,
) -> Result<PathBuf, WeightsError> {
    let own = sha(&content());
    let sha256 = Some(sha256.unwrap_or(&own));
    let wanted = WeightsDownloadRequest {
        base_url,
        sha256,
        allow_http: true,
        ..WeightsDownloadRequest::new(name, cache)
    };
    wanted.pull(progress).map(|pulled| pulled.path)
}

fn sha(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn go(_: u64, _: Option<u64>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

const TAG: &str = "\"v1\"";

#[test]
fn a_whole_file_with_progress_and_checksum() {
    let (cache, content) = (tempfile::tempdir().unwrap(), content());
    let server = serve(content.clone(), TAG, &[Answer::Proper]);
    let mut heard = Vec::new();
    let mut progress = |done, total| {
        heard.push((done, total));
        ControlFlow::Continue(())
    };
    let folder = cache.path().join("weights");
    let path = pull("dinov2_vits14_reg4", &folder, Some(&server.address), &mut progress, None).unwrap();
    assert_eq!(path, folder.join("dinov2_vits14_reg4_pretrain.pth"));
    assert_eq!(std::fs::read(&path).unwrap(), content);
    assert_eq!(heard.last(), Some(&(content.len() as u64, Some(content.len() as u64))));
    assert!(heard.is_sorted());
    let sidecar = std::fs::read_to_string(folder.join("dinov2_vits14_reg4_pretrain.pth.sha256")).unwrap();
    assert_eq!(sidecar, format!("{}  dinov2_vits14_reg4_pretrain.pth\n", sha(&content)));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    // Again: it is there.
    pull("dinov2_vits14_reg", &folder, Some(&server.address), &mut go, Some(&sha(&content).to_uppercase()))
        .unwrap();
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn a_broken_connection_is_continued() {
    let (cache, content) = (tempfile::tempdir().unwrap(), content());
    let server = serve(content.clone(), TAG, &[Answer::Cut(400_000), Answer::Cut(100_000), Answer::Proper]);
    let path =
        pull("dinov2_vits14", cache.path(), Some(&server.address), &mut go, Some(&sha(&content))).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), content);
    assert_eq!(server.ranges(), [None, Some("bytes=400000-".into()), Some("bytes=500000-".into())]);
}

#[test]
fn a_stopped_download_is_continued_later() {
    let (cache, content) = (tempfile::tempdir().unwrap(), content());
    let server = serve(content.clone(), TAG, &[Answer::Proper]);
    let url = format!("{}/some/model.safetensors", server.address);
    let mut stop = |done, _| if done > 200_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let error = pull(&url, cache.path(), None, &mut stop, None).unwrap_err();
    assert!(matches!(error, WeightsError::Cancelled { .. }), "{error}");
    let path = target(&url, cache.path()).unwrap();
    assert!(!path.exists());
    assert_eq!(pull(&url, cache.path(), None, &mut go, None).unwrap(), path);
    assert_eq!(std::fs::read(path).unwrap(), content);
    assert!(server.ranges()[1].is_some());
}

#[test]
fn servers_without_ranges_and_changed_files_start_over() {
    let stop = |done, _| if done > 200_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    for answers in
        [&[Answer::Proper, Answer::IgnoreRange][..], &[Answer::Proper, Answer::Unsatisfiable, Answer::Proper]]
    {
        let (cache, content) = (tempfile::tempdir().unwrap(), content());
        let server = serve(content.clone(), TAG, answers);
        let mut stop = stop;
        pull("dinov2_vitb14", cache.path(), Some(&server.address), &mut stop, None).unwrap_err();
        let path = pull("dinov2_vitb14", cache.path(), Some(&server.address), &mut go, None).unwrap();
        assert_eq!(std::fs::read(path).unwrap(), content);
    }
    // The file on the server is replaced in between: the beginning of the old one must not be kept.
    let (cache, old) = (tempfile::tempdir().unwrap(), content());
    let mut new = old.clone();
    new[1000..].iter_mut().for_each(|byte| *byte = !*byte);
    let first = serve(old, TAG, &[Answer::Proper]);
    let mut stop = stop;
    pull("dinov2_vitl14", cache.path(), Some(&first.address), &mut stop, None).unwrap_err();
    let second = serve(new.clone(), "\"v2\"", &[Answer::Proper]);
    // The same address, as far as the record knows.
    let record = cache.path().join("dinov2_vitl14_pretrain.pth.part.json");
    let text = std::fs::read_to_string(&record).unwrap().replace(&first.address, &second.address);
    std::fs::write(&record, text).unwrap();
    let path = pull("dinov2_vitl14", cache.path(), Some(&second.address), &mut go, Some(&sha(&new))).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), new);
    assert!(second.ranges()[0].is_some());
}

#[test]
fn a_complete_part_is_only_verified() {
    let (cache, content) = (tempfile::tempdir().unwrap(), content());
    let server = serve(content.clone(), TAG, &[Answer::Proper]);
    let total = content.len() as u64;
    let mut stop = |done, _| if done == total { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    pull("dinov2_vitg14", cache.path(), Some(&server.address), &mut stop, None).unwrap_err();
    let path = pull("dinov2_vitg14", cache.path(), Some(&server.address), &mut go, None).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), content);
    assert_eq!(server.ranges()[1], Some(format!("bytes={total}-")));
}

#[test]
fn wrong_checksums_leave_nothing() {
    let (cache, content) = (tempfile::tempdir().unwrap(), content());
    let server = serve(content.clone(), TAG, &[Answer::Proper]);
    let error =
        pull("dinov2_vits14", cache.path(), Some(&server.address), &mut go, Some("abc123")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("abc123") && text.contains(&sha(&content)), "{text}");
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
}

#[test]
fn failures_say_where_to_put_the_file() {
    let cache = tempfile::tempdir().unwrap();
    let by_hand = cache.path().join("dinov2_vits14_pretrain.pth").display().to_string();
    let server = serve(content(), TAG, &[Answer::NotFound, Answer::WebPage]);
    for wanted in ["404", "web page"] {
        let text = pull("dinov2_vits14", cache.path(), Some(&server.address), &mut go, None)
            .unwrap_err()
            .to_string();
        assert!(text.contains(wanted) && text.contains(&by_hand) && text.contains(&server.address), "{text}");
    }
    // Nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text =
        pull("dinov2_vits14", cache.path(), Some(&format!("http://{port}")), &mut go, None).unwrap_err();
    assert!(text.to_string().contains(&by_hand), "{text}");
    // A connection that never brings anything is not tried for ever.
    let server = serve(content(), TAG, &[Answer::Cut(0)]);
    assert!(pull("dinov2_vits14", cache.path(), Some(&server.address), &mut go, None).is_err());
    assert!(server.ranges().len() <= 2);
}

#[test]
fn names_and_addresses() {
    assert_eq!(find("dinov2_vitg14_reg4"), find("dinov2_vitg14_reg"));
    assert_eq!(
        find("dinov2_vitl14_reg").unwrap().url(None),
        "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth"
    );
    let cache = std::path::Path::new("c");
    let a = target("https://example.org/a/model.safetensors?download=true", cache).unwrap();
    let b = target("https://example.org/b/model.safetensors", cache).unwrap();
    assert!(a != b && a.to_string_lossy().ends_with("-model.safetensors"), "{a:?}");
    for wrong in
        ["dinov2_vitx14", "ftp://x/y", "https://example.org/", "https://example.org", "http:///..", "../x"]
    {
        assert!(target(wrong, cache).is_err(), "{wrong}");
    }
}

/// A file of the hub has a name of its own here; who is not let in is told so.
#[test]
fn models_of_the_hub_are_pulled_by_name() {
    let (cache, content) = (tempfile::tempdir().unwrap(), content());
    let server = serve(content.clone(), TAG, &[Answer::Proper, Answer::Locked]);
    let path = pull("dinov3_vits16", cache.path(), Some(&server.address), &mut go, None).unwrap();
    assert_eq!(path, cache.path().join("dinov3_vits16_lvd1689m.safetensors"));
    assert_eq!(std::fs::read(&path).unwrap(), content);
    let text =
        pull("dinov3_vitb16", cache.path(), Some(&server.address), &mut go, None).unwrap_err().to_string();
    assert!(text.contains("(401)") && text.contains("dinov3_vitb16_lvd1689m.safetensors"), "{text}");
}

#[test]
fn what_is_here_is_held_against_the_record_beside_it() {
    let (cache, content) = (tempfile::tempdir().unwrap(), content());
    let server = serve(content.clone(), TAG, &[Answer::Proper]);
    let url = format!("{}/some/model.safetensors", server.address);
    // No checksum is known of an address: the record is all there is.
    let wanted =
        WeightsDownloadRequest { allow_http: true, ..WeightsDownloadRequest::new(&url, cache.path()) };
    let first = wanted.pull(&mut go).unwrap();
    assert_eq!((first.sha256.clone(), first.fetched, first.notes.len()), (sha(&content), true, 0));
    let again = wanted.pull(&mut go).unwrap();
    assert_eq!(again, DownloadedWeights { fetched: false, ..first.clone() });
    assert_eq!(server.ranges().len(), 1);

    // One bit in the cache.
    let mut rotten = content.clone();
    rotten[500_000] ^= 1;
    std::fs::write(&first.path, &rotten).unwrap();
    let mended = wanted.pull(&mut go).unwrap();
    assert!(mended.fetched && mended.notes.iter().any(|note| note.contains("fetched anew")), "{mended:?}");
    assert_eq!(std::fs::read(&first.path).unwrap(), content);

    // Without a network what rotted is not left to be used.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{port}/model.safetensors");
    let place = target(&gone, cache.path()).unwrap();
    std::fs::write(&place, &rotten).unwrap();
    let record = std::fs::read_to_string(format!("{}.sha256", first.path.display())).unwrap();
    std::fs::write(format!("{}.sha256", place.display()), record).unwrap();
    let gone =
        WeightsDownloadRequest { allow_http: true, ..WeightsDownloadRequest::new(&gone, cache.path()) };
    assert!(gone.pull(&mut go).is_err() && !place.exists());
}

#[test]
fn released_files_have_known_checksums() {
    let official = names().iter().filter(|released| released.name.starts_with("dinov2"));
    let mut all: Vec<_> = official.map(|released| released.sha256.unwrap()).collect();
    let count = all.len();
    assert!(all.iter().all(|digest| digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit())));
    all.sort_unstable();
    all.dedup();
    assert_eq!((all.len(), count), (8, 8));
    // Another file under a released name, from wherever, is discarded without being asked to look.
    let cache = tempfile::tempdir().unwrap();
    let server = serve(content(), TAG, &[Answer::Proper]);
    let base_url = Some(server.address.as_str());
    let wanted = WeightsDownloadRequest {
        base_url,
        allow_http: true,
        ..WeightsDownloadRequest::new("dinov2_vits14", cache.path())
    };
    let error = wanted.pull(&mut go).unwrap_err();
    let known = |expected: &String| expected.starts_with("b938bf1b");
    assert!(matches!(&error, WeightsError::Checksum { expected, .. } if known(expected)), "{error}");
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
}

#[test]
fn addresses_without_encryption_are_asked_only_when_they_may_be() {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(content(), TAG, &[Answer::Proper]);
    let url = format!("{}/model.safetensors", server.address);
    let with_base = WeightsDownloadRequest {
        base_url: Some(&server.address),
        ..WeightsDownloadRequest::new("dinov2_vits14", cache.path())
    };
    for wanted in [WeightsDownloadRequest::new(&url, cache.path()), with_base] {
        let text = wanted.pull(&mut go).unwrap_err().to_string();
        assert!(text.contains("https") && text.contains("--allow-http"), "{text}");
    }
    assert!(server.ranges().is_empty(), "nobody was asked");
}

#[test]
fn a_file_of_unknown_length_is_whole_when_it_opens() {
    let content = content();
    let fetch = |answers, content: Vec<u8>| {
        let (cache, server) = (tempfile::tempdir().unwrap(), serve(content, TAG, answers));
        let url = format!("{}/model.safetensors", server.address);
        let pulled =
            WeightsDownloadRequest { allow_http: true, ..WeightsDownloadRequest::new(&url, cache.path()) }
                .pull(&mut go);
        let bytes =
            pulled.map(|pulled| std::fs::read(pulled.path).unwrap()).map_err(|error| error.to_string());
        if bytes.is_err() {
            assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
        }
        bytes
    };
    assert_eq!(fetch(&[Answer::Unannounced(usize::MAX)], content.clone()).unwrap(), content);
    let text = fetch(&[Answer::Unannounced(700_000)], content).unwrap_err();
    assert!(text.contains("did not say how long") && text.contains("truncated"), "{text}");
    // What announces its length, and is something else under a name of weights.
    let text = fetch(&[Answer::Proper], b"an error that a server calls a success".repeat(9)).unwrap_err();
    assert!(text.contains("no whole weights file"), "{text}");
}

#[test]
fn where_a_server_sends_on_to_is_followed() {
    let cache = tempfile::tempdir().unwrap();
    let target = serve(content(), TAG, &[Answer::Proper]);
    let to: &'static str = Box::leak(format!("{}/model.safetensors", target.address).into_boxed_str());
    let server = serve(content(), TAG, Box::leak(Box::new([Answer::Redirect(to)])));
    let url = format!("{}/latest.safetensors", server.address);
    let pulled =
        WeightsDownloadRequest { allow_http: true, ..WeightsDownloadRequest::new(&url, cache.path()) }
            .pull(&mut go)
            .unwrap();
    assert_eq!(std::fs::read(pulled.path).unwrap(), content());
}
