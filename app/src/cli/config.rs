//! `dinoscope config`: what holds where no flag says otherwise, and who has said so.

use anyhow::Result;
use serde_json::json;

use super::settings::{self, CONFIG};
use super::terminal::out;

/// Show what holds where no flag says otherwise, and who has said so.
///
/// A flag comes before a variable, a variable before the configuration file, the file before the default. The file is
/// TOML, for instance: device = "gpu:1", runs = "~/runs", cache = "/data/dinoscope", theme = "dark".
#[derive(clap::Args)]
pub struct ConfigArgs {
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// Prints it.
pub fn run(arguments: &ConfigArgs) -> Result<()> {
    let settings = settings::get();
    let file = settings.file.as_ref().map(|file| file.display().to_string());
    let rows = [
        ("device", settings.device.value.to_string(), settings.device.origin),
        ("runs", std::path::absolute(&settings.runs.value)?.display().to_string(), settings.runs.origin),
        ("cache", settings.cache.value.display().to_string(), settings.cache.origin),
        ("theme", settings::theme_word(settings.theme.value).to_owned(), settings.theme.origin),
    ];
    if arguments.json {
        let mut object = json!({ "file": file, "found": settings.found });
        for (name, value, origin) in rows {
            object[name] = json!({ "value": value, "from": origin.to_string() });
        }
        out!("{object}");
        return Ok(());
    }
    let there = if settings.found { "" } else { " (not there)" };
    match file {
        Some(file) => out!("file     {file}{there}"),
        None => out!("file     none: there is no home folder; {CONFIG} names one"),
    }
    let width = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or(0);
    for (name, value, origin) in rows {
        out!("{name:<8} {value:<width$}  {origin}");
    }
    Ok(())
}
