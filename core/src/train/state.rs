//! Everything that training changes.

use burn::tensor::{Device, Tensor};

use super::frozen_teacher::FrozenTeacher;
use super::gram_teacher::GramTeacher;
use super::loss_scale::LossScale;
use super::network::{Network, NetworkConfig};
use super::optimizer::AdamWMoments;
use super::recipe::Recipe;
use super::shard::TrainShards;
use super::watch_colours::WatchPcaBasis;

/// Student, teacher, centres and optimizer between two steps.
///
/// There is no copy of it: on a GPU a step changes all values in place, also those that a clone would share. Who wants to
/// keep a state writes a checkpoint.
#[derive(Debug)]
pub struct TrainerState {
    /// Learns by gradient; lives on the autodiff device.
    pub student: Network,
    /// Follows the student; lives on the plain device, so it never has a graph.
    pub teacher: Network,
    /// Softmax centres, `[1, K]` each; unused by Sinkhorn–Knopp.
    pub centers: TeacherCenters,
    /// Moments of AdamW.
    pub optimizer: AdamWMoments,
    /// Keeps gradients of 16-bit numbers in range; off with others.
    pub loss_scale: LossScale,
    /// Steps done.
    pub iteration: u64,
    /// What is distilled, if anything; then `teacher` is the moving average that is kept, and teaches nothing.
    pub frozen: Option<FrozenTeacher>,
    /// Whose similarities of patches the student's are held to, from `gram.start` on.
    pub gram: Option<GramTeacher>,
    /// Normalised CLS vectors of the frozen teacher, newest first, `[rows, dim]`; only where similarity is learned.
    pub queue: Option<Tensor<2>>,
    /// How many pictures there are to train on; what the queue's size follows.
    pub pictures: usize,
    /// Colours of the last look at the watched pictures. Nothing is learned from them.
    pub colours: Option<WatchPcaBasis>,
    /// Where ranks share the state: this one's parts. What is in them is not in the fields above.
    pub shards: Option<TrainShards>,
}

/// Moving averages of the teacher's logits.
#[derive(Clone, Debug)]
pub struct TeacherCenters {
    /// Of CLS logits, `[1, K]`.
    pub dino: Tensor<2>,
    /// Of masked patches' logits, `[1, K]`.
    pub ibot: Tensor<2>,
}

impl TrainerState {
    /// The state before step 0: teacher equal to the student, centres 0. `device` is the plain device.
    pub fn new(recipe: &Recipe, device: &Device) -> Self {
        Self::distilling(recipe, None, device)
    }

    /// The same with a frozen teacher to distil from.
    pub fn distilling(recipe: &Recipe, frozen: Option<FrozenTeacher>, device: &Device) -> Self {
        let config = match &frozen {
            Some(frozen) => frozen.student(recipe),
            None => NetworkConfig::from(recipe),
        };
        let mut state = Self::with_sizes(&config, recipe.train.seed, device);
        state.loss_scale = LossScale::new(recipe.train.precision, device);
        state.frozen = frozen;
        state
    }

    /// The same for sizes that no recipe gives, for instance a position grid for other pictures.
    pub fn with_sizes(config: &NetworkConfig, seed: u64, device: &Device) -> Self {
        // Centres of nothing still need a size.
        let dino = config.dino_head.as_ref().map_or(1, |head| head.prototypes);
        let ibot = config.ibot_head.as_ref().map_or(dino, |head| head.prototypes);
        Self {
            student: Network::init(config, seed, &device.clone().autodiff()),
            teacher: Network::init(config, seed, device),
            centers: TeacherCenters {
                dino: Tensor::zeros([1, dino], device),
                ibot: Tensor::zeros([1, ibot], device),
            },
            optimizer: AdamWMoments::default(),
            loss_scale: LossScale::OFF,
            iteration: 0,
            frozen: None,
            gram: None,
            queue: None,
            pictures: 0,
            colours: None,
            shards: None,
        }
    }
}
