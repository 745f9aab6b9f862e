//! What a run begins with is taken over, put away, and in the way until it is there.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;

fn heard(begin: &mut RunInitState, draft: &mut RecipeDraft) {
    let began = std::time::Instant::now();
    while begin.busy() {
        assert!(began.elapsed().as_secs() < 60, "no answer");
        begin.listen(draft);
        std::thread::yield_now();
    }
}

fn nano() -> RecipeDraft {
    RecipeDraft::preset("nano").unwrap()
}

#[test]
fn what_a_window_begins_with_learns_from_the_starter_and_nothing_is_one_choice_away() {
    let (mut begin, mut draft) = (RunInitState::default(), RecipeDraft::default());
    begin.listen(&mut draft);
    assert_eq!((begin.way, begin.named.as_str()), (RunInitKind::Teacher, "starter"));
    assert_eq!((draft.preset_name(), way_on(&begin, &draft).as_str()), ("demo", "free"));
    draft.set("data.path", "photos");
    begin.choose(RunInitKind::Nothing, &mut draft);
    // Its few steps would teach nothing without a teacher.
    assert_eq!((draft.preset_name(), draft.text("data.path").as_str()), ("nano", "photos"));
    assert!(!draft.recipe().unwrap().distill.is_on() && way_on(&begin, &draft) == "free");
}

#[test]
fn a_teacher_is_taken_over_follows_the_preset_and_is_put_away() {
    let wake: Wake = Arc::new(|| ());
    let (mut begin, mut draft) = (RunInitState::default(), nano());
    let nano = draft.recipe().unwrap().clone();
    begin.choose(RunInitKind::Teacher, &mut draft);
    begin.named = "starter".to_owned();
    begin.apply(&mut draft, &wake);
    heard(&mut begin, &mut draft);
    // The starter weights come without heads.
    assert!(begin.said().unwrap().unwrap().contains("how similar"), "{:?}", begin.said());
    let recipe = draft.recipe().unwrap().clone();
    assert_eq!((recipe.distill.method, recipe.crops.locals), (DistillMethod::Similarity, 0));

    draft.choose_preset("tiny");
    begin.preset_chosen(&mut draft, &wake);
    heard(&mut begin, &mut draft);
    let recipe = draft.recipe().unwrap().clone();
    assert_eq!((recipe.preset.as_str(), recipe.distill.method), ("tiny", DistillMethod::Similarity));

    draft.choose_preset("nano");
    begin.preset_chosen(&mut draft, &wake);
    heard(&mut begin, &mut draft);
    begin.choose(RunInitKind::Nothing, &mut draft);
    assert_eq!(**draft.recipe().unwrap(), *nano);
}

#[test]
fn what_can_not_be_opened_says_why_and_changes_nothing() {
    let wake: Wake = Arc::new(|| ());
    let (mut begin, mut draft) = (RunInitState::default(), nano());
    let before = draft.recipe().unwrap().clone();
    for way in [RunInitKind::Weights, RunInitKind::Teacher, RunInitKind::Run] {
        begin.choose(way, &mut draft);
        begin.named = "/no/such/place".to_owned();
        begin.apply(&mut draft, &wake);
        heard(&mut begin, &mut draft);
        assert!(begin.said().unwrap().unwrap_err().contains("/no/such/place"), "{:?}", begin.said());
        assert_eq!(draft.recipe().unwrap(), &before);
    }
}

#[test]
fn a_recipe_from_elsewhere_shows_how_it_begins() {
    let (mut begin, mut draft) = (RunInitState::default(), nano());
    draft.set("start.weights", "starter");
    begin.listen(&mut draft);
    assert_eq!((begin.way, begin.named.as_str()), (RunInitKind::Weights, "starter"));
    draft.put_back("start.weights");
    begin.listen(&mut draft);
    assert_eq!(begin.way, RunInitKind::Nothing);
}

/// What stands where, while a person chooses.
fn way_on(begin: &RunInitState, draft: &RecipeDraft) -> String {
    match begin.start_blocker(draft.recipe().unwrap()) {
        None => "free".to_owned(),
        Some(StartBlocker::Missing(text)) => text,
        Some(StartBlocker::Wrong(text)) => format!("wrong: {text}"),
    }
}

#[test]
fn no_run_begins_otherwise_than_was_chosen() {
    let wake: Wake = Arc::new(|| ());
    let (mut begin, mut draft) = (RunInitState::default(), nano());
    assert_eq!(way_on(&begin, &draft), "free");
    let ways = [
        (RunInitKind::Weights, "Choose the weights."),
        (RunInitKind::Teacher, "Choose a teacher."),
        (RunInitKind::Run, "Choose a run."),
    ];
    for (way, missing) in ways {
        begin.choose(way, &mut draft);
        begin.listen(&mut draft);
        assert_eq!(way_on(&begin, &draft), missing);
        begin.named = "  ".to_owned();
        begin.apply(&mut draft, &wake);
        assert_eq!(way_on(&begin, &draft), missing);
        begin.named = "/no/such/place".to_owned();
        assert_eq!(way_on(&begin, &draft), "Press Enter to open /no/such/place.");
        begin.apply(&mut draft, &wake);
        heard(&mut begin, &mut draft);
        let said = way_on(&begin, &draft);
        assert!(said.starts_with("wrong: ") && said.contains("/no/such/place"), "{said}");
        // Another field changes: what is wrong stays wrong.
        draft.set("train.batch", if draft.text("train.batch") == "4" { "5" } else { "4" });
        begin.listen(&mut draft);
        assert!(way_on(&begin, &draft).starts_with("wrong: "));
    }
    begin.choose(RunInitKind::Nothing, &mut draft);
    assert_eq!(way_on(&begin, &draft), "free");
}

#[test]
fn a_teacher_among_the_fields_from_which_nothing_is_learned_is_told() {
    let (mut begin, mut draft) = (RunInitState::default(), nano());
    draft.set("distill.teacher", "starter");
    begin.listen(&mut draft);
    assert!(way_on(&begin, &draft).starts_with("wrong: a teacher is named"));
    draft.put_back("distill.teacher");
    assert_eq!(way_on(&begin, &draft), "free");
}

#[test]
fn what_was_chosen_before_is_not_begun_with_once_something_else_is() {
    let wake: Wake = Arc::new(|| ());
    let (mut begin, mut draft) = (RunInitState::default(), nano());
    begin.choose(RunInitKind::Teacher, &mut draft);
    begin.named = "starter".to_owned();
    begin.apply(&mut draft, &wake);
    assert_eq!(way_on(&begin, &draft), "Opening starter …");
    heard(&mut begin, &mut draft);
    assert_eq!(way_on(&begin, &draft), "free");
    // Emptied again.
    begin.named.clear();
    assert_eq!(way_on(&begin, &draft), "Choose a teacher.");
    begin.apply(&mut draft, &wake);
    begin.listen(&mut draft);
    assert_eq!((begin.way, way_on(&begin, &draft).as_str()), (RunInitKind::Teacher, "Choose a teacher."));
    assert!(!draft.recipe().unwrap().distill.is_on(), "the recipe is plain again");
    // Another way.
    begin.named = "starter".to_owned();
    begin.apply(&mut draft, &wake);
    heard(&mut begin, &mut draft);
    begin.choose(RunInitKind::Weights, &mut draft);
    begin.listen(&mut draft);
    assert_eq!((begin.way, way_on(&begin, &draft).as_str()), (RunInitKind::Weights, "Choose the weights."));
    assert!(!draft.recipe().unwrap().distill.is_on());
}
