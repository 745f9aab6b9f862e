//! Pictures that can be calculated by hand.

use egui::epaint::{ClippedPrimitive, ImageDelta, Mesh, Primitive, Vertex};
use egui::{Color32, ColorImage, Pos2, Rect, TextureFilter, TextureId, TextureOptions, TexturesDelta};
use egui::{TextureWrapMode, pos2};

use super::*;

const WHITE: TextureId = TextureId::Managed(0);
const PICTURE: TextureId = TextureId::Managed(1);

/// Adds one to every channel but alpha: pixels count how often they are hit.
const COUNT: Color32 = Color32::from_rgba_premultiplied(1, 1, 1, 0);

fn upload(raster: &mut Raster, id: TextureId, delta: ImageDelta) {
    let mut deltas = TexturesDelta::default();
    deltas.push(id, delta);
    raster.update(&deltas);
    deltas.clear();
}

/// A raster with a white texture.
fn raster() -> Raster {
    let mut raster = Raster::new();
    let white = ColorImage::filled([1, 1], Color32::WHITE);
    upload(&mut raster, WHITE, ImageDelta::full(white, TextureOptions::LINEAR));
    raster
}

/// A raster whose picture is `size` greys.
fn with_picture(size: [usize; 2], greys: &[u8], options: TextureOptions) -> Raster {
    let mut raster = raster();
    upload(&mut raster, PICTURE, ImageDelta::full(ColorImage::from_gray(size, greys), options));
    raster
}

fn clipped(clip: Rect, mesh: Mesh) -> ClippedPrimitive {
    ClippedPrimitive { clip_rect: clip, primitive: Primitive::Mesh(mesh) }
}

fn triangles(points: &[(f32, f32)], color: Color32) -> Mesh {
    let vertices = points.iter().map(|(x, y)| Vertex::untextured(pos2(*x, *y), color)).collect::<Vec<_>>();
    Mesh { indices: (0..vertices.len() as u32).collect(), vertices, texture_id: WHITE }
}

fn picture(rect: Rect, uv: Rect, tint: Color32) -> Mesh {
    let mut mesh = Mesh::with_texture(PICTURE);
    mesh.add_rect_with_uv(rect, uv, tint);
    mesh
}

/// The picture over all of a target, from corner to corner.
fn picture_over(width: f32, height: f32) -> Mesh {
    let unit = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
    picture(Rect::from_min_max(Pos2::ZERO, pos2(width, height)), unit, Color32::WHITE)
}

/// The red channel row by row, painted on black.
fn reds(raster: &mut Raster, size: [usize; 2], mesh: Mesh) -> Vec<u8> {
    let picture = raster.paint(size, 1.0, &[clipped(Rect::EVERYTHING, mesh)], Color32::BLACK);
    picture.pixels().map(|pixel| pixel.0[0]).collect()
}

/// Takes the corners' order from a rectangle's two triangles, so that it is not seen to be one.
fn disguise(mut mesh: Mesh) -> Mesh {
    mesh.indices = mesh.indices.chunks(3).flat_map(|t| [t[1], t[2], t[0]]).collect();
    mesh
}

#[test]
fn a_quad_in_two_has_no_seam() {
    let mut raster = raster();
    let half = Color32::from_rgba_premultiplied(128, 0, 0, 128);
    for step in 0..60 {
        // All positions between pixels, pixels' middles among them, and both ways to split.
        let offset = step as f32 / 20.0;
        let (l, t, r, b) = (2.0 + offset, 3.0 + offset / 2.0, 11.5 - offset / 3.0, 13.25);
        let split = if step % 2 == 0 {
            [(l, t), (r, t), (l, b), (r, t), (r, b), (l, b)]
        } else {
            [(l, t), (r, t), (r, b), (l, t), (r, b), (l, b)]
        };
        let found = reds(&mut raster, [16, 16], triangles(&split, half));
        let inside = |middle: f32, low: f32, high: f32| middle >= low && middle < high;
        for (i, red) in found.iter().enumerate() {
            let (x, y) = ((i % 16) as f32 + 0.5, (i / 16) as f32 + 0.5);
            let expected = if inside(x, l, r) && inside(y, t, b) { 128 } else { 0 };
            assert_eq!(*red, expected, "step {step}: {x}, {y}");
        }
    }
}

