//! How much a student has in common with its teacher, whatever their widths: what distillation is after.
//!
//! Features of two networks live in different spaces. So one ridge regression from the student's to the teacher's is
//! fitted on some pictures, and the cosine between prediction and teacher is taken on others; both are centred, since
//! a mean that all share says nothing. The overlap of nearest neighbours needs no map at all.

use burn::tensor::{Device, ExecutionError};
use serde::{Deserialize, Serialize};

use dinoscope_analysis::linalg;
use dinoscope_base::rng::{RngExt, stream};
use dinoscope_data::Picture;
use dinoscope_data::augment::eval_view;
use dinoscope_data::source::PictureSource;
use dinoscope_model::Vit;
use dinoscope_model::features::to_tensor;
use dinoscope_model::params::read;

/// Pictures that the map is fitted on, and among which neighbours are looked up.
const FIT: usize = 384;
/// Pictures that are judged.
const JUDGED: usize = 128;
/// Patches taken of each picture.
const PATCHES: usize = 8;
/// Neighbours that are compared.
pub const NEIGHBOURS: usize = 10;
/// Strength of the ridge, as a share of the mean variance.
const RIDGE: f64 = 0.01;

/// What student and teacher have in common; 1 is all, about 0 nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeacherAgreement {
    /// Cosine between the teacher's CLS token and the student's, mapped.
    pub cls_cosine: f64,
    /// The same of patch tokens.
    pub patch_cosine: f64,
    /// Share of the teacher's [`NEIGHBOURS`] nearest pictures that are the student's too.
    pub neighbours: f64,
    /// Pictures that were judged.
    pub pictures: usize,
}

/// Pictures and what the teacher sees in them: made once, asked of students as they learn.
#[derive(Debug)]
pub struct AgreementProbe {
    /// As the student sees them; the first are fitted on.
    views: Vec<Picture>,
    fit: usize,
    /// Which patches of each view are taken.
    picks: Vec<usize>,
    teacher: AgreementFeatures,
}

/// Features of all views.
#[derive(Debug)]
struct AgreementFeatures {
    cls: Vec<f32>,
    patches: Vec<f32>,
    dim: usize,
}

impl AgreementProbe {
    /// Looks at pictures of `source` with the teacher, on a grid of as many patches as the student has at `size`.
    /// `None` when there are too few pictures to judge anything. `between` is awaited after each batch.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn new(
        teacher: &Vit,
        source: &dyn PictureSource,
        size: usize,
        student_patch: usize,
        device: &Device,
        between: impl AsyncFnMut(),
    ) -> Result<Option<Self>, ExecutionError> {
        let mut rng = stream(0, "agreement", 0, 0);
        let mut order: Vec<usize> = (0..source.len()).collect();
        for i in 0..order.len().min(FIT + JUDGED) {
            let j = rng.random_range(i..order.len());
            order.swap(i, j);
        }
        let pictures: Vec<Picture> =
            order.iter().take(FIT + JUDGED).filter_map(|&i| source.load(i).ok()).collect();
        let fit = pictures.len() * FIT / (FIT + JUDGED);
        if fit <= NEIGHBOURS {
            return Ok(None);
        }
        let grid = size / student_patch;
        let picks =
            (0..pictures.len() * PATCHES).map(|_| rng.random_range(0..grid * grid)).collect::<Vec<_>>();
        let seen: Vec<Picture> = pictures.iter().map(|p| eval_view(p, grid * teacher.config.patch)).collect();
        let teacher = take(teacher, &seen, &picks, device, between).await?;
        let views = pictures.iter().map(|p| eval_view(p, size)).collect();
        Ok(Some(Self { views, fit, picks, teacher }))
    }

    /// Asks a student.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn agreement(
        &self,
        student: &Vit,
        device: &Device,
        between: impl AsyncFnMut(),
    ) -> Result<TeacherAgreement, ExecutionError> {
        let own = take(student, &self.views, &self.picks, device, between).await?;
        let split = |x: &'_ [f32], dim: usize, each: usize| {
            let (fit, judged) = x.split_at(self.fit * each * dim);
            (fit.to_vec(), judged.to_vec())
        };
        let cosine = |own: &[f32], theirs: &[f32], each: usize| {
            let (x, x_judged) = split(own, own.len() / (self.views.len() * each), each);
            let (y, y_judged) = split(theirs, self.teacher.dim, each);
            mapped_cosine((&x, &y), (&x_judged, &y_judged), self.fit * each)
        };
        Ok(TeacherAgreement {
            cls_cosine: cosine(&own.cls, &self.teacher.cls, 1),
            patch_cosine: cosine(&own.patches, &self.teacher.patches, PATCHES),
            neighbours: overlap(
                &neighbours(&own.cls, own.dim, self.fit),
                &neighbours(&self.teacher.cls, self.teacher.dim, self.fit),
            ),
            pictures: self.views.len() - self.fit,
        })
    }
}

