//! A map of a heap: pictures as points in the plane, near to each other where their features are.
//!
//! Source: UMAP (McInnes, Healy and Melville 2018): fuzzy memberships of nearest neighbours, made symmetric, pulled together
//! along their edges and pushed apart at random, with a step that falls to nothing. Written anew from the paper; the curve of
//! distances is the one for a least distance of 0.1 (`a` 1.577, `b` 0.895).

use dinoscope_base::rng::{self, RngExt};

use crate::nearest::Neighbour;

/// Neighbours that a point is pulled to.
pub const LAYOUT_NEIGHBOURS: usize = 15;
const A: f32 = 1.577;
const B: f32 = 0.895;
/// Points that one is pushed away from, for each pull.
const PUSHES: usize = 5;
/// Longest way of one push or pull.
const CLIP: f32 = 4.0;
/// Side of the map as it begins.
const SPREAD: f32 = 20.0;

/// A pull between two points.
#[derive(Clone, Copy)]
struct MapEdge {
    from: u32,
    to: u32,
    /// Between 0 and 1.
    weight: f32,
}

/// Arranges points by their neighbours, from `start` on (their two first principal components), in so many rounds. Points come
/// back within -1 to 1. `heard` is told of each round and answers whether to go on; where it says no the map is as it is then.
pub fn arrange(
    neighbours: &[Vec<Neighbour>],
    start: &[[f32; 2]],
    (rounds, seed): (usize, u64),
    heard: &mut dyn FnMut(usize, usize) -> bool,
) -> Vec<[f32; 2]> {
    let mut stream = rng::stream(seed, "curate map", 0, 0);
    let mut points: Vec<[f32; 2]> = framed(start);
    for point in &mut points {
        // What is exactly alike has to part.
        *point = point.map(|v| 0.5 * SPREAD * v + 0.001 * (stream.random_range(0.0..1.0f32) - 0.5));
    }
    let edges = memberships(neighbours);
    let count = points.len() as u32;
    if count < 3 || edges.is_empty() {
        return framed(&points);
    }
    // An edge has its turn as often as it is strong.
    let strongest = edges.iter().map(|edge| edge.weight).fold(0.0, f32::max);
    let mut due: Vec<f32> = vec![0.0; edges.len()];
    for round in 0..rounds {
        let step = 1.0 - round as f32 / rounds as f32;
        for (edge, due) in edges.iter().zip(&mut due) {
            *due += edge.weight / strongest;
            if *due < 1.0 {
                continue;
            }
            *due -= 1.0;
            let (from, to) = (edge.from as usize, edge.to as usize);
            let pull = attraction(points[from], points[to]).map(|v| step * v);
            for k in 0..2 {
                points[from][k] += pull[k];
                points[to][k] -= pull[k];
            }
            for _ in 0..PUSHES {
                let other = stream.random_range(0..count) as usize;
                if other != from {
                    let push = repulsion(points[from], points[other]);
                    (0..2).for_each(|k| points[from][k] += step * push[k]);
                }
            }
        }
        if !heard(round + 1, rounds) {
            break;
        }
    }
    framed(&points)
}

fn between(a: [f32; 2], b: [f32; 2]) -> ([f32; 2], f32) {
    let apart = [a[0] - b[0], a[1] - b[1]];
    (apart, apart[0] * apart[0] + apart[1] * apart[1])
}

fn attraction(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    let (apart, square) = between(a, b);
    if square <= 0.0 {
        return [0.0; 2];
    }
    let power = square.powf(B);
    let force = -2.0 * A * B * power / square / (1.0 + A * power);
    apart.map(|v| (force * v).clamp(-CLIP, CLIP))
}

fn repulsion(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    let (apart, square) = between(a, b);
    let force = 2.0 * B / ((0.001 + square) * (1.0 + A * square.powf(B)));
    apart.map(|v| (force * v).clamp(-CLIP, CLIP))
}

