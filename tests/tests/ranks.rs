//! The program under real launchers: several processes train one run.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use dinoscope_testing::mpi::{Launcher, launchers};
use dinoscope_tests::program::{self, TINY};

/// A run of six steps of `TINY`'s sizes, with a checkpoint after the third.
const RUN: [&str; 19] = [
    "train",
    "nano",
    "--device",
    "cpu",
    "--set",
    "train.iterations=6",
    "--set",
    "train.checkpoint_every=3",
    "--set",
    "train.evaluate_every=0",
    "--set",
    "train.picture_every=3",
    "--set",
    "train.report_every=1",
    "--set",
    "loss.koleo_group=all",
    "--set",
    "optim.warmup=1",
    "--quiet",
];

/// So many processes of the program.
fn started(launcher: &Launcher, ranks: usize, dir: &Path, more: &[&str]) -> Command {
    let mut command = launcher.command(ranks);
    command.arg(program::path()).args(RUN).args(TINY).args(more).current_dir(dir);
    command
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

fn near(a: &[(u64, f64)], b: &[(u64, f64)]) {
    assert_eq!(a.len(), b.len());
    for ((step, a), (_, b)) in a.iter().zip(b) {
        assert!((a - b).abs() < 1e-5 * a.abs(), "loss of step {step}: {b} for {a}");
    }
}

#[test]
fn ranks_of_every_mpi_learn_what_one_process_does() {
    let dir = tempfile::tempdir().unwrap();
    let twelve = ["--set", "train.batch=12"];
    let alone: Vec<&str> = RUN.iter().chain(&TINY).copied().chain(twelve).chain(["--out", "alone"]).collect();
    program::ok(dir.path(), &alone);
    let alone = program::losses(&dir.path().join("alone"));
    for launcher in launchers() {
        for ranks in [2, 3] {
            let out = format!("{}-{ranks}", launcher.name.replace(' ', "-"));
            let more: Vec<&str> = twelve.into_iter().chain(["--out", &out]).collect();
            let output = started(&launcher, ranks, dir.path(), &more).output().unwrap();
            assert!(output.status.success(), "{}: {}", launcher.name, said(&output));
            near(&alone, &program::losses(&dir.path().join(&out)));
            // One rank writes and speaks: a report, six lines, and the summary once.
            assert!(dir.path().join(&out).join("report.html").is_file());
            assert_eq!(said(&output).matches("report      ").count(), 1, "{}", said(&output));
        }
    }
}

#[test]
fn a_run_of_two_ranks_goes_on_alone_and_the_other_way_round() {
    let dir = tempfile::tempdir().unwrap();
    let Some(launcher) = launchers().into_iter().next() else { return };
    let whole: Vec<&str> = RUN.iter().chain(&TINY).copied().chain(["--out", "whole"]).collect();
    program::ok(dir.path(), &whole);
    let whole = program::losses(&dir.path().join("whole"));

    // Half of it by two ranks, the rest by one; a longer run has other schedules, so the half is what is left of a whole one.
    let half = |name: &str| {
        let folder = dir.path().join(name).join("checkpoints");
        std::fs::remove_dir_all(folder.join("000006")).unwrap();
        assert!(folder.join("000003").is_dir());
    };
    let output = started(&launcher, 2, dir.path(), &["--out", "two"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    half("two");
    program::ok(dir.path(), &["train", "--resume", "--out", "two", "--device", "cpu", "--quiet"]);
    near(&whole, &program::losses(&dir.path().join("two")));

    half("whole");
    let mut on = launcher.command(2);
    on.arg(program::path()).args(["train", "--resume", "--out", "whole", "--device", "cpu", "--quiet"]);
    let output = on.current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    near(&whole, &program::losses(&dir.path().join("whole")));

    // Nothing is left to do: said once.
    let output = on.output().unwrap();
    assert!(
        output.status.success() && said(&output).matches("is finished at step 6").count() == 1,
        "{}",
        said(&output)
    );
}

#[test]
fn shards_of_every_mpi_learn_what_one_process_does_and_go_on_with_any_number_of_ranks() {
    let dir = tempfile::tempdir().unwrap();
    // A width that neither two nor three ranks divide, as are the parameters' numbers.
    let odd = ["--set", "train.batch=12", "--set", "model.dim=51", "--set", "head.prototypes=67"];
    let alone: Vec<&str> = RUN.iter().chain(&TINY).copied().chain(odd).chain(["--out", "alone"]).collect();
    program::ok(dir.path(), &alone);
    let alone = program::losses(&dir.path().join("alone"));
    for launcher in launchers() {
        for (ranks, shard, then) in [(2, "optimizer", 3), (3, "full", 2)] {
            let out = format!("{}-{shard}", launcher.name.replace(' ', "-"));
            let shard = format!("train.shard={shard}");
            let more: Vec<&str> = odd.into_iter().chain(["--set", &shard, "--out", &out]).collect();
            let output = started(&launcher, ranks, dir.path(), &more).output().unwrap();
            assert!(output.status.success(), "{}: {}", launcher.name, said(&output));
            near(&alone, &program::losses(&dir.path().join(&out)));

            // From the checkpoint in its middle with another number.
            std::fs::remove_dir_all(dir.path().join(&out).join("checkpoints/000006")).unwrap();
            let mut on = launcher.command(then);
            on.arg(program::path()).args(["train", "--resume", "--out", &out, "--device", "cpu", "--quiet"]);
            let output = on.current_dir(dir.path()).output().unwrap();
            assert!(output.status.success(), "{}: {}", launcher.name, said(&output));
            near(&alone, &program::losses(&dir.path().join(&out)));
            // And it is a checkpoint like any other.
            program::ok(dir.path(), &["weights", "verify", &out]);
        }
    }
}

#[test]
fn two_runs_of_as_many_ranks_are_the_same_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    for launcher in launchers() {
        for (ranks, shard) in [(2, "none"), (3, "full")] {
            let shard = format!("train.shard={shard}");
            let outs =
                ["one", "other"].map(|out| format!("{}-{shard}-{out}", launcher.name.replace(' ', "-")));
            for out in &outs {
                let more = ["--set", "train.batch=12", "--set", &shard, "--out", out];
                let output = started(&launcher, ranks, dir.path(), &more).output().unwrap();
                assert!(output.status.success(), "{}: {}", launcher.name, said(&output));
            }
            let [one, other] = outs.each_ref().map(|out| dir.path().join(out));
            assert_eq!(program::losses(&one), program::losses(&other), "{}, {shard}", launcher.name);
            for file in ["student.safetensors", "teacher.safetensors", "optimizer.safetensors"] {
                let [one, other] = [&one, &other]
                    .map(|run| std::fs::read(run.join("checkpoints/000006").join(file)).unwrap());
                assert!(one == other, "{}, {shard}: {file} differs", launcher.name);
            }
        }
    }
}

#[test]
fn ranks_with_other_recipes_stop_before_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    for launcher in launchers() {
        // Each rank has a seed of its own: a script in between gives it.
        let mut command = launcher.command(2);
        let script = "exec \"$0\" \"$@\" --set train.seed=${OMPI_COMM_WORLD_RANK:-$PMI_RANK}";
        command.args(["sh", "-c", script]).arg(program::path()).args(RUN).args(TINY);
        let out = launcher.name.replace(' ', "-");
        let output = command.args(["--out", &out]).current_dir(dir.path()).output().unwrap();
        let said = said(&output);
        assert!(!output.status.success(), "{}", launcher.name);
        assert!(
            said.contains("rank 1 of 2") && said.contains("differs in the recipe (train.seed)"),
            "{}: {said}",
            launcher.name
        );
        assert!(
            !dir.path().join(&out).join("checkpoints").exists() || said.contains("same command"),
            "{said}"
        );
    }
}

#[test]
fn a_rank_that_is_killed_ends_the_others() {
    let dir = tempfile::tempdir().unwrap();
    for launcher in launchers() {
        let mut command = launcher.command(2);
        // The second rank is killed as the system kills one that takes too much memory.
        let script = "if [ ${OMPI_COMM_WORLD_RANK:-$PMI_RANK} = 1 ]; then \"$0\" \"$@\" & me=$!; \
                      while [ ! -s \"$RUN/metrics.jsonl\" ]; do sleep 0.1; done; kill -9 $me; wait $me; exit 9; fi; \
                      exec \"$0\" \"$@\"";
        let out = launcher.name.replace(' ', "-");
        command.args(["sh", "-c", script]).arg(program::path()).args(RUN).args(TINY);
        command.args(["--set", "train.iterations=1000000", "--out", &out]).env("RUN", &out);
        let output = command.current_dir(dir.path()).output().unwrap();
        assert!(!output.status.success(), "{}: {}", launcher.name, said(&output));
    }
}

/// How many ranks are killed under each launcher: two, or as many as `DINOSCOPE_TEST_KILLS` says.
fn kills() -> usize {
    std::env::var("DINOSCOPE_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(2)
}

#[test]
fn a_rank_that_is_killed_at_any_moment_ends_the_job_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    for (at, launcher) in launchers().into_iter().enumerate() {
        for round in 0..kills() {
            let draw = (seed + 7919 * (16 * at + round) as u64).wrapping_mul(6_364_136_223_846_793_005) >> 33;
            let (victim, moment) = (draw % 3, Duration::from_millis(draw / 3 % 4000));
            let out = format!("{}-{round}", launcher.name.replace(' ', "-"));
            let place = format!("{}: rank {victim} after {moment:?}", launcher.name);
            let mut command = launcher.command(3);
            // Each rank leaves its number, and becomes the program.
            let script = "echo $$ > \"$PIDS-${OMPI_COMM_WORLD_RANK:-$PMI_RANK}\"; exec \"$0\" \"$@\"";
            command.args(["sh", "-c", script]).arg(program::path()).args(RUN).args(TINY);
            let shard = ["none", "optimizer", "full"].map(|shard| format!("train.shard={shard}"));
            command.args(["--set", "train.batch=12", "--set", "train.iterations=1000000", "--set"]);
            command.args([&shard[round % 3], "--out", &out]).env("PIDS", format!("{out}.pid"));
            command.current_dir(dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let job = command.spawn().unwrap();
            let pid = || std::fs::read_to_string(dir.path().join(format!("{out}.pid-{victim}"))).ok();
            let pid = loop {
                match pid().filter(|pid| pid.ends_with('\n')) {
                    Some(pid) => break pid.trim().to_owned(),
                    None => std::thread::sleep(Duration::from_millis(5)),
                }
            };
            std::thread::sleep(moment);
            assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success(), "{place}");
            let killed = Instant::now();
            let output = job.wait_with_output().unwrap();
            let took = killed.elapsed();
            let said = said(&output);
            assert!(!output.status.success(), "{place}: {said}");
            assert!(took < Duration::from_secs(10), "{place}: it took {took:?} to end: {said}");
            assert!(said.to_lowercase().contains("signal"), "{place}: {said}");
            // What was written by then is whole.
            let checkpoints = dir.path().join(&out).join("checkpoints");
            let whole = std::fs::read_dir(checkpoints).into_iter().flatten().flatten();
            let whole = whole.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).count();
            if whole > 0 {
                program::ok(dir.path(), &["weights", "verify", &out]);
            }
            eprintln!("{place}: the job ended {took:.1?} later, with {whole} checkpoints");
        }
    }
}