async fn take(
    backbone: &Vit,
    views: &[Picture],
    picks: &[usize],
    device: &Device,
    mut between: impl AsyncFnMut(),
) -> Result<AgreementFeatures, ExecutionError> {
    const BATCH: usize = 32;
    let dim = backbone.config.dim;
    let mut taken = AgreementFeatures { cls: Vec::new(), patches: Vec::new(), dim };
    for (views, picks) in views.chunks(BATCH).zip(picks.chunks(BATCH * PATCHES)) {
        let features = backbone.forward(to_tensor(views, &backbone.config.pixels, device), None);
        taken.cls.extend(read(features.cls).await?);
        let [_, count, _] = features.patches.dims();
        let patches = read(features.patches).await?;
        for (view, picks) in picks.chunks(PATCHES).enumerate() {
            for pick in picks {
                taken.patches.extend_from_slice(&patches[(view * count + pick) * dim..][..dim]);
            }
        }
        between().await;
    }
    Ok(taken)
}

/// Mean cosine between targets and the predictions of a ridge regression fitted on `rows` other pairs.
fn mapped_cosine((x, y): (&[f32], &[f32]), (x_judged, y_judged): (&[f32], &[f32]), rows: usize) -> f64 {
    let (inputs, outputs) = (x.len() / rows, y.len() / rows);
    let (x_mean, y_mean) = (mean(x, inputs), mean(y, outputs));
    let centred = |v: &[f32], mean: &[f64]| -> Vec<f64> {
        v.iter().zip(mean.iter().cycle()).map(|(v, m)| f64::from(*v) - m).collect()
    };
    let (x, y) = (centred(x, &x_mean), centred(y, &y_mean));
    let mut gram = vec![0.0; inputs * inputs];
    let mut cross = vec![0.0; inputs * outputs];
    for (x, y) in x.chunks_exact(inputs).zip(y.chunks_exact(outputs)) {
        for (i, a) in x.iter().enumerate() {
            gram[i * inputs..][..=i].iter_mut().zip(x).for_each(|(g, b)| *g += a * b);
            cross[i * outputs..][..outputs].iter_mut().zip(y).for_each(|(c, b)| *c += a * b);
        }
    }
    let trace: f64 = (0..inputs).map(|i| gram[i * inputs + i]).sum();
    let ridge = (RIDGE * trace / inputs as f64).max(f64::MIN_POSITIVE);
    (0..inputs).for_each(|i| gram[i * inputs + i] += ridge);
    solve(&mut gram, &mut cross, inputs, outputs);

    let judged = centred(x_judged, &x_mean);
    let targets = centred(y_judged, &y_mean);
    let mut predicted = vec![0.0; outputs];
    let (mut sum, mut count) = (0.0, 0usize);
    for (x, y) in judged.chunks_exact(inputs).zip(targets.chunks_exact(outputs)) {
        predicted.fill(0.0);
        for (a, row) in x.iter().zip(cross.chunks_exact(outputs)) {
            predicted.iter_mut().zip(row).for_each(|(p, w)| *p += a * w);
        }
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let length = (dot(&predicted, &predicted) * dot(y, y)).sqrt();
        sum += if length > 0.0 { dot(&predicted, y) / length } else { 0.0 };
        count += 1;
    }
    sum / count.max(1) as f64
}

fn mean(values: &[f32], dim: usize) -> Vec<f64> {
    let rows = (values.len() / dim).max(1) as f64;
    let mut mean = vec![0.0; dim];
    for row in values.chunks_exact(dim) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v) / rows);
    }
    mean
}

/// Solves `A X = B` in place by Cholesky; `a` `[n, n]` symmetric and positive, its lower half given; `b` `[n, m]`.
fn solve(a: &mut [f64], b: &mut [f64], n: usize, m: usize) {
    for i in 0..n {
        for j in 0..=i {
            let (before, row) = a.split_at(i * n);
            let other = if j < i { &before[j * n..][..j] } else { &row[..j] };
            let sum: f64 = row[..j].iter().zip(other).map(|(x, y)| x * y).sum();
            let value = a[i * n + j] - sum;
            a[i * n + j] = if i == j { value.max(f64::MIN_POSITIVE).sqrt() } else { value / a[j * n + j] };
        }
    }
    // L z = b, then Lᵀ x = z, row by row.
    for i in 0..n {
        let (before, row) = b.split_at_mut(i * m);
        let row = &mut row[..m];
        for j in 0..i {
            let factor = a[i * n + j];
            row.iter_mut().zip(&before[j * m..]).for_each(|(t, s)| *t -= factor * s);
        }
        row.iter_mut().for_each(|t| *t /= a[i * n + i]);
    }
    for i in (0..n).rev() {
        let (before, after) = b.split_at_mut((i + 1) * m);
        let row = &mut before[i * m..];
        for j in i + 1..n {
            let factor = a[j * n + i];
            row.iter_mut().zip(&after[(j - i - 1) * m..]).for_each(|(t, s)| *t -= factor * s);
        }
        row.iter_mut().for_each(|t| *t /= a[i * n + i]);
    }
}