#[test]
fn a_fan_hits_each_pixel_once() {
    let mut raster = raster();
    // Around middles on, beside and between pixels; the rim lies outside the target all around.
    for (cx, cy) in [(16.0, 16.0), (16.5, 16.5), (3.3, 20.7), (0.1, 31.9)] {
        let rim = |i: i32| {
            let angle = i as f32 * std::f32::consts::TAU / 37.0;
            (cx + 60.0 * angle.cos(), cy + 60.0 * angle.sin())
        };
        let points: Vec<_> = (0..37).flat_map(|i| [(cx, cy), rim(i), rim((i + 1) % 37)]).collect();
        let found = reds(&mut raster, [32, 32], triangles(&points, COUNT));
        assert!(found.iter().all(|hits| *hits == 1), "around {cx}, {cy}: {found:?}");
    }
}

#[test]
fn a_triangle_covers_what_its_edges_enclose() {
    let found = reds(&mut raster(), [4, 4], triangles(&[(0.0, 0.0), (4.0, 0.0), (0.0, 4.0)], COUNT));
    // The long edge is a right one: the pixels whose middles are on it are not covered.
    assert_eq!(found, [1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // Its other side takes them, whichever way round it goes.
    for points in [[(4.0, 0.0), (4.0, 4.0), (0.0, 4.0)], [(4.0, 0.0), (0.0, 4.0), (4.0, 4.0)]] {
        let found = reds(&mut raster(), [4, 4], triangles(&points, COUNT));
        assert_eq!(found, [0, 0, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1]);
    }
}

#[test]
fn clip_rectangles_go_to_the_nearest_pixel() {
    let mut raster = raster();
    let everywhere = triangles(&[(-50.0, -50.0), (200.0, -50.0), (-50.0, 200.0)], Color32::WHITE);
    let clip = Rect::from_min_max(pos2(0.7, 1.2), pos2(2.3, 1.8));
    let painted = raster.paint([8, 8], 2.0, &[clipped(clip, everywhere)], Color32::BLACK);
    for (x, y, pixel) in painted.enumerate_pixels() {
        // 1.4 and 2.4 go down, 4.6 and 3.6 up.
        let inside = (1..5).contains(&x) && (2..4).contains(&y);
        assert_eq!(pixel.0[0] == 255, inside, "{x}, {y}");
    }
    for clip in [Rect::NOTHING, Rect::NAN, Rect::from_min_max(pos2(9.0, 0.0), pos2(20.0, 8.0))] {
        let mesh = triangles(&[(-50.0, -50.0), (200.0, -50.0), (-50.0, 200.0)], Color32::WHITE);
        let painted = raster.paint([8, 8], 1.0, &[clipped(clip, mesh)], Color32::BLACK);
        assert!(painted.pixels().all(|pixel| pixel.0[0] == 0), "{clip:?}");
    }
}

#[test]
fn between_texels_colours_mix() {
    let mut raster = with_picture([2, 2], &[0, 200, 40, 80], TextureOptions::LINEAR);
    for mesh in [picture_over(4.0, 4.0), disguise(picture_over(4.0, 4.0))] {
        let found = reds(&mut raster, [4, 4], mesh);
        // Middles lie at -1/4, 1/4, 3/4 and 5/4 from the first texel's to the second's; beyond both they are held.
        let expected = [0, 50, 150, 200, 10, 50, 130, 170, 30, 50, 90, 110, 40, 50, 70, 80];
        assert_eq!(found, expected);
    }
}

#[test]
fn textures_in_their_own_size_are_copied() {
    let greys: Vec<u8> = (0..35).map(|i| i * 7).collect();
    for options in [TextureOptions::LINEAR, TextureOptions::NEAREST] {
        let mut raster = with_picture([7, 5], &greys, options);
        assert_eq!(reds(&mut raster, [7, 5], picture_over(7.0, 5.0)), greys);
        assert_eq!(reds(&mut raster, [7, 5], disguise(picture_over(7.0, 5.0))), greys);
    }
}

#[test]
fn a_tint_multiplies() {
    let mut raster = with_picture([2, 1], &[100, 255], TextureOptions::NEAREST);
    let unit = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
    let rect = Rect::from_min_max(Pos2::ZERO, pos2(2.0, 1.0));
    // Half transparent red over black: the texture's 100 becomes 100 * 128 / 255.
    let tint = Color32::from_rgba_premultiplied(128, 0, 0, 128);
    let found =
        raster.paint([2, 1], 1.0, &[clipped(rect, picture(rect, unit, tint))], Color32::from_gray(100));
    assert_eq!(found.get_pixel(0, 0).0, [50 + 50, 50, 50, 255]);
    assert_eq!(found.get_pixel(1, 0).0, [128 + 50, 50, 50, 255]);
}

#[test]
fn filters_and_edges_are_those_asked_for() {
    let greys = [10, 20, 30, 40];
    // Three times from -1 to 2 across four texels, one pixel each.
    let turns = |wrap_mode| {
        let options = TextureOptions { wrap_mode, ..TextureOptions::NEAREST };
        let mut raster = with_picture([4, 1], &greys, options);
        let uv = Rect::from_min_max(pos2(-1.0, 0.0), pos2(2.0, 1.0));
        let rect = Rect::from_min_max(Pos2::ZERO, pos2(12.0, 1.0));
        let nearest = reds(&mut raster, [12, 1], picture(rect, uv, Color32::WHITE));
        let options = TextureOptions { wrap_mode, ..TextureOptions::LINEAR };
        let mut raster = with_picture([4, 1], &greys, options);
        assert_eq!(reds(&mut raster, [12, 1], picture(rect, uv, Color32::WHITE)), nearest, "{wrap_mode:?}");
        nearest
    };
    assert_eq!(turns(TextureWrapMode::ClampToEdge), [10, 10, 10, 10, 10, 20, 30, 40, 40, 40, 40, 40]);
    assert_eq!(turns(TextureWrapMode::Repeat), [10, 20, 30, 40, 10, 20, 30, 40, 10, 20, 30, 40]);
    assert_eq!(turns(TextureWrapMode::MirroredRepeat), [40, 30, 20, 10, 10, 20, 30, 40, 40, 30, 20, 10]);

    let small_nearest = TextureOptions { minification: TextureFilter::Nearest, ..TextureOptions::LINEAR };
    // Shrunk to half, middles lie between two texels; nearest takes the one behind.
    let mut raster = with_picture([4, 1], &greys, small_nearest);
    assert_eq!(reds(&mut raster, [2, 1], picture_over(2.0, 1.0)), [20, 40]);
    let mut raster = with_picture([4, 1], &greys, TextureOptions::LINEAR);
    assert_eq!(reds(&mut raster, [2, 1], picture_over(2.0, 1.0)), [15, 35]);
    let mut raster = with_picture([2, 1], &[0, 100], small_nearest);
    assert_eq!(reds(&mut raster, [4, 1], picture_over(4.0, 1.0)), [0, 25, 75, 100]);
}

#[test]
fn a_part_of_a_texture_changes() {
    let mut raster = with_picture([3, 3], &[0; 9], TextureOptions::NEAREST);
    let part = ColorImage::from_gray([2, 2], &[1, 2, 3, 4]);
    upload(&mut raster, PICTURE, ImageDelta::partial([1, 0], part.clone(), TextureOptions::NEAREST));
    assert_eq!(reds(&mut raster, [3, 3], picture_over(3.0, 3.0)), [0, 1, 2, 0, 3, 4, 0, 0, 0]);
    // What hangs over the edge is left out.
    upload(&mut raster, PICTURE, ImageDelta::partial([2, 2], part.clone(), TextureOptions::NEAREST));
    assert_eq!(reds(&mut raster, [3, 3], picture_over(3.0, 3.0)), [0, 1, 2, 0, 3, 4, 0, 0, 1]);
    for corner in [[3, 0], [0, 3], [usize::MAX, usize::MAX]] {
        upload(&mut raster, PICTURE, ImageDelta::partial(corner, part.clone(), TextureOptions::NEAREST));
    }
    assert_eq!(reds(&mut raster, [3, 3], picture_over(3.0, 3.0)), [0, 1, 2, 0, 3, 4, 0, 0, 1]);
    // A part of nothing.
    upload(&mut raster, TextureId::User(7), ImageDelta::partial([0, 0], part, TextureOptions::NEAREST));
}

#[test]
fn freed_textures_are_seen_once_more() {
    let mut raster = with_picture([1, 1], &[9], TextureOptions::NEAREST);
    let mut delta = TexturesDelta::default();
    delta.free(PICTURE);
    raster.update(&delta);
    delta.clear();
    assert_eq!(reds(&mut raster, [1, 1], picture_over(1.0, 1.0)), [9]);
    raster.update(&delta);
    assert_eq!(reds(&mut raster, [1, 1], picture_over(1.0, 1.0)), [0]);
}

#[test]
fn colours_change_evenly() {
    let mut mesh = triangles(&[(0.0, 0.0), (256.0, 0.0), (0.0, 2.0), (256.0, 2.0)], Color32::BLACK);
    mesh.vertices[1].color = Color32::from_gray(255);
    mesh.vertices[3].color = Color32::from_gray(255);
    mesh.indices = vec![0, 1, 2, 2, 1, 3];
    let found = reds(&mut raster(), [256, 2], mesh);
    for (i, red) in found.iter().enumerate() {
        let exact = ((i % 256) as f32 + 0.5) * 255.0 / 256.0;
        assert!((f32::from(*red) - exact).abs() <= 0.51, "{i}: {red} for {exact}");
    }
}

#[test]
fn what_is_no_number_or_far_away_does_no_harm() {
    let mut raster = raster();
    let wild = [0.0, 8.0, -1e6, 1e9, -1e20, f32::MAX, f32::MIN, f32::INFINITY, f32::NAN];
    let mut points = Vec::new();
    for a in wild {
        for b in wild {
            points.extend([(a, b), (b, 4.0), (4.0, a)]);
            points.extend([(a, 0.0), (b, b), (a, a)]);
        }
    }
    let found = reds(&mut raster, [8, 8], triangles(&points, COUNT));
    assert!(found.iter().any(|hits| *hits > 0));

    // Places on textures, too.
    let mut raster = with_picture([2, 2], &[1; 4], TextureOptions::LINEAR_REPEAT);
    for u in wild {
        let uv = Rect::from_min_max(pos2(0.0, u), pos2(u, 1.0));
        let rect = Rect::from_min_max(Pos2::ZERO, pos2(8.0, 8.0));
        let found = reds(&mut raster, [8, 8], picture(rect, uv, Color32::WHITE));
        assert!(found.iter().all(|red| *red == u8::from(u.is_finite())), "{u}: {found:?}");
    }

    // Indices without a vertex.
    let mut mesh = triangles(&[(0.0, 0.0), (8.0, 0.0), (0.0, 8.0)], COUNT);
    mesh.indices = vec![0, 1, 3, 0, 1, 2, 2, 1, u32::MAX, 0, 1];
    assert_eq!(reds(&mut raster, [8, 8], mesh).iter().filter(|hits| **hits == 1).count(), 28);
}

#[test]
fn triangles_that_reach_far_are_whole() {
    let mut raster = raster();
    for far in [1e5, 3e6, 1e9, 1e15] {
        // Everything, in two parts that meet on the falling diagonal.
        let points = [(-far, -far), (far, -far), (far, far), (-far, -far), (far, far), (-far, far)];
        let found = reds(&mut raster, [64, 64], triangles(&points, COUNT));
        assert!(found.iter().all(|hits| *hits == 1), "{far}");
        // Half of it is grey, which grows to the right.
        let mut mesh = triangles(&[(-far, -far), (far, -far), (-far, far), (far, far)], Color32::BLACK);
        mesh.vertices[1].color = Color32::from_gray(255);
        mesh.vertices[3].color = Color32::from_gray(255);
        mesh.indices = vec![0, 1, 2, 2, 1, 3];
        let found = reds(&mut raster, [64, 64], mesh);
        assert!(found.iter().all(|red| (127..=128).contains(red)), "{far}: {found:?}");
    }
}

#[test]
fn nothing_may_be_painted() {
    let mut raster = raster();
    let mesh = triangles(&[(0.0, 0.0), (8.0, 0.0), (0.0, 8.0)], Color32::WHITE);
    let primitives = [clipped(Rect::EVERYTHING, mesh)];
    for size in [[0, 0], [0, 5], [5, 0]] {
        let painted = raster.paint(size, 1.0, &primitives, Color32::WHITE);
        assert_eq!([painted.width() as usize, painted.height() as usize], size);
        raster.paint_window(&mut [], size, 1.0, &primitives, Color32::WHITE);
    }
    raster.paint_window(&mut [], [4, 4], 1.0, &primitives, Color32::WHITE);
    assert_eq!(raster.paint([usize::MAX, 2], 1.0, &primitives, Color32::WHITE).dimensions(), (0, 0));
    for pixels_per_point in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        raster.paint([4, 4], pixels_per_point, &primitives, Color32::WHITE);
    }
}

/// A picture of everything that an interface has.
fn interface() -> (Raster, Vec<ClippedPrimitive>, f32) {
    let context = egui::Context::default();
    let mut raster = Raster::new();
    let mut text = String::from("text");
    let mut result = None;
    for _ in 0..3 {
        let input = egui::RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, egui::vec2(300.0, 200.0))),
            ..Default::default()
        };
        let mut output = context.run_ui(input, |ui| {
            egui::Window::new("window").show(ui.ctx(), |ui| {
                ui.heading("Heading");
                ui.text_edit_singleline(&mut text);
                ui.add(egui::Slider::new(&mut 3.0, 0.0..=9.0));
                ui.add(egui::Spinner::new());
            });
        });
        raster.update(&output.textures_delta);
        output.textures_delta.clear();
        result = Some(context.tessellate(std::mem::take(&mut output.shapes), 1.0));
    }
    (raster, result.expect("three frames"), 1.25)
}

#[test]
fn threads_change_nothing() {
    let (mut raster, primitives, scale) = interface();
    let mut paint = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| raster.paint([375, 250], scale, &primitives, Color32::from_gray(30)))
    };
    let alone = paint(1);
    assert!(alone.pixels().any(|pixel| pixel != alone.get_pixel(0, 0)));
    for threads in [2, 3, 5] {
        assert!(paint(threads) == alone, "{threads} threads");
    }
}

#[test]
fn window_and_picture_agree() {
    let (mut raster, primitives, scale) = interface();
    let picture = raster.paint([375, 250], scale, &primitives, Color32::from_gray(30));
    let mut window = vec![u32::MAX; 375 * 250];
    raster.paint_window(&mut window, [375, 250], scale, &primitives, Color32::from_gray(30));
    for (pixel, word) in picture.pixels().zip(window) {
        let [r, g, b, a] = pixel.0;
        assert_eq!((word.to_be_bytes(), a), ([0, r, g, b], 255));
    }
}
