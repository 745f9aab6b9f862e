//! What the launcher left in the environment of a process that it started as one of several.

/// A job of several processes, as the launcher tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchedJob {
    /// Who tells, for messages.
    pub launcher: &'static str,
    /// How many processes there are, where it is told.
    pub size: Option<usize>,
    /// What to do where the processes do not find each other.
    pub way_out: &'static str,
}

/// A launcher's variable that holds the number of processes, and what to do where they do not find each other.
struct SizeVariable {
    name: &'static str,
    launcher: &'static str,
    way_out: &'static str,
}

const SLURM: &str = "Start it by the mpiexec of the MPI that you use, or by srun --mpi=pmix (srun --mpi=list says what there is), \
                     once for each process";
const MPIEXEC: &str = "Start it by the mpiexec that came with that library, or set DINOSCOPE_MPI to the library of this mpiexec";

/// The most particular first: `mpiexec` inside of a Slurm job has both kinds.
const SIZES: [SizeVariable; 3] = [
    SizeVariable {
        name: "OMPI_COMM_WORLD_SIZE",
        launcher: "Open MPI's mpiexec (OMPI_COMM_WORLD_SIZE)",
        way_out: MPIEXEC,
    },
    SizeVariable { name: "PMI_SIZE", launcher: "mpiexec (PMI_SIZE)", way_out: MPIEXEC },
    SizeVariable { name: "SLURM_NTASKS", launcher: "Slurm (SLURM_NTASKS)", way_out: SLURM },
];

/// The job that `variable` tells of; `None` for a process that was started alone, or as the only one.
///
/// A number that is told counts; `PMIX_RANK` alone says that there may be others, and not how many.
pub fn job_in(variable: impl Fn(&str) -> Option<String>) -> Option<LaunchedJob> {
    for SizeVariable { name, launcher, way_out } in SIZES {
        if let Some(size) = variable(name).and_then(|size| size.trim().parse::<usize>().ok()) {
            return (size > 1).then_some(LaunchedJob { launcher, size: Some(size), way_out });
        }
    }
    let rank = variable("PMIX_RANK")?;
    // Of a single process there is no other rank; whether there are more only MPI can tell.
    rank.trim().parse::<usize>().ok()?;
    Some(LaunchedJob { launcher: "PMIx (PMIX_RANK)", size: None, way_out: SLURM })
}

/// The job that this process belongs to.
pub fn job() -> Option<LaunchedJob> {
    job_in(|name| std::env::var(name).ok())
}

/// Whether Open MPI's launcher started this process.
pub(crate) fn is_open_mpi() -> bool {
    std::env::var_os("OMPI_COMM_WORLD_SIZE").is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn job_of(variables: &[(&str, &str)]) -> Option<LaunchedJob> {
        job_in(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn launchers_are_told_apart_and_one_process_is_no_job() {
        assert_eq!(job_of(&[]), None);
        assert_eq!(job_of(&[("SLURM_NTASKS", "1"), ("PMIX_RANK", "0")]), None);
        assert_eq!(job_of(&[("SLURM_NTASKS", "several")]), None);
        for (variables, size, launcher) in [
            (&[("SLURM_NTASKS", "4")][..], Some(4), "Slurm"),
            (&[("SLURM_NTASKS", "4"), ("PMI_SIZE", "2")], Some(2), "mpiexec"),
            (&[("OMPI_COMM_WORLD_SIZE", "3"), ("PMIX_RANK", "1")], Some(3), "Open MPI"),
            (&[("PMIX_RANK", "1")], None, "PMIx"),
        ] {
            let job = job_of(variables).unwrap();
            assert_eq!(job.size, size, "{variables:?}");
            assert!(job.launcher.starts_with(launcher), "{job:?}");
        }
        // An mpiexec of one process inside of a larger allocation.
        assert_eq!(job_of(&[("SLURM_NTASKS", "4"), ("OMPI_COMM_WORLD_SIZE", "1")]), None);
    }
}
