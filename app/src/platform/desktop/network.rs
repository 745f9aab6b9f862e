//! Files of the network: the desktop opens files of the disk.

use std::path::PathBuf;

/// Fetches what lies at an address into a file. `note` hears of trouble on the way that is waited for.
///
/// # Errors
/// Always: an address has to be saved to a file first.
pub async fn fetch_file(address: &str, _: impl FnMut(String) + 'static) -> Result<PathBuf, String> {
    Err(format!("{address} is an address: save it as a file first"))
}
