//! `dinoscope completions` and `dinoscope man`: the program's words for shells and for `man`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use dinoscope_core::analysis::write_atomic;

use super::terminal::{out, out_part};
use super::{Cli, UsageError};

/// Write what a shell needs to complete the words and flags of the program.
///
/// For instance: dinoscope completions bash > ~/.local/share/bash-completion/completions/dinoscope
#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// Whose language it is written in.
    shell: Shell,
}

/// Write the manual page of the program or of one of its words: dinoscope man train | man -l -
#[derive(clap::Args)]
pub struct ManPageArgs {
    /// The word, such as train or weights convert.
    words: Vec<String>,
    /// Write all pages into this folder, which is made if it is not there.
    #[arg(long, value_name = "DIR", conflicts_with = "words")]
    out: Option<PathBuf>,
}

/// Prints the completions.
pub fn completions(arguments: &CompletionsArgs) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "dinoscope", &mut text);
    out_part!("{}", String::from_utf8_lossy(&text));
    Ok(())
}

/// Prints the page, or writes all of them.
pub fn man(arguments: &ManPageArgs) -> Result<()> {
    let mut all = Vec::new();
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    pages(&program, &mut all)?;
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder)
            .map_err(|error| UsageError(format!("can't make the folder {}: {error}", folder.display())))?;
        for (name, page) in &all {
            write_atomic(&folder.join(format!("{name}.1")), page)?;
        }
        out!("{} pages in {}", all.len(), folder.display());
        return Ok(());
    }
    let wanted = std::iter::once("dinoscope").chain(arguments.words.iter().map(String::as_str));
    let wanted = wanted.collect::<Vec<_>>().join("-");
    let page = all.iter().find(|(name, _)| *name == wanted).map(|(_, page)| page);
    let unknown = || {
        UsageError(format!(
            "dinoscope has no word `{}`: dinoscope --help lists them",
            arguments.words.join(" ")
        ))
    };
    out_part!("{}", String::from_utf8_lossy(page.ok_or_else(unknown)?));
    Ok(())
}

/// The pages of a command and of the words below it, by name.
fn pages(command: &clap::Command, to: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).context("writing the manual page")?;
    to.push((name.to_owned(), page));
    command.get_subcommands().try_for_each(|below| pages(below, to))
}
