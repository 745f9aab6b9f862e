//! What a WebAssembly program has to do once, before anything else.

unsafe extern "C" {
    // The linker makes it: it calls what crates registered to be called at the beginning.
    fn __wasm_call_ctors();
}

/// Runs the constructors of all crates, of which `pliron`, below burn, brings hundreds. A program calls it once, when it has
/// been loaded.
///
/// Where nobody does, the linker takes every exported function for the program's `main` and has it call them all, also the
/// functions that make room for a JavaScript value: a tenth of a millisecond for each value that goes from one side to
/// the other.
pub fn run_constructors() {
    // SAFETY: the JavaScript that loads a program calls its `begin` once, before any other function, which is when the
    // linker means this to be called. Those of `inventory` may be called again.
    unsafe { __wasm_call_ctors() }
}
