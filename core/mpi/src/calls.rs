//! The functions of MPI that are called, for handles of any kind, behind slices that fit.
//!
//! `unsafe` stands here because these are C functions that get pointers and counts. Each method below checks that its
//! slices are as long as the call will read or write, and holds them for as long as the call lasts.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use crate::error::MpiError;

/// What `MPI_SUCCESS` is in every MPI.
const SUCCESS: c_int = 0;

/// Longer than any MPI's texts: `MPI_MAX_LIBRARY_VERSION_STRING` is 8192 in the standard ABI and in MPICH, 256 in Open MPI;
/// errors and processor names are shorter.
const TEXT: usize = 16_384;

type Collective<H> = unsafe extern "C" fn(*const c_void, c_int, H, *mut c_void, c_int, H, H) -> c_int;
type TextOut = unsafe extern "C" fn(*mut c_char, *mut c_int) -> c_int;

/// Functions of a library whose handles are of type `H`: a pointer, or a 32-bit integer.
pub struct Functions<H> {
    pub init_thread: unsafe extern "C" fn(*mut c_int, *mut *mut *mut c_char, c_int, *mut c_int) -> c_int,
    pub finalize: unsafe extern "C" fn() -> c_int,
    pub abort: unsafe extern "C" fn(H, c_int) -> c_int,
    pub comm_rank: unsafe extern "C" fn(H, *mut c_int) -> c_int,
    pub comm_size: unsafe extern "C" fn(H, *mut c_int) -> c_int,
    pub set_errhandler: unsafe extern "C" fn(H, H) -> c_int,
    pub error_string: unsafe extern "C" fn(c_int, *mut c_char, *mut c_int) -> c_int,
    pub library_version: TextOut,
    pub processor_name: TextOut,
    pub broadcast: unsafe extern "C" fn(*mut c_void, c_int, H, c_int, H) -> c_int,
    pub all_gather: Collective<H>,
    pub all_to_all: Collective<H>,
    pub start_barrier: unsafe extern "C" fn(H, *mut H) -> c_int,
    pub test: unsafe extern "C" fn(*mut H, *mut c_int, *mut c_void) -> c_int,
}

/// Values of a library's constants.
#[derive(Clone, Copy, Debug)]
pub struct Constants<H> {
    /// `MPI_COMM_WORLD`
    pub world: H,
    /// `MPI_BYTE`
    pub byte: H,
    /// `MPI_ERRORS_RETURN`
    pub errors_return: H,
    /// `MPI_THREAD_FUNNELED`
    pub funneled: c_int,
    /// `MPI_STATUS_IGNORE`, an address that is not looked at.
    pub status_ignore: usize,
}

/// A library's functions with its constants.
pub struct Bound<H> {
    pub functions: Functions<H>,
    pub constants: Constants<H>,
}

/// What is asked of an MPI, whatever its handles are. All calls are made by the thread that called [`init`](Self::init).
pub trait MpiCalls: Send {
    /// What the library says it is; may be asked before [`init`](Self::init).
    fn version(&self) -> Result<String, MpiError>;
    /// Joins the job. Errors come back as values from here on.
    fn init(&self) -> Result<(), MpiError>;
    /// This process and how many there are.
    fn rank_and_size(&self) -> Result<(usize, usize), MpiError>;
    /// Name of the machine.
    fn processor_name(&self) -> Result<String, MpiError>;
    /// Comes back once all processes have called it; `between` is called again and again meanwhile.
    fn meet(&self, between: &mut dyn FnMut()) -> Result<(), MpiError>;
    /// What all have, in the order of ranks; `all` is as often as long as `own` as there are processes.
    fn all_gather(&self, own: &[u8], all: &mut [u8]) -> Result<(), MpiError>;
    /// Part `i` of `own` goes to process `i`; `all` gets what the others have for this one.
    fn all_to_all(&self, own: &[u8], all: &mut [u8], ranks: usize) -> Result<(), MpiError>;
    /// What process 0 has.
    fn broadcast(&self, values: &mut [u8]) -> Result<(), MpiError>;
    /// Leaves the job; nothing may be called after it.
    fn finalize(&self) -> Result<(), MpiError>;
    /// Ends all processes of the job.
    fn abort(&self, code: i32);
}

/// A count for a call.
fn count(call: &'static str, length: usize) -> Result<c_int, MpiError> {
    c_int::try_from(length)
        .map_err(|_| MpiError::Call { call, reason: format!("{length} bytes are too many at once") })
}

fn fits(call: &'static str, fits: bool) -> Result<(), MpiError> {
    match fits {
        true => Ok(()),
        false => Err(MpiError::Call { call, reason: "the lengths of its buffers do not fit".to_owned() }),
    }
}

/// A text that a function writes, at most [`TEXT`] bytes.
fn text(write: impl FnOnce(*mut c_char, *mut c_int) -> c_int) -> Result<String, c_int> {
    let (mut bytes, mut length) = (vec![0u8; TEXT], 0);
    match write(bytes.as_mut_ptr().cast(), &mut length) {
        SUCCESS => {
            bytes.truncate(usize::try_from(length).unwrap_or(0).min(TEXT));
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            Ok(String::from_utf8_lossy(&bytes[..end]).trim().to_owned())
        }
        code => Err(code),
    }
}

impl<H: Copy + Send> Bound<H> {
    /// The result of a call as a value.
    fn checked(&self, call: &'static str, code: c_int) -> Result<(), MpiError> {
        match code {
            SUCCESS => Ok(()),
            code => Err(self.failed(call, code)),
        }
    }

