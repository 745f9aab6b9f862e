//! `dinoscope bench`: speed and memory on this machine.

use std::io::BufRead;
use std::path::PathBuf;

use anyhow::{Result, bail};
use dinoscope_core::bench::{
    self, BenchResult, BenchRunner, BenchSizes, BenchmarkKind, RepeatPolicy, launches, peak,
};
use dinoscope_core::bytes::shown;
use serde_json::json;

use super::terminal::{out, out_part};
use super::{UsageError, load};

/// Measure speed and memory on this machine.
#[derive(clap::Args)]
pub struct BenchArgs {
    /// What to measure, with commas: forward, step, student, programs, launches, attention, packing, drop, loader, growth
    /// [default: all].
    #[arg(long, value_name = "SUBJECT,…")]
    only: Option<String>,
    /// Runs of each way; the median counts.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeat: u32,
    /// Runs before those that count.
    #[arg(long, default_value_t = 1, value_name = "N")]
    warmup: usize,
    /// auto, cpu, gpu or gpu:N [default: as `dinoscope config` shows; auto at first].
    #[arg(long)]
    device: Option<String>,
    /// Change a field of the recipe that is trained: --set train.batch=32 (step, student, programs, launches,
    /// packing, drop, growth).
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Backbone of `forward`.
    #[arg(long, default_value = "vits14")]
    backbone: String,
    /// Side of the pictures of `forward`.
    #[arg(long, default_value_t = 224, value_name = "PIXELS")]
    resolution: usize,
    /// Pictures of `forward` at once.
    #[arg(long, default_value_t = 8, value_name = "N")]
    images: usize,
    /// Tokens of each sequence of `attention`.
    #[arg(long, default_value_t = 1370, value_name = "N")]
    tokens: usize,
    /// Heads of `attention`.
    #[arg(long, default_value_t = 6, value_name = "N")]
    heads: usize,
    /// Width of a head of `attention`.
    #[arg(long, default_value_t = 64, value_name = "N")]
    width: usize,
    /// Sequences of `attention` at once.
    #[arg(long, default_value_t = 1, value_name = "N")]
    sequences: usize,
    /// How often `growth` doubles each size.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10))]
    doublings: u32,
    /// Folder of pictures for `loader` [default: scenes that are drawn on the way].
    #[arg(long)]
    data: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// For a program that measures another one in turn with this: one run of one subject for every line on standard
    /// input, its seconds on standard output, the JSON object at the end.
    #[arg(long)]
    paced: bool,
}

/// Measures what was asked for and prints it.
pub fn run(arguments: BenchArgs) -> Result<()> {
    let subjects = match &arguments.only {
        None => BenchmarkKind::ALL.to_vec(),
        Some(names) => names.split(',').map(BenchmarkKind::parse).collect::<Result<_, _>>()?,
    };
    if arguments.paced && subjects.len() != 1 {
        bail!(UsageError("--paced measures one subject: name it with --only".to_owned()));
    }
    let chosen = load::device(arguments.device.as_deref(), arguments.json || arguments.paced)?;
    let sizes = BenchSizes {
        backbone: arguments.backbone,
        resolution: arguments.resolution,
        images: arguments.images.max(1),
        tokens: arguments.tokens,
        heads: arguments.heads,
        width: arguments.width,
        sequences: arguments.sequences,
        doublings: arguments.doublings,
        data: arguments.data,
        ..BenchSizes::new(&arguments.overrides)?
    };
    let mut peak = peak::measure(&chosen.device)?;
    let quiet = arguments.json || arguments.paced;
    let threads = bench::threads();
    if !quiet {
        out!("{}, one large matrix product: {}", chosen.name, flops(peak));
        out!("medians of {} runs [quartiles]; ways of a subject run in turn", arguments.repeat);
    }

    let (mut fixed, mut paced) = (arguments.repeat as usize, StdinTrigger);
    let mut all = Vec::new();
    for (i, subject) in subjects.into_iter().enumerate() {
        if i > 0 {
            // Other work on the machine may have been in the way of the first.
            peak = peak.max(peak::measure(&chosen.device)?);
        }
        let pace: &mut dyn RepeatPolicy = if arguments.paced { &mut paced } else { &mut fixed };
        let mut bench = BenchRunner {
            device: chosen.device.clone(),
            warmup: arguments.warmup,
            pace,
            first_only: arguments.paced,
            peak: Some(peak),
        };
        let rows = bench::run(subject, &sizes, &mut bench)?;
        if !quiet {
            print_rows(subject, &rows);
        }
        all.extend(rows);
    }
    if quiet {
        let report = json!({
            "program": concat!("dinoscope ", env!("CARGO_PKG_VERSION")), "device": chosen.name, "threads": threads,
            "peak_flops_per_second": peak, "rows": all,
        });
        out!("{report}");
    }
    Ok(())
}

