//! Finding an MPI, and finding out which of the three binary interfaces it speaks.
//!
//! `unsafe` stands here because a library is opened, which runs its initialisers, and because its symbols are taken to
//! have the types that the MPI standard gives them.

use std::ffi::{c_int, c_void};

use libloading::{Library, Symbol};

use crate::calls::{Bound, Constants, Functions, MpiCalls};
use crate::error::MpiError;
use crate::launcher;

/// Names the library to take; `off` is none.
pub const VARIABLE: &str = "DINOSCOPE_MPI";

/// The standard ABI: MPI 5.0, chapter 20 and appendix A; the values are those of `mpi_abi.h`, version 1.0. Thread levels are
/// 0, 1024, 2048 and 4096, not 0 to 3.
const STANDARD: Constants<usize> =
    Constants { world: 0x101, byte: 0x247, errors_return: 0x143, funneled: 1024, status_ignore: 0 };

/// MPICH's own interface, which Intel MPI and MVAPICH share: `mpi.h` of MPICH 3.1 and on ("MPICH ABI compatibility
/// initiative", 2013). Handles are 32-bit integers.
const MPICH: Constants<c_int> = Constants {
    world: 0x4400_0000,
    byte: 0x4c00_010d,
    errors_return: 0x5400_0001,
    funneled: 1,
    status_ignore: 1,
};

/// `MPI_THREAD_FUNNELED` of Open MPI 4 and 5 (`mpi.h`). Its other constants are addresses: see [`open_mpi`].
const OPEN_MPI_FUNNELED: c_int = 1;

/// File names where none is given, in their order.
fn names() -> Vec<&'static str> {
    if cfg!(windows) {
        // Neither Microsoft's nor Intel's MPI for Windows speaks one of the three interfaces.
        return Vec::new();
    }
    let mut names = match cfg!(target_os = "macos") {
        true => vec!["libmpi_abi.1.dylib", "libmpi.40.dylib", "libmpi.12.dylib"],
        false => vec!["libmpi_abi.so.1", "libmpi.so.40", "libmpi.so.12", "libmpich.so.12"],
    };
    if launcher::is_open_mpi() {
        names.swap(0, 1);
    }
    names
}

/// An MPI that was opened and not started.
pub struct OpenedMpi {
    /// The name it was opened by.
    pub name: String,
    /// Its functions. Must not be used after `library` is gone.
    pub calls: Box<dyn MpiCalls>,
    /// Stays open as long as its functions are called.
    library: Library,
}

impl OpenedMpi {
    /// For messages: `Open MPI v4.1.4 (libmpi.so.40)`.
    pub fn description(&self) -> String {
        let version = self.calls.version().unwrap_or_default();
        format!("{} ({})", short(&version), self.name)
    }

    /// Leaves the library in memory for good: some can't be closed once they were started.
    pub fn stay(self) -> Box<dyn MpiCalls> {
        std::mem::forget(self.library);
        self.calls
    }
}