/// Every point's neighbours with their memberships: 1 for the nearest, falling with the distance such that they sum to the
/// binary logarithm of their number; then `a + b - ab` of both directions.
fn memberships(neighbours: &[Vec<Neighbour>]) -> Vec<MapEdge> {
    // Where there are few, all are neighbours of all.
    let most = LAYOUT_NEIGHBOURS.min((neighbours.len() / 6).max(2));
    let mut one_way: Vec<(u32, u32, f32)> = Vec::new();
    for (i, near) in neighbours.iter().enumerate() {
        let near = &near[..near.len().min(most)];
        let distances: Vec<f32> = near.iter().map(|near| (1.0 - near.similarity).max(0.0)).collect();
        let Some(first) = distances.iter().copied().reduce(f32::min) else { continue };
        let target = (near.len() as f32 + 1.0).log2();
        let sum = |scale: f32| distances.iter().map(|d| (-(d - first) / scale).exp()).sum::<f32>();
        // The sum grows with the scale.
        let (mut low, mut high) = (1e-6f32, 1e3f32);
        for _ in 0..40 {
            let middle = (low * high).sqrt();
            if sum(middle) > target { high = middle } else { low = middle }
        }
        for (near, distance) in near.iter().zip(&distances) {
            one_way.push((i as u32, near.key, (-(distance - first) / high).exp()));
        }
    }
    let mut pairs: Vec<(u32, u32, f32)> =
        one_way.into_iter().filter(|(a, b, _)| a != b).map(|(a, b, w)| (a.min(b), a.max(b), w)).collect();
    pairs.sort_unstable_by_key(|(a, b, _)| (*a, *b));
    let mut edges: Vec<MapEdge> = Vec::with_capacity(pairs.len());
    for (from, to, weight) in pairs {
        match edges.last_mut().filter(|last| (last.from, last.to) == (from, to)) {
            Some(last) => last.weight += weight - last.weight * weight,
            None => edges.push(MapEdge { from, to, weight }),
        }
    }
    edges
}

/// Points moved and scaled such that all lie within -1 to 1, the same scale across and up. The outermost thousandth is put to
/// the border, so that a single far point does not make all others one.
fn framed(points: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let mut ends = [[0.0f32; 2]; 2];
    for (k, end) in ends.iter_mut().enumerate() {
        let mut values: Vec<f32> = points.iter().map(|point| point[k]).filter(|v| v.is_finite()).collect();
        values.sort_unstable_by(f32::total_cmp);
        let out = values.len() / 1000;
        *end = match (values.get(out), values.len().checked_sub(out + 1).and_then(|at| values.get(at))) {
            (Some(low), Some(high)) => [*low, *high],
            _ => [0.0; 2],
        };
    }
    let half = ends.iter().map(|[low, high]| (high - low) / 2.0).fold(0.0, f32::max);
    let scale = if half > 0.0 { 1.0 / half } else { 0.0 };
    let place = |v: f32, k: usize| {
        let at = (v - (ends[k][0] + ends[k][1]) / 2.0) * scale;
        if at.is_finite() { at.clamp(-1.0, 1.0) } else { 0.0 }
    };
    points.iter().map(|[x, y]| [place(*x, 0), place(*y, 1)]).collect()
}