/// Runs when a line comes in, and says how long it took.
struct StdinTrigger;

impl RepeatPolicy for StdinTrigger {
    fn more(&mut self, seconds: &[f64]) -> bool {
        let said = match seconds.last() {
            None => json!({ "ready": true }),
            Some(last) => json!({ "seconds": last }),
        };
        out!("{said}");
        std::io::stdin().lock().read_line(&mut String::new()).is_ok_and(|read| read > 0)
    }
}

fn print_rows(subject: BenchmarkKind, rows: &[BenchResult]) {
    out!();
    let mut what = "";
    for (i, row) in rows.iter().enumerate() {
        if row.what != what {
            out!("{}: {}", subject.name(), row.what);
            what = &row.what;
        }
        let s = &row.seconds;
        out_part!("  {:<31} {:>10} [{} {}]", row.way, time(s.median), time(s.low), time(s.high));
        if row.ratio != 1.0 {
            out_part!("  ×{:.2}", row.ratio);
        }
        let rates = [(row.images_per_second, "images/s"), (row.tokens_per_second, "tokens/s")];
        for (rate, unit) in rates {
            if let Some(rate) = rate {
                out_part!("  {} {unit}", short(rate));
            }
        }
        if let Some(rate) = row.flops_per_second {
            out_part!("  {}", flops(rate));
        }
        if let Some(share) = row.share_of_peak {
            out_part!(" ({:.0} %)", 100.0 * share);
        }
        if let Some(memory) = &row.memory {
            out_part!("  {} (its own {})", shown(memory.peak), shown(memory.own()));
        }
        if subject == BenchmarkKind::Launches {
            print_launches(row);
            continue;
        }
        out!();
        // Figures of all ways together are said once, below them.
        let told = matches!(subject, BenchmarkKind::Growth | BenchmarkKind::Drop); // by the name of the way
        if !told && rows.get(i + 1).is_none_or(|next| next.figures != row.figures || next.what != row.what) {
            row.figures.iter().for_each(|(name, value)| out!("    {name} {}", figure(*value)));
        }
    }
}

/// How many launches behind the time; below a whole step's how many of each program, most first.
fn print_launches(row: &BenchResult) {
    let all = row.figures.get(launches::ALL).copied().unwrap_or_default();
    out!("  {} launches", figure(all));
    let mut programs: Vec<_> = row.figures.iter().filter(|(name, _)| **name != launches::ALL).collect();
    programs.sort_by(|a, b| b.1.total_cmp(a.1));
    for (name, count) in programs {
        out!("    {:>6} {name}", figure(*count));
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.3} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.1} µs", s * 1e6),
    }
}

fn flops(rate: f64) -> String {
    if rate >= 1e12 { format!("{:.2} TFLOP/s", rate / 1e12) } else { format!("{:.1} GFLOP/s", rate / 1e9) }
}

/// Small numbers with a power of ten.
fn figure(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-2 { format!("{value:.1e}") } else { short(value) }
}

/// Four digits at most.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.2}M", v / 1e6),
        v if v >= 1e4 => format!("{:.1}k", v / 1e3),
        v if v >= 100.0 => format!("{v:.0}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            (time(1.5), time(0.0123), time(4e-6)),
            ("1.500 s".into(), "12.30 ms".into(), "4.0 µs".into())
        );
        assert_eq!((flops(1.67e11), flops(2.5e12)), ("167.0 GFLOP/s".into(), "2.50 TFLOP/s".into()));
        assert_eq!(
            (short(3.0), short(123.4), short(12_345.0)),
            ("3.00".into(), "123".into(), "12.3k".into())
        );
    }
}
