//! What threads add up against what one process has.
#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Tensor, TensorData};

use super::threads::ThreadRank;
use super::*;

/// What `work` gives on each of so many ranks.
fn on_ranks<R: Send>(ranks: usize, work: impl Fn(&RankGroup) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let started: Vec<_> = ThreadRank::all(ranks)
            .into_iter()
            .map(|group| {
                let work = &work;
                scope.spawn(move || work(&group))
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn tensor<const D: usize>(shape: [usize; D], of: impl Fn(usize) -> f32) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(of).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Numbers whose sum depends on the order.
fn value(rank: usize, at: usize) -> f32 {
    ((rank * 31 + at * 17) % 97) as f32 * 1.7e-3 + if rank == 1 { 1e4 } else { 0.1 }
}

#[test]
fn sums_are_in_the_order_of_ranks_and_the_same_on_each() {
    for ranks in [1, 2, 3, 4] {
        // Short ones, and such as are shared out, not evenly.
        for count in [1, 7, SHORT, SHORT + 1, 3 * SHORT + 5] {
            let sums = on_ranks(ranks, |group| {
                let sum = host(group.sum(tensor([count], |at| value(group.rank(), at))));
                let mean = host(group.mean(tensor([1, count], |at| value(group.rank(), at))));
                (sum, mean)
            });
            let want: Vec<f32> = (0..count)
                .map(|at| (1..ranks).fold(value(0, at), |sum, rank| sum + value(rank, at)))
                .collect();
            for (sum, mean) in sums {
                assert_eq!(sum, want, "{ranks} ranks, {count} values");
                let near = |(mean, sum): (&f32, &f32)| (mean * ranks as f32 - sum).abs() <= 1e-5 * sum.abs();
                assert!(mean.iter().zip(&want).all(near));
            }
        }
    }
}

#[test]
fn rows_are_gathered_in_the_order_of_ranks() {
    let gathered = on_ranks(3, |group| {
        let own = tensor([2, 2], |at| (10 * group.rank() + at) as f32);
        let max = group.max(tensor([2], |at| if at == group.rank() { 9.0 } else { -1.0 }));
        let any = group.any(vec![false, group.rank() == 2, true]);
        let all = group.gather(own);
        assert_eq!(all.dims(), [6, 2]);
        (host(all), host(max), any)
    });
    for (rows, max, any) in gathered {
        assert_eq!(rows, [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23].map(|v| v as f32));
        assert_eq!((max, any), (vec![9.0, 9.0], vec![false, true, true]));
    }
}

#[test]
fn texts_of_any_length_and_means_arrive() {
    let arrived = on_ranks(3, |group| {
        let own = vec![group.rank() as u8; group.rank()];
        let word = if group.is_first() { b"go on".to_vec() } else { Vec::new() };
        let nothing = group.gather_bytes(Vec::new()).unwrap();
        let means = group.means(vec![group.rank() as f32, f32::NAN]).unwrap();
        (group.gather_bytes(own).unwrap(), group.broadcast_bytes(word).unwrap(), nothing, means)
    });
    for (texts, word, nothing, means) in arrived {
        assert_eq!(texts, [vec![], vec![1], vec![2, 2]]);
        assert_eq!((word, nothing), (b"go on".to_vec(), vec![Vec::<u8>::new(); 3]));
        assert!(means[0] == 1.0 && means[1].is_nan());
    }
}

#[test]
fn alone_everything_stays_as_it_is() {
    let group = RankGroup::default();
    assert!(group.is_alone() && group.is_first() && (group.rank(), group.ranks()) == (0, 1));
    assert_eq!(group.gather_bytes(vec![3]).unwrap(), [[3]]);
    assert_eq!(group.broadcast_bytes(vec![4]).unwrap(), [4]);
    assert_eq!(host(group.gather(tensor([2, 1], |at| at as f32))), [0.0, 1.0]);
    assert!(ThreadRank::all(1)[0].is_alone());
}

#[test]
fn a_rank_that_ends_is_noticed_by_those_who_wait_for_it() {
    let said = on_ranks(3, |group| match group.rank() {
        // Ends without a word.
        1 => String::new(),
        _ => group.gather_bytes(vec![1]).unwrap_err().to_string(),
    });
    for rank in [0, 2] {
        let want = format!("rank {rank} of 3 on a thread lost the others: rank 1 has ended");
        assert_eq!(said[rank], want);
    }
}
