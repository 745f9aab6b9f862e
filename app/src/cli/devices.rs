//! `dinoscope devices`: what can compute here.

use super::terminal::out;
use super::{device_note, ranks};
use anyhow::Result;
use dinoscope_core::bytes::shown;
use dinoscope_core::device::{DeviceChoice, adapters, choose, cpu};

/// List the devices that can compute.
#[derive(clap::Args)]
pub struct DevicesArgs {
    /// One JSON object per device.
    #[arg(long)]
    json: bool,
}

/// Prints every adapter with its limits, which MPI is there, and what `auto` would take.
pub fn run(arguments: DevicesArgs) -> Result<()> {
    let list = adapters();
    if arguments.json {
        for adapter in &list {
            out!("{}", serde_json::to_string(adapter)?);
        }
        out!("{}", serde_json::json!({ "name": cpu(None).name, "kind": "cpu", "backend": "burn-flex" }));
        return Ok(());
    }
    for a in &list {
        let yes = |have: bool| if have { "yes" } else { "no" };
        out!("gpu:{}  {} ({}, {})", a.index, a.name, a.backend, a.kind);
        out!(
            "       {}; buffers to {}, bindings to {}, {} threads a workgroup, f16 {}, subgroups {}",
            if a.driver.is_empty() { "driver unknown" } else { &a.driver },
            shown(a.max_buffer),
            shown(a.max_binding),
            a.max_workgroup,
            yes(a.f16),
            yes(a.subgroups)
        );
    }
    out!("cpu    {}", cpu(None).name);
    out!("mpi    {}", ranks::found()?);
    let auto = choose(DeviceChoice::Auto)?;
    out!("auto   takes {}", auto.name);
    if let Some(note) = &auto.note {
        out!("       {}", device_note::with_flag(note.clone()));
    }
    Ok(())
}