/// The first words of what a library says of itself: `Open MPI v4.1.4`, `MPICH 5.0.2`, `Intel(R) MPI Library 2021.9`.
fn short(version: &str) -> String {
    let line = version.lines().next().unwrap_or_default();
    let line = line.split(',').next().unwrap_or_default();
    line.replace("Version:", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The library that [`VARIABLE`] names, or the first that is there.
///
/// # Errors
/// None is there, or what is named is no MPI that is known. `wanted` says why one is needed.
pub fn open(wanted: &str) -> Result<OpenedMpi, MpiError> {
    if let Some(named) = std::env::var(VARIABLE).ok().filter(|named| !named.is_empty()) {
        return open_named(&named);
    }
    let mut unusable = None;
    for name in names() {
        match open_named(name) {
            Ok(opened) => return Ok(opened),
            // A library that is there but can't be used is worth more words than those that are not there.
            Err(error) if is_there(name) => unusable = unusable.or(Some(error)),
            Err(_) => {}
        }
    }
    Err(unusable.unwrap_or_else(|| MpiError::NotFound {
        wanted: wanted.to_owned(),
        tried: match names().as_slice() {
            [] => "none: on Windows none is known".to_owned(),
            names => names.join(", "),
        },
    }))
}

/// Which MPI would be taken, for a person; `None` where none is found. Nothing is started.
///
/// # Errors
/// What [`VARIABLE`] names can't be used.
pub fn found() -> Result<Option<String>, MpiError> {
    if std::env::var(VARIABLE).is_ok_and(|named| named == "off") {
        return Ok(None);
    }
    match open("") {
        Ok(opened) => Ok(Some(opened.description())),
        Err(MpiError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a library so that what it opens itself finds its symbols: Open MPI's components do.
fn load(name: &str) -> Result<Library, libloading::Error> {
    #[cfg(unix)]
    {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        // SAFETY: an MPI's initialisers may run in any program; what is named by a person is theirs to answer for.
        unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) }.map(Into::into)
    }
    #[cfg(not(unix))]
    // SAFETY: as above.
    unsafe {
        Library::new(name)
    }
}

fn is_there(name: &str) -> bool {
    load(name).is_ok()
}

fn open_named(name: &str) -> Result<OpenedMpi, MpiError> {
    let refused = |reason: String| MpiError::Library { path: name.to_owned(), reason };
    let library = load(name).map_err(|error| refused(error.to_string()))?;
    let calls = bind(&library).map_err(refused)?;
    Ok(OpenedMpi { name: name.to_owned(), calls, library })
}

/// Finds out which interface a library speaks.
fn bind(library: &Library) -> Result<Box<dyn MpiCalls>, String> {
    if let Some(constants) = open_mpi(library) {
        return Ok(Box::new(Bound { functions: functions::<usize>(library)?, constants }));
    }
    if speaks_standard(library) {
        return Ok(Box::new(Bound { functions: functions::<usize>(library)?, constants: STANDARD }));
    }
    let bound = Bound { functions: functions::<c_int>(library)?, constants: MPICH };
    let version = bound.version().map_err(|error| error.to_string())?;
    // They say so themselves; the values of any other would be guessed.
    if ["MPICH", "Intel", "MVAPICH"].iter().any(|known| version.contains(known)) {
        return Ok(Box::new(bound));
    }
    Err(format!("it is {}, whose binary interface is not known here", short(&version)))
}

/// Open MPI's handles: its `mpi.h` defines `MPI_COMM_WORLD` as the address of `ompi_mpi_comm_world`, and so on. `None` for
/// other libraries.
fn open_mpi(library: &Library) -> Option<Constants<usize>> {
    let address = |name: &[u8]| {
        // SAFETY: only the symbol's address is taken; what lies there is not looked at.
        let symbol: Symbol<'_, *const c_void> = unsafe { library.get(name) }.ok()?;
        // SAFETY: as above; a symbol of type pointer gives its own address as that pointer.
        let raw = unsafe { symbol.try_as_raw_ptr() }?;
        Some(raw as usize)
    };
    Some(Constants {
        world: address(b"ompi_mpi_comm_world\0")?,
        byte: address(b"ompi_mpi_byte\0")?,
        errors_return: address(b"ompi_mpi_errors_return\0")?,
        funneled: OPEN_MPI_FUNNELED,
        // `mpi.h`: a null pointer.
        status_ignore: 0,
    })
}

/// Whether a library was built with the standard ABI: MPICH 5 has the function in both of its libraries, and in the one
/// with its own interface it says -1 (MPI 5.0, section 20.3).
fn speaks_standard(library: &Library) -> bool {
    type AbiVersion = unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int;
    // SAFETY: MPI 5.0 gives the function this type.
    let Ok(ask) = (unsafe { library.get::<AbiVersion>(b"MPI_Abi_get_version\0") }) else { return false };
    let (mut major, mut minor) = (-1, -1);
    // SAFETY: it writes two integers and may be called at any time.
    unsafe { ask(&mut major, &mut minor) == 0 && major >= 1 }
}

/// All functions, by the names of the standard.
fn functions<H: Copy>(library: &Library) -> Result<Functions<H>, String> {
    /// A symbol as a function pointer, which lives as long as the library does.
    fn get<F: Copy>(library: &Library, name: &str) -> Result<F, String> {
        // SAFETY: `F` is the type that the standard gives this function, with the handles of this library's interface; the
        // pointer is used only while the library is open, see `OpenedMpi`.
        unsafe { library.get::<F>(name.as_bytes()) }
            .map(|symbol| *symbol)
            .map_err(|_| format!("it has no {name}"))
    }
    Ok(Functions {
        init_thread: get(library, "MPI_Init_thread")?,
        finalize: get(library, "MPI_Finalize")?,
        abort: get(library, "MPI_Abort")?,
        comm_rank: get(library, "MPI_Comm_rank")?,
        comm_size: get(library, "MPI_Comm_size")?,
        set_errhandler: get(library, "MPI_Comm_set_errhandler")?,
        error_string: get(library, "MPI_Error_string")?,
        library_version: get(library, "MPI_Get_library_version")?,
        processor_name: get(library, "MPI_Get_processor_name")?,
        broadcast: get(library, "MPI_Bcast")?,
        all_gather: get(library, "MPI_Allgather")?,
        all_to_all: get(library, "MPI_Alltoall")?,
        start_barrier: get(library, "MPI_Ibarrier")?,
        test: get(library, "MPI_Test")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_short() {
        for (said, wanted) in [
            (
                "Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4, repo rev: v4.1.4, May 26, 2022",
                "Open MPI v4.1.4",
            ),
            ("MPICH Version:      5.0.2\nMPICH Release date: …", "MPICH 5.0.2"),
            ("Intel(R) MPI Library 2021.9 for Linux* OS\n", "Intel(R) MPI Library 2021.9 for Linux* OS"),
        ] {
            assert_eq!(short(said), wanted);
        }
    }

    #[test]
    fn what_is_no_mpi_is_refused() {
        let missing = open_named("/nowhere/libmpi.so").err().map(|error| error.to_string());
        assert!(
            missing.is_some_and(|said| said.contains("/nowhere/libmpi.so") && said.contains("DINOSCOPE_MPI"))
        );
        #[cfg(target_os = "linux")]
        {
            let other = open_named("libc.so.6").err().map(|error| error.to_string()).unwrap_or_default();
            assert!(other.contains("libc.so.6") && other.contains("it has no MPI_"), "{other}");
        }
    }
}
