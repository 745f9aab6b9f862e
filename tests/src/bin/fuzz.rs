//! `fuzz [TARGET …] [--seconds N | --executions N] [--seed S]`: readers are given files that were changed at random.
//!
//! A line for each target; with `--json` one JSON object. The status is 1 when a reader panicked, which leaves the input in
//! `--out`. The input that is being read lies there too, so that one that ends the program, or never ends, is known.
#![allow(clippy::print_stdout, clippy::print_stderr)] // It is a program.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use dinoscope_tests::fuzz::memory::CountingAllocator;
use dinoscope_tests::fuzz::runner::{FuzzPlan, FuzzTally, run};
use dinoscope_tests::fuzz::{FuzzTarget, targets};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Give readers files that were changed at random.
#[derive(Parser)]
struct FuzzArgs {
    /// The readers [default: all of them].
    targets: Vec<String>,
    /// For how long each is tried.
    #[arg(long)]
    seconds: Option<f64>,
    /// How many files each is given at most.
    #[arg(long)]
    executions: Option<u64>,
    /// What all changes follow from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where inputs are kept that a reader panicked over.
    #[arg(long, default_value = "fuzz")]
    out: PathBuf,
    /// One JSON object for each target.
    #[arg(long)]
    json: bool,
}

/// An input that takes longer has hung: ordinary ones take milliseconds.
const HANGS: Duration = Duration::from_secs(60);
/// Milliseconds since the start at which the input that is being read began; 0 between two.
static BEGAN: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    match work(&FuzzArgs::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether no reader panicked.
fn work(args: &FuzzArgs) -> Result<bool> {
    let all = targets();
    let chosen: Vec<FuzzTarget> = if args.targets.is_empty() {
        all.clone()
    } else {
        let find = |name: &String| {
            let names = || all.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
            let found = all.iter().find(|target| target.name == name).copied();
            found.with_context(|| format!("no reader is called {name}; there are {}", names()))
        };
        args.targets.iter().map(find).collect::<Result<_>>()?
    };
    if args.seconds.is_none() && args.executions.is_none() {
        bail!("--seconds or --executions says for how long");
    }
    let plan = FuzzPlan {
        seed: args.seed,
        executions: args.executions.unwrap_or(u64::MAX),
        time: args.seconds.map(Duration::try_from_secs_f64).transpose()?,
    };
    std::fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    // Panics are told with their input; those that our own code catches are none of a person's business.
    std::panic::set_hook(Box::new(|_| {}));
    let start = Instant::now();
    watch(start, args.out.clone());
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
    let mut clean = true;
    for target in chosen {
        let current = args.out.join(format!("{}-current.bin", target.name));
        let mut kept = File::create(&current).with_context(|| format!("making {}", current.display()))?;
        let tally = run(&target, &plan, folder.path(), |_, input| {
            // Best effort. A file that is made anew each time would be waited for by some disks.
            let _ = kept
                .rewind()
                .and_then(|()| kept.write_all(input))
                .and_then(|()| kept.set_len(input.len() as u64));
            BEGAN.store(start.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
        })?;
        BEGAN.store(0, Ordering::Relaxed);
        let _ = std::fs::remove_file(&current);
        clean &= tally.panics.is_empty();
        tell(&target, &tally, args);
        for panic in &tally.panics {
            let file = args.out.join(format!("{}-{}-{}.bin", target.name, plan.seed, panic.number));
            std::fs::write(&file, &panic.input).with_context(|| format!("writing {}", file.display()))?;
            eprintln!("{}: {} ({})", target.name, panic.message, file.display());
        }
    }
    Ok(clean)
}

/// Ends the program when an input takes too long.
fn watch(start: Instant, out: PathBuf) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let began = BEGAN.load(Ordering::Relaxed);
            if began > 0 && start.elapsed() > Duration::from_millis(began) + HANGS {
                eprintln!("an input takes longer than {} s: it is in {}", HANGS.as_secs(), out.display());
                std::process::exit(3);
            }
        }
    });
}

fn tell(target: &FuzzTarget, tally: &FuzzTally, args: &FuzzArgs) {
    let FuzzTally { executions, read, caught, answers, panics, slowest, peak, time } = tally;
    let (slowest, time) = (slowest.as_secs_f64() * 1e3, time.as_secs_f64());
    let panics = panics.len();
    if args.json {
        let line = serde_json::json!({
            "target": target.name, "executions": executions, "read": read, "caught": caught, "answers": answers,
            "panics": panics, "slowest_ms": slowest, "peak": peak, "seconds": time,
        });
        println!("{line}");
    } else {
        println!(
            "{:<14} {executions:>9} files in {time:>6.1} s, {read} read, {answers} answers, {caught} caught, {panics} panics, \
             slowest {slowest:.0} ms, most memory {:.1} MB   ({})",
            target.name,
            *peak as f64 / 1e6,
            target.reads
        );
    }
}
