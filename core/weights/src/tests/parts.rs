//! Files with a student and an average of it: which is read, and how another is chosen.

use super::super::*;
use super::{pth, random, renamed, tiny};
use dinoscope_model::config::FfnKind;

/// Two states of one shape, told apart by every value.
fn pair() -> (StateDict, StateDict) {
    let student = random(&tiny(0, FfnKind::Mlp));
    let mut teacher = student.clone();
    teacher.values_mut().for_each(|tensor| tensor.data.iter_mut().for_each(|value| *value = -*value + 0.5));
    (student, teacher)
}

fn both(student: &StateDict, first: &str, teacher: &StateDict, second: &str) -> StateDict {
    let mut state = renamed(student, |key| format!("{first}{key}"));
    state.extend(renamed(teacher, |key| format!("{second}{key}")));
    state
}

#[test]
fn the_average_of_known_trainings_is_read() {
    let (student, teacher) = pair();
    for (first, second) in [
        ("student_embedding_model_wrapper._model.", "teacher_embedding_model_wrapper._model."),
        ("student_embedding_model.wrapped_model._model.", "teacher_embedding_model.wrapped_model._model."),
        ("student_backbone.", "teacher_backbone."),
        ("m.student.backbone.", "m.teacher.backbone."),
        ("model.", "model_ema."),
        ("state_dict.", "state_dict_ema."),
        ("state_dict.", "state_dict_ema.module."),
        ("", "ema_model.module."),
        ("net.", "averaged_model.module."),
        ("net.", "swa."),
        ("encoder.", "momentum_encoder."),
        ("online_encoder.", "target_encoder."),
        ("modelStudent.", "modelTeacher."),
        ("z.", "a_ema."),
    ] {
        let bytes = pth(&both(&student, first, &teacher, second), None);
        let read = from_bytes("last.ckpt", &bytes).unwrap();
        assert!(read.backbone == teacher, "{second} was not read");
        let note = read.notes.iter().find(|note| note.contains("several backbones")).unwrap();
        assert!(note.contains("--part"), "{note}");
        let prefix = unwrapped(first);
        let part = Some(parts::name(&prefix));
        let named =
            from_bytes_as("last.ckpt", &bytes, WeightsLoadOptions { part, ..WeightsLoadOptions::default() })
                .unwrap();
        assert!(named.backbone == student, "{first} was not chosen");
        assert_eq!(notes_of_bytes("last.ckpt", &bytes, None).unwrap(), read.notes);
        let seen = inspect_bytes("last.ckpt", &bytes).unwrap();
        assert_eq!((seen.notes, seen.problem), (read.notes, None));
    }
}

fn unwrapped(prefix: &str) -> String {
    official::unwrapped(prefix)
}

#[test]
fn words_choose_and_wrong_words_are_answered() {
    let (student, teacher) = pair();
    let bytes = pth(&both(&student, "student_backbone.", &teacher, "teacher_backbone."), Some("state_dict"));
    let part = |name| {
        from_bytes_as(
            "last.ckpt",
            &bytes,
            WeightsLoadOptions { part: Some(name), ..WeightsLoadOptions::default() },
        )
    };
    for name in ["student", "student_backbone", "state_dict.student_backbone", "Student"] {
        assert!(part(name).unwrap().backbone == student, "{name}");
    }
    assert!(part("teacher").unwrap().backbone == teacher);
    let error = part("ema").unwrap_err().to_string();
    assert!(
        error.contains("last.ckpt") && error.contains("ema") && error.contains("teacher_backbone"),
        "{error}"
    );
    let error = part("backbone").unwrap_err().to_string();
    assert!(error.contains("several") && error.contains("student_backbone"), "{error}");
    let alone = pth(&student, None);
    let error = from_bytes_as(
        "one.pth",
        &alone,
        WeightsLoadOptions { part: Some("teacher"), ..WeightsLoadOptions::default() },
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("one backbone"), "{error}");
    let teachers = pth(&student, Some("teacher"));
    assert!(
        from_bytes_as(
            "t.pth",
            &teachers,
            WeightsLoadOptions { part: Some("teacher"), ..WeightsLoadOptions::default() }
        )
        .unwrap()
        .backbone
            == student
    );
}

#[test]
fn counts_and_heads_beside_an_average_do_not_refuse_it() {
    let (student, _) = pair();
    let mut state = renamed(&student, |key| format!("module.{key}"));
    state.insert("n_averaged".into(), HostTensor::new([], vec![7.0]));
    state.insert("module.fc.weight".into(), HostTensor::new([2, 32], vec![0.0; 64]));
    state.insert("module.mlp_head.0.weight".into(), HostTensor::new([2, 5], vec![0.0; 10]));
    state.insert("module.projection_head.layers.0.bias".into(), HostTensor::new([3], vec![0.0; 3]));
    state.insert("module.decoder_pos_embed".into(), HostTensor::new([1, 3, 3], vec![0.0; 9]));
    let read = from_bytes("swa.pt", &pth(&state, None)).unwrap();
    assert!(read.backbone == student);
    assert!(
        read.notes.iter().any(|note| note.contains("classifier or loss entries were not read: 5")),
        "{:?}",
        read.notes
    );
    // What the forward pass would need is no head.
    for name in
        ["norm_pre.weight", "fc_norm.weight", "blocks.0.attn.q_norm.weight", "patch_embed.norm.weight"]
    {
        let mut state = student.clone();
        state.insert(name.into(), HostTensor::new([32], vec![1.0; 32]));
        let error = from_bytes("x.pt", &pth(&state, None)).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn an_optimizer_that_names_its_averages_like_weights_is_not_read() {
    let (student, _) = pair();
    let moments = renamed(&student, |key| format!("optimizer.exp_avg.{key}"));
    let mut state = renamed(&student, |key| format!("model.{key}"));
    state.extend(moments.into_iter().map(|(key, mut tensor)| {
        tensor.data.fill(0.0);
        (key, tensor)
    }));
    assert!(from_bytes("x.pt", &pth(&state, None)).unwrap().backbone == student);
}
