//! The optimiser on GPUs: all parameters in flat buffers, a few launches for an update of any number of them.

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;
use cubecl::server::Handle;
use dinoscope_shaders::adamw::gpu::{self as adamw, ArenaLayout, ArenaParamGroup, ArenaSegment};
use dinoscope_shaders::launch::view;

use super::composed::flat;
use super::gpu::{done, floats, plain};
use super::update::{GradNorms, MODULES, ParamUpdate, UpdateArenas, UpdateHyperparams};

type Array = FloatTensor<CubeBackend>;

/// The buffers between two updates.
#[derive(Clone, Debug)]
pub(super) struct ArenaState {
    arenas: adamw::AdamWFlatBuffers,
    len: usize,
}

/// Tensors of all parameters, kind by kind.
#[derive(Default)]
struct OptimizerTensors {
    values: Vec<Array>,
    teachers: Vec<Array>,
    firsts: Vec<Array>,
    seconds: Vec<Array>,
}

/// Whether a tensor is still the view of an arena that the last update returned.
fn lies_in(tensor: &Array, arena: &Handle, segment: &ArenaSegment) -> bool {
    let start = arena.offset_start.unwrap_or(0) + 4 * segment.offset as u64;
    tensor.handle.memory.descriptor() == arena.memory.descriptor()
        && tensor.handle.offset_start.unwrap_or(0) == start
}

impl ArenaState {
    /// The buffers of the last update, if the parameters still lie in them; else new ones with the parameters in.
    fn of(
        old: Option<Self>,
        lists: &OptimizerTensors,
        layout: &ArenaLayout,
        client: &cubecl::client::Client,
    ) -> Self {
        let pairs = |arenas: &adamw::AdamWFlatBuffers| {
            let OptimizerTensors { values, teachers, firsts, seconds } = lists;
            let adamw::AdamWFlatBuffers { parameters, teacher, first, second, .. } = arenas.clone();
            [(values, parameters), (teachers, teacher), (firsts, first), (seconds, second)]
        };
        let there = |held: &Self| {
            held.len == layout.len
                && pairs(&held.arenas).into_iter().all(|(tensors, arena)| {
                    tensors.iter().zip(&layout.segments).all(|(t, segment)| lies_in(t, &arena, segment))
                })
        };
        if let Some(held) = old.filter(there) {
            return held;
        }
        let arenas = adamw::AdamWFlatBuffers::new(client, layout);
        for (tensors, arena) in pairs(&arenas) {
            let sources = tensors.iter().map(|t| &t.handle).zip(layout.segments.iter().copied());
            done(adamw::gather(client, sources, &arena));
        }
        Self { arenas, len: layout.len }
    }
}

/// See [`super::optimise`].
pub(super) fn optimise(
    parameters: Vec<ParamUpdate<Array>>,
    loss_scale: Option<Array>,
    rates: &UpdateHyperparams,
    held: &mut UpdateArenas,
) -> (Vec<ParamUpdate<Array>>, GradNorms<Array>) {
    let near = parameters[0].value.clone();
    let client = near.client.clone();
    // Each group carries its own rates, and the program multiplies them with 1.
    let layout = ArenaLayout::new(parameters.iter().map(|p| {
        let group = ArenaParamGroup {
            lr: p.lr as f32,
            decay: p.decay as f32,
            is_last_layer: false,
            module: p.module as u32,
            idle: p.gradient.is_none(),
        };
        (p.value.shape().num_elements(), group)
    }));
    let table = layout.upload(&client);
    let mut lists = OptimizerTensors::default();
    let (mut gradients, mut plans) = (Vec::new(), Vec::new());
    for (p, segment) in parameters.into_iter().zip(&layout.segments) {
        lists.values.push(plain(p.value));
        lists.teachers.push(plain(p.teacher));
        lists.firsts.push(plain(p.first));
        lists.seconds.push(plain(p.second));
        gradients.extend(p.gradient.map(|gradient| (plain(gradient), *segment)));
        plans.push((p.module, p.lr, p.decay));
    }
    let now = ArenaState::of(held.0.take(), &lists, &layout, &client);
    let arenas = &now.arenas;
    done(adamw::gather(
        &client,
        gradients.iter().map(|(g, segment)| (&g.handle, *segment)),
        &arenas.gradients,
    ));
    let scale = loss_scale.map(plain);
    let state =
        done(adamw::norms(&client, &arenas.gradients, &table, scale.as_ref().map(|s| &s.handle), rates.clip));
    let own = adamw::AdamWStepHyperparams {
        lr: 1.0,
        last_layer_lr: 1.0,
        weight_decay: 1.0,
        beta1: rates.beta1,
        beta2: rates.beta2,
        eps: rates.eps,
        step: rates.steps,
        momentum: rates.momentum,
    };
    done(adamw::update(&client, arenas, &table, &state, own));

    let of = |arena: &Handle, segment: &ArenaSegment| {
        floats(&near, done(view(arena, segment.offset, segment.length)), [segment.length])
    };
    let updated = layout.segments.iter().zip(plans).map(|(segment, (module, lr, decay))| ParamUpdate {
        value: of(&arenas.parameters, segment),
        teacher: of(&arenas.teacher, segment),
        first: of(&arenas.first, segment),
        second: of(&arenas.second, segment),
        gradient: None,
        module,
        lr,
        decay,
    });
    let updated = updated.collect();
    // Factors, norms, 1 if all is finite, and the inverse of the loss scale.
    let state = floats(&near, state.0, [8]);
    let value =
        |at: usize| flat::<CubeBackend>(CubeBackend::float_slice(state.clone(), &[(at..at + 1).into()]));
    let overflow = CubeBackend::float_add_scalar(CubeBackend::float_neg(value(2 * MODULES)), 1.0.into());
    let norms = (0..MODULES).map(|module| value(MODULES + module)).collect();
    held.0 = Some(now);
    (updated, GradNorms { norms, overflow })
}
