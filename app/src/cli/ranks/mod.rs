//! A command that a launcher (Slurm, `mpiexec`) started several times: who the others are, and what each may say and use.
//!
//! The first rank speaks; the others are silent unless they fail alone. A rank that fails ends all.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use dinoscope_core::device::{DeviceChoice, adapters};
use dinoscope_core::engine::EngineError;
use dinoscope_core::parallel;
use dinoscope_core::ssl::ranks::MpiRanks;
use dinoscope_core::ssl::{Collective, RankGroup};
use dinoscope_mpi::MpiWorld;

use super::status::CliExitStatus;
use super::terminal::{self, Verbosity, note, warning};

/// Between a rank's last words and the end of all: launchers read them from a pipe, and MPICH's throws away what it has not
/// read when the job is aborted.
const BEFORE_ABORT: Duration = Duration::from_millis(1000);

/// The processes of this command.
static JOINED: OnceLock<CliRanks> = OnceLock::new();

/// The processes of this command, where there are several.
#[derive(Clone, Debug)]
pub struct CliRanks {
    world: MpiWorld,
    group: RankGroup,
    /// This one among those on the same machine, and how many those are.
    local: (usize, usize),
}

/// Joins the others where a launcher started several processes; the only one of a run otherwise. Has to come before anything
/// is computed, printed or written.
///
/// # Errors
/// The processes do not find each other.
pub fn join() -> Result<RankGroup> {
    let Some(world) = MpiWorld::of_launcher()? else { return Ok(RankGroup::default()) };
    let group = RankGroup::new(Arc::new(MpiRanks(world.clone())));
    let cores = allowed_cores();
    let own = format!("{}\n{cores}", world.facts().host);
    let all = group.gather_bytes(own.clone().into_bytes())?;
    let all: Vec<String> = all.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
    let rank = world.facts().rank;
    let host = |text: &String| text.split('\n').next().unwrap_or_default().to_owned();
    let here = |ranks: &[String]| ranks.iter().filter(|other| host(other) == host(&own)).count();
    let local = (here(&all[..rank]), here(&all));
    if !group.is_alone() {
        // Those that a launcher bound to cores of their own share them with nobody.
        let sharing = all.iter().filter(|other| **other == own).count();
        parallel::take_share(share(parallel::cores(), sharing));
    }
    if group.is_first() {
        if !group.is_alone() {
            note!("{} ranks by {}", group.ranks(), world.facts().library);
        }
    } else {
        terminal::set_verbosity(Verbosity::Quiet);
    }
    // A command joins once.
    let _ = JOINED.set(CliRanks { world, group: group.clone(), local });
    Ok(group)
}

/// Cores of each of so many processes that share them.
fn share(cores: usize, sharing: usize) -> usize {
    (cores / sharing.max(1)).max(1)
}

/// The cores that the system lets this process use, as it writes them; empty where it does not say.
fn allowed_cores() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.map(|cores| cores.trim().to_owned()).unwrap_or_default()
}

/// The device of this rank: where `auto` finds several GPUs, ranks on one machine take one each.
pub fn device(choice: DeviceChoice) -> DeviceChoice {
    match (JOINED.get().map(|joined| joined.local), choice) {
        (Some((at, 2..)), DeviceChoice::Auto) => {
            let gpus: Vec<usize> = adapters()
                .iter()
                .filter(|adapter| adapter.is_hardware())
                .map(|adapter| adapter.index)
                .collect();
            of_local(at, &gpus)
        }
        _ => choice,
    }
}

/// The `at`-th GPU, beginning anew where there are more ranks than GPUs.
fn of_local(at: usize, gpus: &[usize]) -> DeviceChoice {
    match gpus {
        [] | [_] => DeviceChoice::Auto,
        gpus => DeviceChoice::Gpu(gpus[at % gpus.len()]),
    }
}

/// What all ranks have come to: where one failed, none goes on. A failure that the first rank has too is said by it alone.
///
/// # Errors
/// This rank's, or [`EngineError::Elsewhere`].
pub fn together<T>(group: &RankGroup, own: Result<T>) -> Result<T> {
    if group.is_alone() {
        return own;
    }
    let text = own.as_ref().err().map(super::chain).unwrap_or_default();
    let all = group.gather_bytes(text.clone().into_bytes())?;
    match own {
        Err(_) if !group.is_first() && all[0] == text.as_bytes() => bail!(EngineError::Elsewhere),
        Err(error) => Err(error),
        Ok(_) if all.iter().any(|text| !text.is_empty()) => bail!(EngineError::Elsewhere),
        Ok(value) => Ok(value),
    }
}

/// Has the first rank do something that must be done once, while the others wait; all get its answer.
///
/// # Errors
/// The first rank's, or [`EngineError::Elsewhere`].
pub fn first<T>(group: &RankGroup, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    if !group.is_first() {
        together(group, Ok(()))?;
        return Ok(None);
    }
    together(group, work()).map(Some)
}

/// Whether the first rank says so.
///
/// # Errors
/// As [`first`].
pub fn first_says(group: &RankGroup, work: impl FnOnce() -> Result<bool>) -> Result<bool> {
    let own = first(group, work)?;
    let said = group.broadcast_bytes(vec![u8::from(own == Some(true))])?;
    Ok(said == [1])
}

/// Leaves the others at the end of a command, or ends them where this one failed.
pub fn leave(outcome: Result<CliExitStatus, (anyhow::Error, CliExitStatus)>) -> ExitCode {
    let joined = JOINED.get();
    match (outcome, joined.filter(|joined| !joined.group.is_alone())) {
        (Ok(status), _) => {
            joined.iter().for_each(|joined| joined.world.leave());
            status.into()
        }
        (Err((error, status)), Some(joined)) => {
            if is_elsewhere(&error) {
                // The rank that knows why ends this one; so does whoever waits longest.
                joined.world.leave();
            } else {
                warning!("dinoscope: {}: {}", joined.group.place(), super::chain(&error));
                // What a launcher has not passed on by the end of the processes is lost.
                std::thread::sleep(BEFORE_ABORT);
                joined.world.abort(status as i32);
            }
            status.into()
        }
        (Err((error, status)), None) => {
            warning!("dinoscope: {}", super::chain(&error));
            status.into()
        }
    }
}

fn is_elsewhere(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(EngineError::Elsewhere)))
}

/// Which MPI is there, in a line for `dinoscope devices`.
pub fn found() -> Result<String> {
    match dinoscope_mpi::found().map_err(|error| anyhow!(error))? {
        Some(library) => Ok(library),
        None => Ok("none found: training on several machines needs one".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_shared_out() {
        assert_eq!([share(8, 2), share(8, 3), share(1, 4), share(4, 0)], [4, 2, 1, 4]);
        assert_eq!(of_local(3, &[]), DeviceChoice::Auto);
        assert_eq!(of_local(1, &[0]), DeviceChoice::Auto);
        assert_eq!([0, 1, 2, 3].map(|at| of_local(at, &[0, 2])), [0, 2, 0, 2].map(DeviceChoice::Gpu));
    }

    #[test]
    fn alone_nothing_is_asked_of_others() {
        let group = RankGroup::default();
        assert_eq!(together(&group, Ok(3)).ok(), Some(3));
        assert_eq!(first(&group, || Ok(4)).ok(), Some(Some(4)));
        assert!(first_says(&group, || Ok(true)).is_ok_and(|said| said));
        assert!(together::<()>(&group, Err(anyhow!("no"))).is_err_and(|error| !is_elsewhere(&error)));
        assert!(is_elsewhere(&anyhow!(EngineError::Elsewhere).context("in a run")));
    }
}
