use dinoscope_shaders::check;

use super::*;

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn programs_equal_their_twins() {
    let client = client();
    let found = pollster::block_on(check::all(&client)).unwrap();
    assert!(found.len() > 90, "{} comparisons", found.len());
    let worst =
        found.iter().max_by(|a, b| (a.error / a.tolerance).total_cmp(&(b.error / b.tolerance))).unwrap();
    println!("worst of {}: {} is off by {:e} of {:e}", found.len(), worst.name, worst.error, worst.tolerance);
    let failed: Vec<_> = found.iter().filter(|c| !c.passed()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
