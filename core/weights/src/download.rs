//! Fetching released weights: resumable, verified, and never half-finished under the final name.
//!
//! The publisher states no checksums. Those of the released files are here: they are what the `refiners` library checks
//! when it converts them from the same addresses, and what others who pinned them found. They are held against a download
//! unless the caller knows another; so are the server's size and entity tag, and for what is here already the SHA-256 that
//! was written beside it. What arrives must open as weights, and only encrypted addresses are asked, also where a server
//! sends on to another, unless the caller allows more.

use super::WeightsError;
pub use super::released::{BASE_URL, HUB_URL, ReleasedModel, find, names};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use ureq::http::{Response, StatusCode, header};

/// Attempts after a connection that broke; each must have brought something.
const RETRIES: usize = 8;

static CACHE: OnceLock<PathBuf> = OnceLock::new();

/// Keeps in `folder` what can be had again: pulled weights in `weights`, computed features in `features`.
///
/// It holds for the whole program, and only if it is the first to be called.
pub fn keep_in(folder: PathBuf) {
    let _ = CACHE.set(folder);
}

/// Where pulled weights lie: `weights` in [`cache_folder`].
pub fn default_cache() -> PathBuf {
    cache_folder().join("weights")
}

/// What [`keep_in`] was given, else `$XDG_CACHE_HOME/dinoscope` or `~/.cache/dinoscope`; on Windows below
/// `%LOCALAPPDATA%`.
pub fn cache_folder() -> PathBuf {
    if let Some(folder) = CACHE.get() {
        return folder.clone();
    }
    let set = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).filter(|path| dinoscope_base::files::is_absolute(path))
    };
    let base = if cfg!(windows) { set("LOCALAPPDATA") } else { set("XDG_CACHE_HOME") };
    let base = base.or_else(|| Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("dinoscope")
}

/// Where a file pulled as `name_or_url` lies, whether it is there or not.
///
/// # Errors
/// If it is neither a known name nor an `http(s)` address of a file.
pub fn target(name_or_url: &str, cache: &Path) -> Result<PathBuf, WeightsError> {
    locate(name_or_url, cache, None).map(|(_, path)| path)
}

/// A file that is wanted, and what it must be like.
#[derive(Clone, Debug)]
pub struct WeightsDownloadRequest<'a> {
    /// A released model's name, or the address of any file.
    pub name_or_url: &'a str,
    /// Folder that it goes into.
    pub cache: &'a Path,
    /// What replaces [`BASE_URL`] and [`HUB_URL`] for released models.
    pub base_url: Option<&'a str>,
    /// The SHA-256 that it must have, instead of the one that is known of a released model.
    pub sha256: Option<&'a str>,
    /// Whether addresses without encryption are asked too.
    pub allow_http: bool,
}

/// A file that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadedWeights {
    /// Where it lies.
    pub path: PathBuf,
    /// Its SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Whether it was fetched now.
    pub fetched: bool,
    /// What a person may want to know: that a file that was here before was not what it had been.
    pub notes: Vec<String>,
}

impl<'a> WeightsDownloadRequest<'a> {
    /// `name_or_url` from where it is released, into `cache`.
    pub fn new(name_or_url: &'a str, cache: &'a Path) -> Self {
        Self { name_or_url, cache, base_url: None, sha256: None, allow_http: false }
    }

