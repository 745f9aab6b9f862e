//! The GPU programs against their CPU twins.

use dinoscope_shaders::display::pca_colour::PcaColourBuffers;
use dinoscope_shaders::{
    BackgroundMode, ColourRange, PcaColourProgram, ShaderError, pca_colour_cpu, readback,
};

use crate::adapter::device;
use crate::noise::noise;

/// Equal, except that a channel may be one level off where the two round differently.
fn assert_same(gpu: &[u32], cpu: &[u32], what: &str) {
    assert_eq!(gpu.len(), cpu.len(), "{what}");
    let mut off = 0;
    for (i, (g, c)) in gpu.iter().zip(cpu).enumerate() {
        for (a, b) in g.to_le_bytes().into_iter().zip(c.to_le_bytes()) {
            assert!(a.abs_diff(b) <= 1, "{what}, patch {i}: GPU {g:#010x}, CPU {c:#010x}");
        }
        off += usize::from(g != c);
    }
    assert!(off * 1000 <= gpu.len(), "{what}: {off} of {} patches are a level off", gpu.len());
}

const RANGE: ColourRange = ColourRange { lo: [-1.0, -1.5, 0.25], hi: [1.0, 1.25, 0.25] };

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn pca_colour_equals_its_twin() {
    let (device, queue) = device();
    let program = PcaColourProgram::new(&device);
    for count in [0, 1, 63, 64, 65, 1_000_003] {
        let mut scores = noise(count * 3, 7);
        let mut foreground: Vec<f32> = noise(count, 11).iter().map(|v| f32::from(*v > 0.0)).collect();
        for (i, bad) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN].into_iter().enumerate() {
            if let Some(v) = scores.get_mut(20 * i + i % 3) {
                *v = bad;
            }
            if let Some(v) = foreground.get_mut(9 + 13 * i) {
                *v = bad;
            }
        }
        for background in [BackgroundMode::Black, BackgroundMode::Dim, BackgroundMode::Keep] {
            let gpu =
                pollster::block_on(program.run(&device, &queue, &scores, RANGE, &foreground, background))
                    .unwrap();
            let cpu = pca_colour_cpu(&scores, RANGE, &foreground, background);
            assert_same(&gpu, &cpu, &format!("{count} patches, {background:?}"));
        }
    }
}

/// More patches than one row of workgroups covers, and an output full of garbage that is longer
/// than needed: all of the result is written, nothing behind it.
#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn pca_colour_wraps_into_rows_and_writes_only_its_own() {
    let (device, queue) = device();
    // 65535 groups of 64 are over four million patches; one more makes a second row.
    let count = 65_535 * 64 + 1;
    let buffer = |words: usize| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: words as u64 * 4,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        })
    };
    let (scores, foreground, colours) = (buffer(count * 3), buffer(count), buffer(count + 100));
    let host = noise(count * 3, 3);
    queue.write_buffer(&scores, 0, bytemuck::cast_slice(&host));
    queue.write_buffer(&foreground, 0, bytemuck::cast_slice(&vec![1.0f32; count]));
    queue.write_buffer(&colours, 0, &vec![0xab; (count + 100) * 4]);

    let mut encoder = device.create_command_encoder(&Default::default());
    let buffers = PcaColourBuffers { scores: &scores, foreground: &foreground, colours: &colours };
    PcaColourProgram::new(&device)
        .encode(&device, &mut encoder, buffers, count, RANGE, BackgroundMode::Black)
        .unwrap();
    queue.submit([encoder.finish()]);
    let all = pollster::block_on(readback::read_u32(&device, &queue, &colours, count + 100)).unwrap();
    assert_same(
        &all[..count],
        &pca_colour_cpu(&host, RANGE, &vec![1.0; count], BackgroundMode::Black),
        "two rows",
    );
    assert!(all[count..].iter().all(|v| *v == 0xabab_abab), "wrote behind the end");
}

#[test]
#[cfg_attr(no_gpu_tests, ignore = "DINOSCOPE_NO_GPU_TESTS=1")]
fn pca_colour_refuses_what_does_not_fit() {
    let (device, queue) = device();
    let program = PcaColourProgram::new(&device);
    let short =
        pollster::block_on(program.run(&device, &queue, &[0.0; 5], RANGE, &[1.0; 2], BackgroundMode::Black));
    assert!(
        matches!(short, Err(ShaderError::Length { what: "scores", found: 5, expected: 6, .. })),
        "{short:?}"
    );

    // Buffers of a legal size of which more is asked than one binding may hold.
    let small = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 64,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    let buffers = PcaColourBuffers { scores: &small, foreground: &small, colours: &small };
    let long = program.encode(&device, &mut encoder, buffers, 1000, RANGE, BackgroundMode::Black);
    assert!(matches!(long, Err(ShaderError::Length { .. })), "{long:?}");
}
