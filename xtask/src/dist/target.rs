//! The machine that a program is for.

use anyhow::{Context, Result, bail};

/// What a program asks of the system that it runs on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ProgramNeeds {
    /// Libraries that have to be there for it to start.
    pub libraries: Vec<String>,
    /// The oldest C library that it runs with, such as 2.35.
    pub glibc: Option<String>,
}

/// A kind of machine, by the name that rustc gives it.
#[derive(Clone, Debug)]
pub struct TargetMachine(pub String);

impl TargetMachine {
    /// How files of a release name it: processor and system.
    pub fn short(&self) -> String {
        let cpu = self.0.split('-').next().unwrap_or_default();
        let system = ["linux", "windows", "darwin"].into_iter().find(|system| self.0.contains(system));
        let system = system.map_or("unknown", |system| if system == "darwin" { "macos" } else { system });
        format!("{cpu}-{system}")
    }

    /// Debian's name of the processor.
    ///
    /// # Errors
    /// When it is none of those that releases are made for.
    pub fn debian(&self) -> Result<&'static str> {
        match self.0.split('-').next() {
            Some("x86_64") => Ok("amd64"),
            Some("aarch64") => Ok("arm64"),
            _ => bail!("no Debian package is made for {}", self.0),
        }
    }

    /// Whether it runs Windows.
    pub fn is_windows(&self) -> bool {
        self.0.contains("windows")
    }

    /// Whether it runs Linux.
    pub fn is_linux(&self) -> bool {
        self.0.contains("linux")
    }
}

/// What every Linux with glibc has: the program opens all else by name, where it is there.
const EVERYWHERE: [&str; 7] = [
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libdl.so.2",
    "libpthread.so.0",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// Reads what `readelf --dynamic --version-info --wide` says of a program.
///
/// # Errors
/// Names a library that a bare system does not have.
pub fn needs(told: &str) -> Result<ProgramNeeds> {
    let libraries: Vec<String> = told
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned()))
        .collect();
    if let Some(other) = libraries.iter().find(|name| !EVERYWHERE.contains(&name.as_str())) {
        bail!(
            "the program does not start without {other}, which a bare system has not: have it opened by name"
        );
    }
    let versions = told.split("GLIBC_").skip(1).filter_map(|rest| {
        let version = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut parts = version.trim_end_matches('.').split('.').map(str::parse::<u32>);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    });
    let glibc = versions.max().map(|(major, minor)| format!("{major}.{minor}"));
    Ok(ProgramNeeds { libraries, glibc })
}

impl ProgramNeeds {
    /// What Debian calls the libraries.
    ///
    /// # Errors
    /// When it is not known which C library is needed.
    pub fn debian(&self) -> Result<String> {
        let glibc = self.glibc.as_ref().context("the program does not say which glibc it needs")?;
        let unwinds = self.libraries.iter().any(|name| name.starts_with("libgcc_s"));
        Ok(format!("libc6 (>= {glibc}){}", if unwinds { ", libgcc-s1" } else { "" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "
  Tag        Type                         Name/Value
 0x0000000000000001 (NEEDED)             Shared library: [libgcc_s.so.1]
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
  0x0060:   Name: GLIBC_2.9  Flags: none  Version: 14
  0x0010:   Name: GLIBC_2.35  Flags: none  Version: 13
  0x0080:   Name: GLIBC_2.3.4  Flags: none  Version: 12
";

    #[test]
    fn what_a_program_needs_is_read() {
        let needs = needs(TOLD).unwrap();
        assert_eq!(needs.libraries, ["libgcc_s.so.1", "libc.so.6"]);
        assert_eq!(needs.debian().unwrap(), "libc6 (>= 2.35), libgcc-s1");
        let more = TOLD.replace("libgcc_s.so.1", "libvulkan.so.1");
        assert!(super::needs(&more).unwrap_err().to_string().contains("libvulkan.so.1"));
    }

    #[test]
    fn machines_have_short_names() {
        let short = |name: &str| TargetMachine(name.into()).short();
        assert_eq!(short("x86_64-unknown-linux-gnu"), "x86_64-linux");
        assert_eq!(short("x86_64-pc-windows-msvc"), "x86_64-windows");
        assert_eq!(short("universal-apple-darwin"), "universal-macos");
        assert_eq!(TargetMachine("aarch64-unknown-linux-gnu".into()).debian().unwrap(), "arm64");
        assert!(TargetMachine("riscv64gc-unknown-linux-gnu".into()).debian().is_err());
    }
}
