//! The launchers of MPI that tests use: what `cargo xtask test` installs, or what a developer has.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One `mpiexec` with the library that belongs to it.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// For messages.
    pub name: String,
    mpiexec: PathBuf,
    arguments: Vec<&'static str>,
    /// What `DINOSCOPE_MPI` is set to; the library's usual name where it is `None`.
    library: Option<PathBuf>,
    variables: Vec<(String, OsString)>,
}

/// Variables of other launchers, under which a test itself may run.
const OTHERS: [&str; 6] =
    ["DINOSCOPE_MPI", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK", "SLURM_NTASKS"];

impl Launcher {
    /// With a variable for the processes.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// `mpiexec -n PROCESSES`; the program and its arguments come next.
    pub fn command(&self, processes: usize) -> Command {
        let mut command = self.prepared(&self.mpiexec);
        command.args(&self.arguments).args(["-n", &processes.to_string()]);
        command
    }

    /// The program by itself, with this launcher's library.
    pub fn alone(&self, program: &Path) -> Command {
        let mut command = self.prepared(program);
        if self.library.is_none() {
            command.env("DINOSCOPE_MPI", "libmpi.so.40");
        }
        command
    }

    fn prepared(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for name in OTHERS {
            command.env_remove(name);
        }
        if let Some(library) = &self.library {
            command.env("DINOSCOPE_MPI", library);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }
}

/// Open MPI's, by its usual name, and MPICH's with each of its two libraries.
///
/// `cargo xtask test` installs both and says so in `DINOSCOPE_TEST_MPI`, the folder of MPICH. Without it whatever is there is
/// used, and nothing where a developer has no MPI, which is said.
///
/// # Panics
/// When `cargo xtask test` installed them and they are not there.
pub fn launchers() -> Vec<Launcher> {
    let mut found = Vec::new();
    let installed = std::env::var_os("DINOSCOPE_TEST_MPI").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let open_mpi =
        std::env::split_paths(&path).map(|folder| folder.join("mpiexec.openmpi")).find(|file| file.is_file());
    if let Some(mpiexec) = open_mpi {
        // More processes than cores, and as root where the tests run so.
        let arguments = vec!["--allow-run-as-root", "--oversubscribe"];
        let name = "Open MPI".to_owned();
        found.push(Launcher { name, mpiexec, arguments, library: None, variables: Vec::new() });
    }
    let mpich = installed.clone().filter(|folder| folder.join("bin/mpiexec").is_file());
    for library in ["libmpi_abi.so.1", "libmpi.so.12"] {
        let Some(folder) = &mpich else { continue };
        found.push(Launcher {
            name: format!("MPICH with {library}"),
            mpiexec: folder.join("bin/mpiexec"),
            arguments: Vec::new(),
            library: Some(folder.join("lib").join(library)),
            variables: Vec::new(),
        });
    }
    assert!(
        installed.is_none() || found.len() == 3,
        "cargo xtask test installs Open MPI and MPICH: {found:?}"
    );
    if found.is_empty() {
        #[expect(clippy::print_stderr, reason = "whoever runs the test is to know")]
        {
            eprintln!("skipped: no MPI here; `cargo xtask test` installs what this needs");
        }
    }
    found
}
