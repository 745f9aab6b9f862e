//! Who looks at pictures: a thread.

use dinoscope_core::device::SelectedDevice;
use dinoscope_core::explore::ExplorerHandle;

use super::tasks::Wake;

/// Starts one that computes on `chosen`, which `draws` as well or doesn't.
pub fn start(chosen: &SelectedDevice, draws: bool, wake: &Wake) -> ExplorerHandle {
    ExplorerHandle::start(chosen.clone(), draws, wake.clone())
}

/// Starts a second one beside it: what it sees is always in memory.
pub fn start_beside(chosen: &SelectedDevice, _: bool, wake: &Wake) -> ExplorerHandle {
    ExplorerHandle::start(chosen.clone(), false, wake.clone())
}

/// Has it compute elsewhere from now on; false where another one must begin.
pub fn change_device(explorer: &ExplorerHandle, chosen: &SelectedDevice, draws: bool) -> bool {
    explorer.device(chosen.clone(), draws);
    true
}
