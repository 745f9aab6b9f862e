//! `cargo xtask WORD`: one word for each thing a developer does.
//!
//! Compiled by `cargo xtask` itself, so it has few dependencies; what it needs beside cargo it installs
//! where it may ([`install`]) or names in one line.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks to the terminal")]

mod args;
mod bench;
mod deny;
mod dist;
mod fuzz;
mod here;
mod install;
mod interop;
mod lint;
mod lock;
mod parity;
mod python;
mod run;
mod tally;
mod test;
mod tools;
mod web;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::here::Here;

const USAGE: &str = "\
cargo xtask WORD

  test [--only STAGE,…]            everything a change has to pass; stages: fmt, lint, deny, native, parity,
                                   web, and if named: interop
  web [--small] [--serve [--port N]] build the page into web/dist and the npm package into js/dist; --small spends
                                   minutes on making them small, for hosting; --serve shows http://127.0.0.1:8080
  dist [--only PART,…] [--target TRIPLE] [--program FILE]
                                   what a release consists of, into dist/; parts: program, deb, page, npm, sbom, notes;
                                   --program takes one that is built already
  dist --notes VERSION             what the changelog says of a version
  fuzz [TARGET …] [--seconds N] [--seed S]
                                   readers are given files changed at random, each for so long (60); inputs that one
                                   panics over are kept in fuzz/ below the folder for builds
  web --composition                which crates the page's program, as built before, consists of
  parity DIR [--device cpu|gpu]    compare with the reference cases in DIR
  bench [--python PATH] [OPTION …] speed against PyTorch's, in alternating runs (bench/compare.py has the options);
                                   takes $PYTHON, or installs PyTorch below the folder for builds
  interop [--python PATH]          converted weights and their cards in transformers, timm, onnxruntime and the official
                                   code (a checkout of it: $DINOV2), evaluations by scikit-learn and PyTorch; takes
                                   $PYTHON, or installs all of them below the folder for builds
  help                             this text

Builds go to CARGO_TARGET_DIR (target/ if it is not set), those for the web beside it.";

fn main() -> ExitCode {
    if let Some(ended) = lint::as_rustc() {
        return ended.unwrap_or_else(|error| {
            eprintln!("rustc and clippy: {error:#}");
            ExitCode::FAILURE
        });
    }
    let mut args = Args::new(std::env::args().skip(1));
    match work(&mut args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Does what was asked for; false when it was done and something did not pass.
fn work(args: &mut Args) -> Result<bool> {
    let word = args.word();
    if args.flag("--help") || args.flag("-h") || word.as_deref().is_none_or(|word| word == "help") {
        println!("{USAGE}");
        return Ok(true);
    }
    let here = Here::find()?;
    match word.as_deref() {
        Some("test") => {
            let stages = test::Stage::choose(args.option("--only")?.as_deref())?;
            args.end()?;
            test::run(&here, &stages)
        }
        Some("web") => {
            let [small, serve, composition] =
                ["--small", "--serve", "--composition"].map(|name| args.flag(name));
            let port = args.option("--port")?.map_or(Ok(web::serve::PORT), |port| port.parse())?;
            args.end()?;
            if composition {
                return web::composition(&here).map(|()| true);
            }
            let dist = web::build(&here, small)?;
            if serve { web::serve::serve(&dist, port).map(|()| true) } else { Ok(true) }
        }
        Some("dist") => {
            if let Some(version) = args.option("--notes")? {
                args.end()?;
                print!("{}", dist::notes(&here, &version)?);
                return Ok(true);
            }
            let parts = dist::ReleasePart::choose(args.option("--only")?.as_deref())?;
            let target = args.option("--target")?;
            let program = args.option("--program")?.map(std::path::PathBuf::from);
            args.end()?;
            dist::run(&here, &dist::ReleaseOptions { parts, target, program }).map(|()| true)
        }
        Some("fuzz") => fuzz::run(&here, &args.rest()),
        Some("parity") => {
            let device = args.option("--device")?.unwrap_or_else(|| "cpu".into());
            let Some(cases) = args.word() else { bail!("parity needs a folder of cases\n\n{USAGE}") };
            args.end()?;
            parity::build(&here)?;
            Ok(parity::compare(&here, cases.as_ref(), &device)?.failed == 0)
        }
        Some("bench") => {
            let python = args.option("--python")?.map(std::path::PathBuf::from);
            bench::compare(&here, python, &args.rest()).map(|()| true)
        }
        Some("interop") => {
            let python = args.option("--python")?.map(std::path::PathBuf::from);
            args.end()?;
            let tally = interop::check(&here, python)?;
            println!("\n{tally}");
            Ok(tally.failed == 0)
        }
        _ => bail!("unknown word {:?}\n\n{USAGE}", word.unwrap_or_default()),
    }
}
