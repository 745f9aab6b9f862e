//! What the stages need beside cargo: found, installed where that is possible, else named in one line.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::here::Here;
use crate::run;

const WASM: &str = "wasm32-unknown-unknown";
/// What brings `mpiexec` and `libmpi_abi.so.1`.
const MPICH: &str = "mpich==5.0.2";

/// A program on the `PATH`.
pub fn which(name: &str) -> Option<PathBuf> {
    let name = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(&name)).find(|program| program.is_file())
}

/// A Vulkan driver, on Linux: Mesa's software one if the machine has none.
///
/// # Errors
/// When there is none and it cannot be installed.
pub fn vulkan(here: &Here) -> Result<()> {
    let drivers = |folder: &str| fs::read_dir(folder).is_ok_and(|mut drivers| drivers.next().is_some());
    let chosen = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| env::var_os(name).is_some());
    let found = chosen || drivers("/usr/share/vulkan/icd.d") || drivers("/etc/vulkan/icd.d");
    if !cfg!(target_os = "linux") || found {
        return Ok(());
    }
    debian(here, &["libvulkan1", "mesa-vulkan-drivers"], "a Vulkan driver")
}

/// An X server without a screen, and what a window needs of X, on Linux: tests use the studio's real window.
///
/// # Errors
/// When something is missing and cannot be installed.
pub fn display(here: &Here) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    // Libraries that winit opens by name: without one of them a window stops the program that wants it.
    let wanted = ["libX11.so.6", "libX11-xcb.so.1", "libXcursor.so.1", "libXi.so.6", "libxkbcommon-x11.so.0"];
    // In no user's PATH. Where it can't be asked, as with musl, the libraries are taken to be there.
    let known = run::output(here.command("/sbin/ldconfig").arg("-p"));
    let there = known.map_or(true, |known| wanted.iter().all(|wanted| known.contains(wanted)));
    if which("Xvfb").is_some() && there {
        return Ok(());
    }
    let packages = ["xvfb", "libx11-6", "libx11-xcb1", "libxcursor1", "libxi6", "libxkbcommon-x11-0"];
    debian(here, &packages, "Xvfb and X's libraries")
}

/// Two MPIs, on Linux: Debian's Open MPI, and MPICH as PyPI has it, which is the folder that comes back. `None` elsewhere,
/// where the tests that start several processes are left out.
///
/// # Errors
/// When one is missing and cannot be installed.
pub fn mpi(here: &Here) -> Result<Option<PathBuf>> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    if which("mpiexec.openmpi").is_none() {
        debian(here, &["openmpi-bin"], "Open MPI")?;
    }
    let folder = here.target.join("mpich");
    if !folder.join("lib/libmpi_abi.so.1").is_file() {
        println!("installing mpich from PyPI into {}", folder.display());
        // Debian has what makes virtual environments in a package of its own.
        let makes_venvs = |python: &PathBuf| {
            let asked =
                Command::new(python).args(["-c", "import ensurepip, venv"]).stderr(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        };
        if which("python3").filter(makes_venvs).is_none() {
            debian(here, &["python3", "python3-venv"], "Python with venv")?;
        }
        let python = which("python3").context("no Python on the PATH, which installs MPICH")?;
        venv(&python, &folder)?;
        run::run(here.command(folder.join("bin/python")).args(["-m", "pip", "install", "--quiet", MPICH]))?;
    }
    Ok(Some(folder))
}

/// Chromium or Chrome; `CHROMIUM` names another one.
///
/// # Errors
/// When there is none and it cannot be installed.
pub fn chromium(here: &Here) -> Result<PathBuf> {
    let find = || {
        let named = env::var_os("CHROMIUM").map(PathBuf::from);
        let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
        let mac = PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
        named.or_else(|| names.iter().find_map(|name| which(name))).or_else(|| mac.is_file().then_some(mac))
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    debian(here, &["chromium"], "Chromium")?;
    find().context("Chromium was installed, but is not on the PATH")
}

/// Node.js.
///
/// # Errors
/// When it is missing and cannot be installed.
pub fn node(here: &Here) -> Result<PathBuf> {
    if which("node").is_none() || which("npm").is_none() {
        debian(here, &["nodejs", "npm"], "Node.js with npm")?;
    }
    which("node").context("Node.js was installed, but is not on the PATH")
}

/// The packages of `folder`, from its lock file: where they lie.
///
/// # Errors
/// When npm fails.
pub fn npm(here: &Here, folder: &str) -> Result<PathBuf> {
    let folder = here.root.join(folder);
    let packages = folder.join("node_modules");
    let changed = |file: &Path| fs::metadata(file).and_then(|data| data.modified()).ok();
    let installed = changed(&packages.join(".package-lock.json"));
    if installed.is_none() || installed < changed(&folder.join("package-lock.json")) {
        let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
        run::run(here.command(npm).args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    }
    Ok(packages)
}

/// A compiler that has the web's target. `None` is cargo's own; otherwise the `RUSTC` to build with.
///
/// # Errors
/// When neither rustup nor Debian's packages give one.
pub fn wasm(here: &Here) -> Result<Option<PathBuf>> {
    let has = || {
        let folder = run::output(here.command("rustc").args(["--print", "target-libdir", "--target", WASM]));
        folder.is_ok_and(|folder| {
            let mut files = fs::read_dir(folder).into_iter().flatten().flatten();
            files.any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
        })
    };
    if has() {
        return Ok(None);
    }
    // Asked first, so that a machine without rustup's servers does not wait for them each time.
    let debian = here.cache.join("wasm-rust");
    let compiler = debian.join("bin/rustc");
    if !debian.join(".complete").is_file() {
        if which("rustup").is_some() {
            println!("installing {WASM} with rustup");
            let _ = here.command("rustup").args(["target", "add", WASM]).status();
            if has() {
                return Ok(None);
            }
        }
        if !cfg!(target_os = "linux") || which("apt-get").is_none() {
            bail!("no standard library for {WASM}: run `rustup target add {WASM}`");
        }
        run::run(here.command("bash").arg("xtask/setup-wasm.sh").arg(&debian))?;
    }
    Ok(Some(compiler))
}

/// A virtual environment.
///
/// # Errors
/// When Python can't make one.
pub fn venv(base: &Path, folder: &Path) -> Result<()> {
    run::run(Command::new(base).args(["-m", "venv"]).arg(folder))
        .context("making a virtual environment (on Debian: apt-get install python3-venv)")
}

/// Installs Debian packages, as root.
///
/// # Errors
/// When this is not Debian or not root, with what to do; when apt fails.
fn debian(here: &Here, packages: &[&str], what: &str) -> Result<()> {
    let names = packages.join(" ");
    if which("apt-get").is_none() {
        bail!("install {what} (on Debian: {names})");
    }
    if run::output(here.command("id").arg("-u"))? != "0" {
        bail!("install {what}: `sudo apt-get install {names}`");
    }
    println!("installing {names}");
    let apt = || {
        let mut apt = here.command("apt-get");
        apt.args(["-qq", "-o", "DPkg::Lock::Timeout=300"]).env("DEBIAN_FRONTEND", "noninteractive");
        apt.stdin(Stdio::null()).stdout(Stdio::null());
        apt
    };
    run::run(apt().arg("update"))?;
    run::run(apt().args(["install", "-y", "--no-install-recommends"]).args(packages))
}