    /// Fetch it, unless it is here and is what it was; see [`DownloadedWeights`].
    ///
    /// A file that is here is held against the SHA-256 that is wanted or known, and against the one in `<file>.sha256`, in
    /// the form that `sha256sum -c` reads; where it differs it is thrown away and fetched anew. An attempt that broke off
    /// continues where it ended. `progress` hears bytes so far and in total, and may stop.
    ///
    /// # Errors
    /// If the network, the server, the disk, the checksum or the content is not as it should be; the message says where to
    /// put the file by hand.
    pub fn pull(
        &self,
        progress: &mut dyn FnMut(u64, Option<u64>) -> ControlFlow<()>,
    ) -> Result<DownloadedWeights, WeightsError> {
        let (url, path) = locate(self.name_or_url, self.cache, self.base_url)?;
        let expected = self.sha256.or_else(|| find(self.name_or_url).and_then(|released| released.sha256));
        let (mut notes, mut has_changed) = (Vec::new(), false);
        if path.is_file() {
            let size = fs::metadata(&path).map_err(|e| disk(&path, "read", e))?.len();
            let found = sha256(&path).map_err(|e| disk(&path, "read", e))?;
            has_changed = changed_since(&path, &found);
            let wrong = expected.filter(|expected| !same(expected, &found));
            let reason = if has_changed {
                "the file that is here is not what was fetched once, by the SHA-256 beside it"
            } else if let Some(expected) = wrong {
                notes.push(format!("SHA-256 {} is wanted", expected.trim().to_lowercase()));
                "the file that is here is another one"
            } else {
                let _ = progress(size, Some(size));
                return Ok(DownloadedWeights { path, sha256: found, fetched: false, notes });
            };
            notes.insert(0, format!("{}: {reason} (it has {found}); it is fetched anew", path.display()));
        }
        if !self.allow_http && !is_encrypted(&url) {
            return Err(failed(
                &url,
                &path,
                "it is not https, so that anybody on the way could put another file in its place; --allow-http takes it \
                 all the same"
                    .into(),
            ));
        }
        if has_changed {
            // What rotted must not be used meanwhile, nor when the network fails.
            fs::remove_file(&path).map_err(|e| disk(&path, "discard", e))?;
            let _ = fs::remove_file(beside(&path, ".sha256"));
        }
        fs::create_dir_all(self.cache).map_err(|e| disk(self.cache, "create", e))?;
        let mut job = ResumableDownload::open(url, path)?;
        job.fetch(self.allow_http, progress)?;
        let (path, sha256) = job.finish(expected)?;
        Ok(DownloadedWeights { path, sha256, fetched: true, notes })
    }
}

/// Whether a file still has the SHA-256 that was written down beside it when it was fetched, in `<file>.sha256`; `None` where
/// nothing was.
///
/// # Errors
/// When the file can't be read.
pub fn is_as_fetched(path: &Path) -> Result<Option<bool>, WeightsError> {
    if !beside(path, ".sha256").is_file() {
        return Ok(None);
    }
    let found = sha256(path).map_err(|e| disk(path, "read", e))?;
    Ok(Some(!changed_since(path, &found)))
}

/// Whether a file that is here, with the checksum `found`, is another than the one that was fetched. One that was put here
/// by hand has no record; it is what it is.
fn changed_since(path: &Path, found: &str) -> bool {
    let record = fs::read_to_string(beside(path, ".sha256")).unwrap_or_default();
    let kept = record.split_whitespace().next().unwrap_or_default();
    kept.len() == found.len() && !same(kept, found)
}

fn is_encrypted(url: &str) -> bool {
    url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

/// Whether a file of this name is meant to hold weights.
fn names_weights(path: &Path) -> bool {
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default().to_lowercase();
    matches!(kind.as_str(), "pth" | "pt" | "bin" | "ckpt" | "safetensors")
}

/// Address and final place.
fn locate(
    name_or_url: &str,
    cache: &Path,
    base_url: Option<&str>,
) -> Result<(String, PathBuf), WeightsError> {
    let file_of =
        |url: &str| url.split(['?', '#']).next().and_then(|u| u.rsplit('/').next()).unwrap_or("").to_string();
    if let Some(released) = find(name_or_url) {
        return Ok((released.url(base_url), cache.join(released.file())));
    }
    let unsupported = |reason: String| WeightsError::Unsupported { file: name_or_url.into(), reason };
    if !name_or_url.starts_with("https://") && !name_or_url.starts_with("http://") {
        let known: Vec<_> = names().iter().map(|r| r.name).collect();
        return Err(unsupported(format!(
            "is no released model; there are {}, or give an address",
            known.join(", ")
        )));
    }
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let file: String = file_of(name_or_url).chars().filter(|&c| keep(c)).collect();
    if file.trim_matches('.').is_empty() || name_or_url.splitn(4, '/').nth(3).is_none_or(str::is_empty) {
        return Err(unsupported("is an address without a file".into()));
    }
    // Files of different models often have one name (model.safetensors).
    let digest = hex(&Sha256::digest(name_or_url.as_bytes()));
    Ok((name_or_url.into(), cache.join(format!("{}-{file}", &digest[..8]))))
}

/// What is remembered about a `.part`, so that it is only continued with the same contents.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct DownloadResumeInfo {
    url: String,
    validator: Option<String>,
    total: Option<u64>,
}

/// A download under way.
struct ResumableDownload {
    url: String,
    path: PathBuf,
    part_path: PathBuf,
    origin_path: PathBuf,
    part: File,
    done: u64,
    origin: DownloadResumeInfo,
}