    fn failed(&self, call: &'static str, code: c_int) -> MpiError {
        // SAFETY: the function writes less than `TEXT` bytes and their number.
        let said = text(|to, length| unsafe { (self.functions.error_string)(code, to, length) });
        MpiError::Call { call, reason: said.unwrap_or_else(|_| format!("error {code}")) }
    }
}

impl<H: Copy + Send> MpiCalls for Bound<H> {
    fn version(&self) -> Result<String, MpiError> {
        // SAFETY: the function writes less than `TEXT` bytes and their number, and may be called at any time.
        let said = text(|to, length| unsafe { (self.functions.library_version)(to, length) });
        said.map_err(|code| self.failed("MPI_Get_library_version", code))
    }

    fn init(&self) -> Result<(), MpiError> {
        let mut provided = 0;
        // SAFETY: null pointers stand for arguments that are not handed over (MPI 4.1, section 11.2.1).
        let code = unsafe {
            (self.functions.init_thread)(
                ptr::null_mut(),
                ptr::null_mut(),
                self.constants.funneled,
                &mut provided,
            )
        };
        self.checked("MPI_Init_thread", code)?;
        // `provided` is not asked: every call comes from this one thread, as the standard allows at each level but
        // MPI_THREAD_SINGLE, and there libraries forbid other threads only for what they share with MPI.
        // SAFETY: both handles are the library's own constants.
        let code =
            unsafe { (self.functions.set_errhandler)(self.constants.world, self.constants.errors_return) };
        self.checked("MPI_Comm_set_errhandler", code)
    }

    fn rank_and_size(&self) -> Result<(usize, usize), MpiError> {
        let (mut rank, mut size) = (0, 0);
        // SAFETY: each writes one integer.
        unsafe {
            self.checked("MPI_Comm_rank", (self.functions.comm_rank)(self.constants.world, &mut rank))?;
            self.checked("MPI_Comm_size", (self.functions.comm_size)(self.constants.world, &mut size))?;
        }
        match (usize::try_from(rank), usize::try_from(size)) {
            (Ok(rank), Ok(size)) if rank < size => Ok((rank, size)),
            _ => Err(MpiError::Call {
                call: "MPI_Comm_rank",
                reason: format!(
                    "it says {rank} of {size}, so the library's constants are not those that are known"
                ),
            }),
        }
    }

    fn processor_name(&self) -> Result<String, MpiError> {
        // SAFETY: the function writes less than `TEXT` bytes and their number.
        let said = text(|to, length| unsafe { (self.functions.processor_name)(to, length) });
        said.map_err(|code| self.failed("MPI_Get_processor_name", code))
    }

    fn meet(&self, between: &mut dyn FnMut()) -> Result<(), MpiError> {
        let Constants { world, status_ignore, .. } = self.constants;
        // Any handle: it is written over.
        let mut request = world;
        // SAFETY: one handle is written, of the type that all handles of the library have here.
        let code = unsafe { (self.functions.start_barrier)(world, &mut request) };
        self.checked("MPI_Ibarrier", code)?;
        loop {
            let mut done = 0;
            let ignored = status_ignore as *mut c_void;
            // SAFETY: the request is the one that was started and is not over; one integer is written, and no status.
            let code = unsafe { (self.functions.test)(&mut request, &mut done, ignored) };
            self.checked("MPI_Test", code)?;
            if done != 0 {
                return Ok(());
            }
            between();
        }
    }

    fn all_gather(&self, own: &[u8], all: &mut [u8]) -> Result<(), MpiError> {
        const CALL: &str = "MPI_Allgather";
        fits(CALL, all.len().is_multiple_of(own.len().max(1)))?;
        let (each, Constants { byte, world, .. }) = (count(CALL, own.len())?, self.constants);
        // SAFETY: `own` is read for its length; `all` holds that many bytes of each process, which the world checks, and both
        // are borrowed until the call is over.
        let code = unsafe {
            let to = all.as_mut_ptr().cast();
            (self.functions.all_gather)(own.as_ptr().cast(), each, byte, to, each, byte, world)
        };
        self.checked(CALL, code)
    }

    fn all_to_all(&self, own: &[u8], all: &mut [u8], ranks: usize) -> Result<(), MpiError> {
        const CALL: &str = "MPI_Alltoall";
        fits(CALL, own.len() == all.len() && own.len().is_multiple_of(ranks))?;
        let (each, Constants { byte, world, .. }) = (count(CALL, own.len() / ranks)?, self.constants);
        // SAFETY: both slices hold `each` bytes for each of the processes and are borrowed until the call is over.
        let code = unsafe {
            let to = all.as_mut_ptr().cast();
            (self.functions.all_to_all)(own.as_ptr().cast(), each, byte, to, each, byte, world)
        };
        self.checked(CALL, code)
    }

    fn broadcast(&self, values: &mut [u8]) -> Result<(), MpiError> {
        const CALL: &str = "MPI_Bcast";
        let (length, Constants { byte, world, .. }) = (count(CALL, values.len())?, self.constants);
        // SAFETY: the slice is read or written for its length and borrowed until the call is over.
        let code = unsafe { (self.functions.broadcast)(values.as_mut_ptr().cast(), length, byte, 0, world) };
        self.checked(CALL, code)
    }

    fn finalize(&self) -> Result<(), MpiError> {
        // SAFETY: called once, by the thread that joined, which makes no further call.
        self.checked("MPI_Finalize", unsafe { (self.functions.finalize)() })
    }

    fn abort(&self, code: i32) {
        // SAFETY: the handle is the library's own constant. It does not come back; where it should, the caller ends the process.
        unsafe { (self.functions.abort)(self.constants.world, code) };
    }
}
