//! Tests that need a GPU are left out, and counted so, where `DINOSCOPE_NO_GPU_TESTS=1` was set when they were compiled.

fn main() {
    const SWITCH: &str = "DINOSCOPE_NO_GPU_TESTS";
    println!("cargo::rerun-if-env-changed={SWITCH}");
    println!("cargo::rustc-check-cfg=cfg(no_gpu_tests)");
    if std::env::var_os(SWITCH).is_some_and(|value| value == "1") {
        println!("cargo::rustc-cfg=no_gpu_tests");
    }
}