impl ResumableDownload {
    fn open(url: String, path: PathBuf) -> Result<Self, WeightsError> {
        let (part_path, origin_path) = (beside(&path, ".part"), beside(&path, ".part.json"));
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&part_path);
        let part = open.map_err(|e| disk(&part_path, "write", e))?;
        if let Err(TryLockError::WouldBlock) = part.try_lock() {
            return Err(failed(&url, &path, "another process is fetching it at this moment".into()));
        }
        let origin: DownloadResumeInfo = fs::read(&origin_path)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or_default();
        let mut job = Self { url, path, part_path, origin_path, part, done: 0, origin };
        // Without a total or a validator there is no way to know that the rest belongs to the beginning.
        let known = job.origin.total.is_some() || job.origin.validator.is_some();
        if job.origin.url == job.url && known {
            job.done = job.part.metadata().map_err(|e| disk(&job.part_path, "read", e))?.len();
        }
        Ok(job)
    }

    fn failed(&self, reason: String) -> WeightsError {
        failed(&self.url, &self.path, reason)
    }

    /// Until everything is there.
    fn fetch(
        &mut self,
        allow_http: bool,
        progress: &mut dyn FnMut(u64, Option<u64>) -> ControlFlow<()>,
    ) -> Result<(), WeightsError> {
        let agent = agent(&self.url, allow_http);
        for _ in 0..=RETRIES {
            let before = self.done;
            match self.attempt(&agent, progress)? {
                DownloadAttempt::Complete => return Ok(()),
                DownloadAttempt::Restart => {}
                DownloadAttempt::Broken(reason) if self.done <= before => return Err(self.failed(reason)),
                DownloadAttempt::Broken(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
        let total = self.origin.total.map_or("an unknown number".into(), |t| t.to_string());
        let reason = format!(
            "the connection broke {RETRIES} times; {} of {total} bytes have arrived, and the next attempt continues there",
            self.done
        );
        Err(self.failed(reason))
    }

    fn attempt(
        &mut self,
        agent: &ureq::Agent,
        progress: &mut dyn FnMut(u64, Option<u64>) -> ControlFlow<()>,
    ) -> Result<DownloadAttempt, WeightsError> {
        let mut request = agent.get(&self.url);
        if self.done > 0 {
            request = request.header("Range", format!("bytes={}-", self.done));
            if let Some(validator) = &self.origin.validator {
                request = request.header("If-Range", validator);
            }
        }
        let mut response = match request.call() {
            Ok(response) => response,
            Err(e) => return Ok(DownloadAttempt::Broken(explain(&e))),
        };
        let (first, total) = content_range(&response);
        match response.status() {
            StatusCode::OK => self.begin(&response)?,
            StatusCode::PARTIAL_CONTENT
                if first == Some(self.done)
                    && (self.origin.total.is_none() || total == self.origin.total) => {}
            StatusCode::RANGE_NOT_SATISFIABLE if self.done > 0 && total == Some(self.done) => {
                self.origin.total = total;
                return Ok(DownloadAttempt::Complete);
            }
            // The server's file is another one now, or it answered for a range that was not asked for.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if self.done > 0 => {
                self.done = 0;
                return Ok(DownloadAttempt::Restart);
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let reason = "the server lets only those in who have asked its owner";
                return Err(self.failed(format!("{reason} ({})", response.status().as_u16())));
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                return Err(self.failed("the server has no such file (404)".into()));
            }
            status => return Err(self.failed(format!("the server answered {status}"))),
        }
        self.part.seek(SeekFrom::Start(self.done)).map_err(|e| disk(&self.part_path, "write", e))?;
        if progress(self.done, self.origin.total).is_break() {
            return Err(WeightsError::Cancelled { url: self.url.clone() });
        }
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 18];
        loop {
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Ok(DownloadAttempt::Broken(format!("the connection broke: {e}"))),
            };
            self.part.write_all(&buffer[..count]).map_err(|e| disk(&self.part_path, "write", e))?;
            self.done += count as u64;
            if progress(self.done, self.origin.total).is_break() {
                return Err(WeightsError::Cancelled { url: self.url.clone() });
            }
        }
        match self.origin.total {
            Some(total) if self.done < total => Ok(DownloadAttempt::Broken(format!(
                "the connection ended after {} of {total} bytes",
                self.done
            ))),
            Some(total) if self.done > total => {
                Err(self.failed(format!("the server sent {} bytes, but announced {total}", self.done)))
            }
            _ => Ok(DownloadAttempt::Complete),
        }
    }

    /// A whole file comes: forget what was there, and note what this one is.
    fn begin(&mut self, response: &Response<ureq::Body>) -> Result<(), WeightsError> {
        let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_string);
        if text(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html")) {
            let reason = "the server sent a web page; perhaps this network wants a login first";
            return Err(self.failed(reason.into()));
        }
        // Weak entity tags may not be used to continue (RFC 9110, section 13.1.5).
        let tag = text(header::ETAG).filter(|tag| !tag.starts_with("W/"));
        self.origin = DownloadResumeInfo {
            url: self.url.clone(),
            validator: tag.or_else(|| text(header::LAST_MODIFIED)),
            total: text(header::CONTENT_LENGTH).and_then(|n| n.parse().ok()),
        };
        self.done = 0;
        self.part.set_len(0).map_err(|e| disk(&self.part_path, "write", e))?;
        let json = serde_json::to_vec(&self.origin).unwrap_or_default();
        fs::write(&self.origin_path, json).map_err(|e| disk(&self.origin_path, "write", e))
    }

    /// Everything is there: verify, record, and put it in its place. Returns that, and the checksum.
    fn finish(self, expected_sha256: Option<&str>) -> Result<(PathBuf, String), WeightsError> {
        self.part.set_len(self.done).map_err(|e| disk(&self.part_path, "write", e))?;
        self.part.sync_all().map_err(|e| disk(&self.part_path, "write", e))?;
        // Windows neither reads nor renames a file that is locked.
        drop(self.part);
        let found = sha256(&self.part_path).map_err(|e| disk(&self.part_path, "read", e))?;
        let _ = fs::remove_file(&self.origin_path);
        if let Some(expected) = expected_sha256.filter(|expected| !same(expected, &found)) {
            let _ = fs::remove_file(&self.part_path);
            let (file, expected) = (self.path.display().to_string(), expected.trim().to_lowercase());
            return Err(WeightsError::Checksum { file, expected, found });
        }
        // A body that ends early looks whole where its length was not announced.
        let announced = self.origin.total.is_some();
        if (names_weights(&self.path) || !announced)
            && let Err(error) = super::check_opens(&self.part_path)
        {
            let _ = fs::remove_file(&self.part_path);
            let part = self.part_path.display().to_string();
            let why = error.to_string();
            let why = why.strip_prefix(&format!("{part}: ")).unwrap_or(&why).to_string();
            let cut = if announced { "" } else { "the server did not say how long the file is, and " };
            let reason = format!("{cut}what arrived is no whole weights file ({why}); it was discarded");
            return Err(failed(&self.url, &self.path, reason));
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let sidecar = beside(&self.path, ".sha256");
        fs::write(&sidecar, format!("{found}  {name}\n")).map_err(|e| disk(&sidecar, "write", e))?;
        fs::rename(&self.part_path, &self.path).map_err(|e| disk(&self.path, "write", e))?;
        Ok((self.path, found))
    }
}

