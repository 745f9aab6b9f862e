//! Where things are, and the environment that children get.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The packages that make up the program. `xtask` is built by itself: put together with the others it would
/// change which features their shared dependencies are compiled with, and so compile those again.
pub const PROGRAM: [&str; 3] = ["--workspace", "--exclude", "xtask"];

/// How programs and tests are compiled to be tested: see the workspace's manifest.
pub const TESTED: &str = "tested";

/// The packages in `core/`.
pub const CORE: [&str; 8] = [
    "dinoscope-analysis",
    "dinoscope-base",
    "dinoscope-core",
    "dinoscope-curate",
    "dinoscope-data",
    "dinoscope-eval",
    "dinoscope-model",
    "dinoscope-weights",
];

/// The other one.
pub const XTASK: [&str; 2] = ["--package", "xtask"];

/// This clone and this machine.
pub struct Here {
    /// Root of the repository.
    pub root: PathBuf,
    /// Where cargo builds.
    pub target: PathBuf,
    /// Tools that `xtask` installs for itself.
    pub cache: PathBuf,
    /// Whether a missing tool is an error (`CI=true`).
    pub ci: bool,
    runtime: Option<PathBuf>,
}

impl Here {
    /// Looks around.
    ///
    /// # Errors
    /// When a folder for Vulkan's sockets cannot be made.
    pub fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root =
            Path::new(&manifest).ancestors().nth(1).context("xtask is not in a repository")?.to_owned();
        // cargo runs TARGET/tested/xtask, also when TARGET comes from a configuration file.
        let built = env::current_exe().ok().and_then(|program| Some(program.ancestors().nth(2)?.to_owned()));
        let target = env::var_os("CARGO_TARGET_DIR")
            .map(|target| root.join(target))
            .or(built)
            .unwrap_or_else(|| root.join("target"));
        let home = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).map(PathBuf::from);
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home.map(|home| home.join(".cache")));
        let cache = cache.unwrap_or_else(|| target.clone()).join("dinoscope");
        let ci = env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
        Ok(Self { root, target, cache, ci, runtime: runtime_dir()? })
    }

    /// Where cargo builds for the web: a folder of its own, so that neither build waits for the other.
    pub fn web_target(&self) -> PathBuf {
        let mut name = self.target.file_name().unwrap_or_default().to_owned();
        name.push("-web");
        self.target.with_file_name(name)
    }

    /// A program that `cargo build --release` made.
    pub fn released(&self, name: &str) -> PathBuf {
        self.built("release", name)
    }

    /// A program as it is compiled to be tested.
    pub fn tested(&self, name: &str) -> PathBuf {
        self.built(TESTED, name)
    }

    fn built(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// A command that starts in the root of the repository.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        if let Some(runtime) = &self.runtime {
            command.env("XDG_RUNTIME_DIR", runtime);
        }
        command
    }

    /// `cargo ARGUMENTS`.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("cargo");
        command.args(arguments).env("CARGO_TARGET_DIR", &self.target);
        command
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        if let Some(runtime) = &self.runtime {
            let _ = fs::remove_dir_all(runtime);
        }
    }
}

/// Without `XDG_RUNTIME_DIR` Vulkan's loader prints an error line for every process: a private folder for it.
fn runtime_dir() -> Result<Option<PathBuf>> {
    if !cfg!(target_os = "linux") || env::var_os("XDG_RUNTIME_DIR").is_some() {
        return Ok(None);
    }
    let runtime = env::temp_dir().join(format!("dinoscope-runtime-{}", std::process::id()));
    fs::create_dir_all(&runtime).with_context(|| format!("making {}", runtime.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700))?;
    }
    Ok(Some(runtime))
}
