//! Real processes under real launchers: this program starts itself through each `mpiexec` that is there.
#![allow(clippy::unwrap_used)]
#![cfg(not(target_family = "wasm"))]

use std::io::Write;

use dinoscope_mpi::{LARGEST_CALL, MpiWorld};
use dinoscope_testing::mpi::{Launcher, launchers};

/// Set in processes that a test here started.
const CHILD: &str = "DINOSCOPE_MPI_TEST_CHILD";

/// Starts so many processes of the test `name`, which returns at once where nobody started it so.
fn start(launcher: &Launcher, processes: usize, name: &str) -> (bool, String) {
    let mut command = launcher.command(processes);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]).env(CHILD, "1");
    let output = command.output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said)
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// What every process sends, and what must come back.
fn exchange(world: &MpiWorld) {
    let (rank, ranks) = (world.facts().rank, world.facts().ranks);
    for length in [0, 1, 5, 64] {
        let of = |rank: usize| (0..length).map(move |i| (100 * rank + i) as f32);
        let all: Vec<f32> = (0..ranks).flat_map(of).collect();
        assert_eq!(world.all_gather(of(rank).collect()).unwrap(), all);

        // Value `i` of the part from `a` to `b`.
        let of = |a: usize, b: usize| (0..length).map(move |i| (10_000 * a + 100 * b + i) as u64);
        let sent: Vec<u64> = (0..ranks).flat_map(|to| of(rank, to)).collect();
        let wanted: Vec<u64> = (0..ranks).flat_map(|from| of(from, rank)).collect();
        assert_eq!(world.all_to_all(sent).unwrap(), wanted);

        let own: Vec<u8> = (0..length).map(|i| (i + 7 * rank) as u8).collect();
        assert_eq!(world.broadcast(own).unwrap(), (0..length).map(|i| i as u8).collect::<Vec<u8>>());
    }
    assert!(world.all_to_all(vec![0.0f32; ranks + 1]).is_err() || ranks == 1);
}

#[test]
fn values_arrive_in_the_order_of_ranks() {
    if is_child() {
        // At most 32 bytes a call: what is longer goes in several.
        for largest in [LARGEST_CALL, 32] {
            // A library can be started once in a process.
            if std::env::var("LARGEST").is_ok_and(|wanted| wanted == largest.to_string()) {
                let world = MpiWorld::open("a test", largest).unwrap();
                exchange(&world);
                // In one piece: several processes write at once.
                let line = format!("rank {} of {} is done\n", world.facts().rank, world.facts().ranks);
                std::io::stderr().write_all(line.as_bytes()).unwrap();
                world.leave();
                assert!(world.all_gather(vec![0u8]).is_err(), "nothing is sent after leaving");
            }
        }
        return;
    }
    for launcher in launchers() {
        for (processes, largest) in [(2, LARGEST_CALL), (3, 32)] {
            let launcher = launcher.clone().with("LARGEST", &largest.to_string());
            let (passed, said) = start(&launcher, processes, "values_arrive_in_the_order_of_ranks");
            assert!(passed, "{}: {said}", launcher.name);
            for rank in 0..processes {
                let line = format!("rank {rank} of {processes} is done");
                assert!(said.contains(&line), "{}: {said}", launcher.name);
            }
        }
    }
}

#[test]
fn a_process_alone_is_a_job_of_one() {
    if is_child() {
        let world = MpiWorld::of_launcher().unwrap().unwrap();
        assert_eq!((world.facts().rank, world.facts().ranks), (0, 1));
        exchange(&world);
        eprintln!("alone with {}", world.facts().library);
        return;
    }
    assert!(MpiWorld::of_launcher().unwrap().is_none(), "nothing is opened without a reason");
    for launcher in launchers() {
        let mut command = launcher.alone(&std::env::current_exe().unwrap());
        command.args(["--exact", "a_process_alone_is_a_job_of_one", "--nocapture"]).env(CHILD, "1");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("alone with"), "{}: {said}", launcher.name);
    }
}

#[test]
fn one_process_that_aborts_ends_all() {
    if is_child() {
        let world = MpiWorld::open("a test", LARGEST_CALL).unwrap();
        if world.facts().rank == 1 {
            world.abort(7);
        }
        // Waits for one that will not come.
        let _ = world.all_gather(vec![0u8]);
        let _ = world.all_gather(vec![0u8]);
        eprintln!("went on");
        return;
    }
    for launcher in launchers() {
        let (passed, said) = start(&launcher, 2, "one_process_that_aborts_ends_all");
        assert!(!passed && !said.contains("went on"), "{}: {said}", launcher.name);
    }
}

#[test]
fn a_job_whose_processes_do_not_find_each_other_is_refused() {
    if is_child() {
        let error = MpiWorld::of_launcher().unwrap_err().to_string();
        eprintln!("refused: {error}");
        return;
    }
    for launcher in launchers() {
        // As under a launcher that the library knows nothing of.
        let mut command = launcher.alone(&std::env::current_exe().unwrap());
        command.args(["--exact", "a_job_whose_processes_do_not_find_each_other_is_refused", "--nocapture"]);
        let output = command.env(CHILD, "1").env("SLURM_NTASKS", "2").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.contains("refused: Slurm (SLURM_NTASKS) speaks of 2 processes")
                && said.contains("srun --mpi"),
            "{}: {said}",
            launcher.name
        );
    }
}

/// Seconds of a core that this process has used so far.
#[cfg(target_os = "linux")]
fn used() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which may have spaces: the 12th and 13th are its time and the system's for it, in hundredths.
    let (_, behind) = text.rsplit_once(')').unwrap();
    let fields: Vec<&str> = behind.split_whitespace().collect();
    [11, 12].map(|at| fields[at].parse::<f64>().unwrap() / 100.0).iter().sum()
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_waits_leaves_its_core_to_others() {
    const PAUSE: f64 = 2.0;
    if is_child() {
        let world = MpiWorld::open("a test", LARGEST_CALL).unwrap();
        let _ = world.all_gather(vec![0u8]).unwrap();
        let (before, waited) = (used(), world.waited());
        if world.facts().rank == 1 {
            std::thread::sleep(std::time::Duration::from_secs_f64(PAUSE));
        }
        let _ = world.all_gather(vec![0u8]).unwrap();
        let (used, waited) = (used() - before, world.waited() - waited);
        let line = format!("rank {} waited {waited:.2} s and used {used:.2} s\n", world.facts().rank);
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        match world.facts().rank {
            0 => assert!(waited > 0.9 * PAUSE && used < 0.2 * PAUSE),
            _ => assert!(waited < 0.5 * PAUSE),
        }
        world.leave();
        return;
    }
    for launcher in launchers() {
        let (passed, said) = start(&launcher, 2, "a_process_that_waits_leaves_its_core_to_others");
        assert!(passed, "{}: {said}", launcher.name);
        for line in said.lines().filter(|line| line.contains("waited")) {
            eprintln!("{}: {line}", launcher.name);
        }
    }
}