/// How one request ended.
enum DownloadAttempt {
    Complete,
    /// What was there is useless; ask again from the start.
    Restart,
    /// The connection failed, with the reason.
    Broken(String),
}

fn agent(url: &str, allow_http: bool) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        // Holds for every address that a server sends on to.
        .https_only(!allow_http)
        // Ranges count the bytes of the file, not of a compressed form.
        .accept_encoding("identity")
        .user_agent(concat!("dinoscope/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)));
    let local =
        ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|host| url.starts_with(host));
    if local { config.proxy(None).build().into() } else { config.build().into() }
}

/// First byte and total of `Content-Range: bytes 100-199/200` or `bytes */200`.
fn content_range(response: &Response<ureq::Body>) -> (Option<u64>, Option<u64>) {
    let value = response.headers().get(header::CONTENT_RANGE).and_then(|v| v.to_str().ok());
    let Some((range, total)) = value.and_then(|v| v.trim().strip_prefix("bytes ")?.split_once('/')) else {
        return (None, None);
    };
    (range.split_once('-').and_then(|(first, _)| first.trim().parse().ok()), total.trim().parse().ok())
}

fn explain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "its host cannot be found; is this machine connected?".into(),
        ureq::Error::Timeout(_) => "the server does not answer in time".into(),
        ureq::Error::Io(e) => format!("no connection ({e})"),
        ureq::Error::RequireHttpsOnly(to) => {
            format!("the server sends on to {to}, which is not https; --allow-http takes it all the same")
        }
        other => other.to_string(),
    }
}

fn failed(url: &str, path: &Path, reason: String) -> WeightsError {
    WeightsError::Download { url: url.into(), reason, by_hand: path.display().to_string() }
}

fn disk(path: &Path, action: &'static str, error: io::Error) -> WeightsError {
    WeightsError::io(&path.display().to_string(), action, error)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

/// SHA-256 of a file, in lower-case hexadecimal.
fn sha256(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn same(wanted: &str, found: &str) -> bool {
    wanted.trim().eq_ignore_ascii_case(found)
}
