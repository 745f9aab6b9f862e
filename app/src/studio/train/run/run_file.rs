//! A run as one file: to take along from a page, to another computer, or to look with.

use std::path::{Path, PathBuf};

use dinoscope_core::files;
use dinoscope_core::train::archive;
use dinoscope_core::train::run::RunFolder;

use crate::platform::dialogs::DialogPurpose;
use crate::platform::names;
use crate::studio::app_context::AppContext;
use crate::studio::background::task::BackgroundTask;
use crate::studio::train::state::RunView;
use crate::studio::train::{TrainWorkspace, words};

/// A run that is being packed.
pub struct RunArchiveJob {
    folder: PathBuf,
    /// Where it goes, once that is known.
    to: Option<PathBuf>,
    /// A checkpoint of that many steps has to be there first.
    after: u64,
    work: Option<BackgroundTask<Result<String, String>>>,
}

/// A run that is being unpacked.
pub type Unpacking = BackgroundTask<Result<PathBuf, String>>;

impl TrainWorkspace {
    /// Packs a run into one file; first what is learned is saved.
    pub(in crate::studio::train) fn pack(&mut self, app: &AppContext, folder: PathBuf) {
        let Some(view) = self.view_of(&folder) else { return };
        let name = format!("{}-{:06}.zip", view.name, view.done);
        let after = if view.is_alive() { view.done } else { 0 };
        if let Some(own) = self.own.as_ref().filter(|own| own.view.folder == folder && own.is_going()) {
            own.checkpoint();
        }
        self.packing = Some(RunArchiveJob { folder, to: None, after, work: None });
        app.dialogs.ask(DialogPurpose::SaveRun, &name);
    }

    /// Opens a run that lies in one file.
    pub fn open_archive(&mut self, file: &Path) {
        let (file, runs) = (file.to_owned(), self.root.path());
        self.unpacking = Some(BackgroundTask::ask("unpack", &self.wake, move |_| unpack(&file, &runs)));
    }

    /// Takes up the answer of the dialog, and what has been packed or unpacked.
    pub(in crate::studio::train) fn packing_logic(&mut self, app: &mut AppContext) {
        if let Some(answer) = app.dialogs.answer(DialogPurpose::SaveRun)
            && let Some(packing) = &mut self.packing
        {
            packing.to = answer.into_iter().next();
            if packing.to.is_none() {
                self.packing = None;
            }
        }
        if let Some(mut packing) = self.packing.take() {
            let saved = |view: &RunView| {
                !view.is_alive() || view.newest_checkpoint().is_some_and(|(step, _)| step >= packing.after)
            };
            let ready = self.view_of(&packing.folder).is_none_or(saved);
            if let (true, None, Some(to)) = (ready, &packing.work, packing.to.clone()) {
                let folder = packing.folder.clone();
                packing.work = Some(BackgroundTask::ask("pack", &self.wake, move |_| pack(&folder, &to)));
            }
            match packing.work.as_mut().map(|work| (work.receive(), work.over())) {
                Some((Some(Ok(said)), _)) => app.toasts.good(said),
                Some((Some(Err(reason)), _)) => app.toasts.bad(reason),
                Some((None, true)) => {}
                _ => self.packing = Some(packing),
            }
        }
        if let Some(work) = &mut self.unpacking {
            match work.receive() {
                Some(Ok(folder)) => {
                    self.unpacking = None;
                    app.toasts.good(format!("{} can be looked at, and go on.", names::shown(&folder)));
                    self.follow(&folder, true);
                }
                Some(Err(reason)) => {
                    self.unpacking = None;
                    app.toasts.bad(reason);
                }
                None if work.over() => self.unpacking = None,
                None => {}
            }
        }
    }
}

fn pack(folder: &Path, to: &Path) -> Result<String, String> {
    let packed = archive::pack(folder).map_err(|error| error.to_string())?;
    dinoscope_core::analysis::write_atomic(to, &packed).map_err(|error| error.to_string())?;
    Ok(format!("Saved {} ({})", names::saved(to), words::bytes(packed.len() as u64)))
}

/// Below `runs`, in a folder of the run's name, or of that name with a number.
fn unpack(file: &Path, runs: &Path) -> Result<PathBuf, String> {
    let bytes = files::read(file).map_err(|error| format!("can't read {}: {error}", file.display()))?;
    let name = archive::name(&bytes, file);
    let numbered = |number: usize| match number {
        0 => runs.join(&name),
        number => runs.join(format!("{name}-{number}")),
    };
    let free = (0..1000).map(numbered).find(|path| !files::exists(path));
    let free = free.ok_or_else(|| format!("{} is full of runs of this name", runs.display()))?;
    let unpacked = archive::unpack(&bytes, &free);
    let run: RunFolder = unpacked.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(run.path().to_owned())
}
