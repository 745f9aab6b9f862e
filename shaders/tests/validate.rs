//! Every WGSL file passes naga's validation with the capabilities that plain WebGPU has.

#[test]
fn every_program_is_valid_webgpu() {
    let folder = format!("{}/wgsl", std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "wgsl") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let module = naga::front::wgsl::parse_str(&source)
            .unwrap_or_else(|e| panic!("{}\n{}", path.display(), e.emit_to_string(&source)));
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|e| panic!("{}\n{}", path.display(), e.emit_to_string(&source)));
        seen += 1;
    }
    assert!(seen > 0, "no WGSL files in {folder}");
}