#[test]
fn a_batch_that_ranks_can_not_share_is_refused_by_one_of_them() {
    let dir = tempfile::tempdir().unwrap();
    for launcher in launchers() {
        let output = started(&launcher, 3, dir.path(), &["--out", "run", "--force"]).output().unwrap();
        let said = said(&output);
        assert!(!output.status.success());
        assert_eq!(said.matches("train.batch = 4 can't be shared out to 3 ranks").count(), 1, "{said}");
        assert!(!dir.path().join("run").exists(), "nothing is left of a run that can't begin");
    }
}

#[test]
fn a_mistake_that_all_ranks_make_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    for launcher in launchers() {
        let output = started(&launcher, 2, dir.path(), &["--set", "train.bach=4"]).output().unwrap();
        let said = said(&output);
        assert!(!output.status.success());
        assert_eq!(said.matches("dinoscope: rank").count(), 1, "{}: {said}", launcher.name);
    }
}

#[test]
fn a_launcher_whose_processes_are_alone_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    // No MPI at all, though Slurm speaks of two processes.
    let mut command = program::command(dir.path(), &RUN);
    command.args(TINY).env("SLURM_NTASKS", "2").env("DINOSCOPE_MPI", "/nowhere/libmpi.so");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("/nowhere/libmpi.so can't be used as MPI"), "{}", said(&output));
    // Told to be alone, it is.
    let mut command = program::command(dir.path(), &RUN);
    command.args(TINY).args(["--out", "alone"]).env("SLURM_NTASKS", "2").env("DINOSCOPE_MPI", "off");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));

    for launcher in launchers() {
        let mut command = launcher.alone(&program::path());
        command.args(RUN).args(TINY).current_dir(dir.path()).env("SLURM_NTASKS", "2");
        let output = command.output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{}: {said}", launcher.name);
        assert!(
            said.contains("speaks of 2 processes, but")
                && said.contains("sees one alone")
                && said.contains("srun"),
            "{}: {said}",
            launcher.name
        );
        // What would be trained is named by `devices`.
        let output = launcher.alone(&program::path()).arg("devices").output().unwrap();
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let known = ["Open MPI v", "MPICH "].iter().any(|known| listed.contains(&format!("mpi    {known}")));
        assert!(output.status.success() && known, "{}: {listed}", launcher.name);
    }
}