/// The nearest pictures among the first `cache` of each of the others.
fn neighbours(cls: &[f32], dim: usize, cache: usize) -> Vec<Vec<usize>> {
    let rows = linalg::normalise_rows(cls, dim);
    let (cache, judged) = rows.split_at(cache * dim);
    let nearest = |query: &[f32]| {
        let dot = |row: &[f32]| row.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
        let mut order: Vec<(f32, usize)> =
            cache.chunks_exact(dim).enumerate().map(|(i, row)| (dot(row), i)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        order.into_iter().take(NEIGHBOURS).map(|(_, i)| i).collect()
    };
    judged.chunks_exact(dim).map(nearest).collect()
}

fn overlap(a: &[Vec<usize>], b: &[Vec<usize>]) -> f64 {
    let common = |(a, b): (&Vec<usize>, &Vec<usize>)| a.iter().filter(|i| b.contains(i)).count();
    let all: usize = a.iter().map(Vec::len).sum();
    a.iter().zip(b).map(common).sum::<usize>() as f64 / all.max(1) as f64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dinoscope_base::device::block_on;
    use dinoscope_base::rng;
    use dinoscope_data::source::scenes::ScenesSource;
    use dinoscope_model::VitConfig;

    #[test]
    fn the_solver_solves() {
        // A = M Mᵀ + I of a known M; B = A X for a known X.
        let (n, m) = (7, 3);
        let mut draw = stream(3, "test", 0, 0);
        let mut noise =
            |count: usize| -> Vec<f64> { (0..count).map(|_| f64::from(rng::normal(&mut draw))).collect() };
        let (root, x) = (noise(n * n), noise(n * m));
        let entry = |i: usize, j: usize| {
            (0..n).map(|k| root[i * n + k] * root[j * n + k]).sum::<f64>() + f64::from(u8::from(i == j))
        };
        let mut a: Vec<f64> = (0..n * n).map(|at| entry(at / n, at % n)).collect();
        let mut b: Vec<f64> =
            (0..n * m).map(|at| (0..n).map(|k| entry(at / m, k) * x[k * m + at % m]).sum()).collect();
        solve(&mut a, &mut b, n, m);
        assert!(b.iter().zip(&x).all(|(found, wanted)| (found - wanted).abs() < 1e-9), "{b:?}\n{x:?}");
    }

    #[test]
    fn a_linear_map_is_found_and_noise_is_not() {
        let (rows, inputs, outputs) = (200, 6, 9);
        let mut draw = stream(4, "test", 0, 0);
        let mut noise = |count: usize| -> Vec<f32> { (0..count).map(|_| rng::normal(&mut draw)).collect() };
        let (x, map) = (noise(2 * rows * inputs), noise(inputs * outputs));
        let y: Vec<f32> = x
            .chunks_exact(inputs)
            .flat_map(|x| {
                (0..outputs)
                    .map(|o| 3.0 + (0..inputs).map(|i| x[i] * map[i * outputs + o]).sum::<f32>())
                    .collect::<Vec<_>>()
            })
            .collect();
        let (fit, judged) = x.split_at(rows * inputs);
        let (y_fit, y_judged) = y.split_at(rows * outputs);
        let found = mapped_cosine((fit, y_fit), (judged, y_judged), rows);
        assert!(found > 0.999, "{found}");
        let other = noise(2 * rows * outputs);
        let (o_fit, o_judged) = other.split_at(rows * outputs);
        let none = mapped_cosine((fit, o_fit), (judged, o_judged), rows);
        assert!(none.abs() < 0.15, "{none}");
    }

    #[test]
    fn a_network_agrees_with_itself_and_less_with_another() {
        let device = Device::flex();
        let source = ScenesSource::new(5, 80, 32);
        let net = |seed, patch| Vit::init(&VitConfig::new(4 * patch, patch, 24, 2, 2), seed, &device);
        let teacher = net(1, 8);
        let probe =
            block_on(AgreementProbe::new(&teacher, &source, 32, 8, &device, async || ())).unwrap().unwrap();
        let asked = |student: &Vit| block_on(probe.agreement(student, &device, async || ())).unwrap();
        let (same, other) = (asked(&teacher), asked(&net(2, 8)));
        assert_eq!((same.neighbours, same.pictures), (1.0, 20));
        assert!(same.patch_cosine > 0.99, "{same:?}");
        assert!(other.neighbours < 1.0 && other.patch_cosine < same.patch_cosine, "{other:?}");
        let few = ScenesSource::new(5, 8, 32);
        assert!(
            block_on(AgreementProbe::new(&teacher, &few, 32, 8, &device, async || ())).unwrap().is_none()
        );
    }
}