/// The two first principal components of rows, `[rows, dim]`, by power iteration: where a map begins.
pub fn first_components(features: &[f32], dim: usize) -> Vec<[f32; 2]> {
    let rows = features.chunks_exact(dim.max(1));
    let count = rows.len().max(1) as f32;
    let mut mean = vec![0.0f32; dim];
    rows.clone().for_each(|row| mean.iter_mut().zip(row).for_each(|(mean, v)| *mean += v / count));
    let along = |row: &[f32], axis: &[f32]| -> f32 {
        row.iter().zip(&mean).zip(axis).map(|((v, mean), axis)| (v - mean) * axis).sum()
    };
    let mut axes: Vec<Vec<f32>> = Vec::new();
    for k in 0..2 {
        let mut axis: Vec<f32> = (0..dim).map(|i| ((i * 7 + 3 * k + 1) % 11) as f32 - 5.0).collect();
        for _ in 0..12 {
            let mut next = vec![0.0f32; dim];
            for row in rows.clone() {
                let score = along(row, &axis);
                next.iter_mut()
                    .zip(row.iter().zip(&mean))
                    .for_each(|(next, (v, mean))| *next += score * (v - mean));
            }
            for other in &axes {
                let shared: f32 = next.iter().zip(other).map(|(a, b)| a * b).sum();
                next.iter_mut().zip(other).for_each(|(v, other)| *v -= shared * other);
            }
            let length = next.iter().map(|v| v * v).sum::<f32>().sqrt();
            axis = if length > 0.0 { next.into_iter().map(|v| v / length).collect() } else { vec![0.0; dim] };
        }
        axes.push(axis);
    }
    rows.map(|row| [along(row, &axes[0]), along(row, &axes[1])]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three groups of points on a sphere, and their neighbours among all.
    fn groups(each: usize) -> (Vec<f32>, Vec<Vec<Neighbour>>) {
        let mut stream = rng::stream(5, "groups", 0, 0);
        let dim = 8;
        let mut rows: Vec<Vec<f32>> = Vec::new();
        for group in 0..3 {
            for _ in 0..each {
                let mut row: Vec<f32> =
                    (0..dim).map(|_| 0.15 * (stream.random_range(0.0..1.0f32) - 0.5)).collect();
                row[group] += 1.0;
                let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
                rows.push(row.into_iter().map(|v| v / length).collect());
            }
        }
        let neighbours = rows
            .iter()
            .enumerate()
            .map(|(i, row)| {
                let similarity =
                    |other: &Vec<f32>| -> f32 { row.iter().zip(other).map(|(a, b)| a * b).sum() };
                let mut near: Vec<Neighbour> = rows
                    .iter()
                    .enumerate()
                    .filter(|(j, _)| *j != i)
                    .map(|(j, other)| Neighbour { key: j as u32, similarity: similarity(other) })
                    .collect();
                near.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
                near.truncate(LAYOUT_NEIGHBOURS);
                near
            })
            .collect();
        (rows.concat(), neighbours)
    }

    #[test]
    fn groups_are_apart_on_the_map_and_the_same_each_time() {
        let each = 60;
        let (features, neighbours) = groups(each);
        let start = first_components(&features, 8);
        let map = arrange(&neighbours, &start, (200, 1), &mut |_, _| true);
        assert!(map.iter().flatten().all(|v| (-1.0..=1.0).contains(v)));
        assert_eq!(map, arrange(&neighbours, &start, (200, 1), &mut |_, _| true));
        let nearest = |i: usize| {
            let apart = |j: &usize| between(map[i], map[*j]).1;
            (0..map.len()).filter(|j| *j != i).min_by(|a, b| apart(a).total_cmp(&apart(b))).unwrap_or(i)
        };
        let same = (0..map.len()).filter(|i| nearest(*i) / each == i / each).count();
        assert!(same * 100 >= map.len() * 99, "{same} of {} have one of their group nearest", map.len());
        let middle = |group: usize| {
            let of: Vec<[f32; 2]> = map[group * each..(group + 1) * each].to_vec();
            [0, 1].map(|k| of.iter().map(|p| p[k]).sum::<f32>() / each as f32)
        };
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            assert!(between(middle(a), middle(b)).1 > 0.25, "groups {a} and {b} lie over each other");
        }
    }

    #[test]
    fn few_points_equal_points_and_a_stop_are_no_trouble() {
        for count in [0usize, 1, 2, 5] {
            let start = vec![[1.0, 1.0]; count];
            let near = |i: usize| {
                (0..count).filter(|j| *j != i).map(|j| Neighbour { key: j as u32, similarity: 1.0 }).collect()
            };
            let neighbours: Vec<Vec<Neighbour>> = (0..count).map(near).collect();
            let map = arrange(&neighbours, &start, (20, 0), &mut |_, _| true);
            assert!(map.len() == count && map.iter().flatten().all(|v| v.is_finite()));
        }
        let (features, neighbours) = groups(20);
        let start = first_components(&features, 8);
        let mut rounds = 0;
        let map = arrange(&neighbours, &start, (50, 0), &mut |done, _| {
            rounds = done;
            done < 3
        });
        assert_eq!((rounds, map.len()), (3, 60));
        assert_eq!(first_components(&[], 8), Vec::<[f32; 2]>::new());
        assert!(first_components(&[0.5; 24], 8).iter().flatten().all(|v| *v == 0.0));
    }
}
