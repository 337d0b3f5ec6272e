//! A model trained on a history against one that has learned its rows one by one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy knows tests by #[test], not their support")]

mod support;

use pilotfish_kernel::encoders::{Item, Module as Candidate, Task, Value};
use pilotfish_kernel::{Happened, History, Model, Scratch};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use support::{Outcome, close, learn_all, outcomes, spec};

fn config(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(20_261_124), failure_persistence: None, ..Config::default() }
}

/// With random features of a declared block that is scaled.
fn wide_spec() -> String {
    spec()
        .replace("\"random_dims\": 0", "\"random_dims\": 9")
        .replace("\"declared_scale\": 1.0", "\"declared_scale\": 0.3")
}

fn history_of(seen: &[Outcome]) -> History {
    let mut history = History::default();
    for outcome in seen {
        outcome.append(&mut history);
    }
    history
}

fn trained(history: &History) -> Model {
    Model::trained(spec().as_bytes(), history).unwrap()
}

fn learned_rows(spec: &str, seen: &[Outcome], values: &dyn Fn(usize) -> Vec<(usize, f64)>) -> (Model, Model) {
    let (one_by_one, mut history) = (Model::new(spec.as_bytes()).unwrap(), History::default());
    for (row, outcome) in seen.iter().enumerate() {
        outcome.with_inputs(|task, module| {
            for (signal, utility) in values(row) {
                let happened = Happened { signal, utility, weight: outcome.weight };
                one_by_one.learn(task, module, happened, &mut Scratch::default()).unwrap();
            }
            history.push(task, module, &values(row), outcome.weight);
        });
    }
    (one_by_one, Model::trained(spec.as_bytes(), &history).unwrap())
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn training_equals_learning_one_by_one(seen in outcomes(60)) {
        let (one_by_one, at_once) = (learn_all(&seen), trained(&history_of(&seen)));
        close(&at_once, &one_by_one, 1e-9);
        prop_assert_eq!(at_once.learned_count(), one_by_one.learned_count());
        prop_assert!((at_once.evidence() - one_by_one.evidence()).abs() < 1e-9 * one_by_one.evidence().abs().max(1.0));
    }

    #[test]
    fn rows_of_several_signals_equal_learning_them_one_by_one(seen in outcomes(40), mask in 0_usize..16) {
        // Of each row none, one, the other or both signals have values; or one has two, as if a row came twice.
        let values = |row: usize| match (row * 7 + mask) % 5 {
            0 => vec![],
            1 => vec![(0, 0.25)],
            2 => vec![(1, 0.75)],
            3 => vec![(0, 0.5), (1, 1.0)],
            _ => vec![(1, 0.125), (0, 0.5), (0, 1.0)],
        };
        let (one_by_one, at_once) = learned_rows(&wide_spec(), &seen, &values);
        close(&at_once, &one_by_one, 1e-9);
    }

    #[test]
    fn signals_that_saw_the_same_rows_share_what_was_derived(seen in outcomes(40)) {
        let (one_by_one, at_once) = learned_rows(&wide_spec(), &seen, &|row| vec![(0, 0.3), (1, (row % 4) as f64 / 3.0)]);
        close(&at_once, &one_by_one, 1e-9);
        // Written once: the state is smaller than if each signal had geometries of its own.
        let (_, apart) = learned_rows(&wide_spec(), &seen, &|row| if row == 0 { vec![(0, 0.3)] } else { vec![(0, 0.3), (1, 0.5)] });
        prop_assert!(at_once.state().unwrap().len() < apart.state().unwrap().len());
    }

    #[test]
    fn the_same_history_gives_the_same_bytes(seen in outcomes(40)) {
        let history = history_of(&seen);
        let state = trained(&history).state().unwrap();
        prop_assert!(trained(&history_of(&seen)).state().unwrap() == state);
        prop_assert!(Model::from_state(&state, spec().as_bytes()).unwrap().state().unwrap() == state);
    }

    #[test]
    fn a_trained_model_goes_on_learning_and_merging(seen in outcomes(40), more in outcomes(20)) {
        let model = trained(&history_of(&seen));
        for outcome in &more {
            outcome.learn(&model);
        }
        close(&model, &learn_all(&[seen.clone(), more.clone()].concat()), 1e-9);
        close(&trained(&history_of(&seen)).merge(&trained(&history_of(&more))).unwrap(), &model, 1e-9);
    }

    #[test]
    fn a_whole_weight_equals_as_many_observations(seen in outcomes(20), times in 1_usize..4) {
        let weighted: Vec<_> = seen.iter().map(|one| Outcome { weight: times as f64, ..one.clone() }).collect();
        let repeated: Vec<_> =
            seen.iter().flat_map(|one| vec![Outcome { weight: 1.0, ..one.clone() }; times]).collect();
        let (weighted, repeated) = (learn_all(&weighted), learn_all(&repeated));
        for ((key, ours), (_, theirs)) in weighted.arrays().iter().zip(repeated.arrays()) {
            // The number of observations is what differs.
            let counted = usize::from(key.ends_with("moments"));
            for (a, b) in ours[counted..].iter().zip(&theirs[counted..]) {
                prop_assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{key}: {a} against {b}");
            }
        }
        prop_assert!((weighted.evidence() - repeated.evidence()).abs() < 1e-8);
    }

    #[test]
    fn evidence_does_not_depend_on_order_and_survives_state_merge_and_rebuild(seen in outcomes(50), cut in 0_usize..50) {
        let model = learn_all(&seen);
        let evidence = model.evidence();
        let near = |other: &Model| (other.evidence() - evidence).abs() < 1e-8;
        let reversed: Vec<_> = seen.iter().rev().cloned().collect();
        let (left, right) = seen.split_at(cut % seen.len());
        prop_assert!(near(&learn_all(&reversed)));
        prop_assert!(near(&learn_all(left).merge(&learn_all(right)).unwrap()));
        let restored = Model::from_state(&model.state().unwrap(), spec().as_bytes()).unwrap();
        prop_assert_eq!(restored.evidence().to_bits(), evidence.to_bits());
        model.rebuild().unwrap();
        prop_assert!(near(&model));
    }
}

#[test]
fn a_history_of_nothing_gives_the_prior() {
    close(&trained(&History::default()), &learn_all(&[]), 1e-12);
    assert_eq!(trained(&History::default()).evidence().to_bits(), 0.0_f64.to_bits());
}

#[test]
fn rows_that_break_a_rule_are_refused_with_value_and_rule() {
    let refused = |features: &[Item<'_>], name: &str, values: &[(usize, f64)], weight: f64| {
        let mut history = History::default();
        let (task, module) = (Task { items: features, text: "" }, Candidate { name, ..Candidate::default() });
        history.push(&Task { items: &[], text: "" }, &module, &[(0, 0.5)], 1.0);
        history.push(&task, &module, values, weight);
        Model::trained(spec().as_bytes(), &history).unwrap_err().to_string()
    };
    let nan = [Item { name: "size", value: Value::Number(f64::NAN) }];
    assert_eq!(refused(&nan, "a", &[(0, 0.5)], 1.0), "size == NaN, must be finite");
    assert_eq!(refused(&[], "", &[(0, 0.5)], 1.0), "module.name == \"\", must be a text that is not empty");
    assert_eq!(refused(&[], "a", &[(2, 0.5)], 1.0), "signal == 2, must be below 2, the number of signals");
    assert_eq!(refused(&[], "a", &[(0, 0.5), (1, 1.5)], 1.0), "utility == 1.5, must be in [0, 1]");
    for (weight, shown) in [(0.0, "0"), (-1.0, "-1"), (1024.5, "1024.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        assert_eq!(refused(&[], "a", &[(0, 0.5)], weight), format!("weight == {shown}, must be in (0, 1024]"));
    }
}

#[test]
fn the_largest_and_the_smallest_weight_leave_a_finite_model() {
    let model = Model::new(spec().as_bytes()).unwrap();
    let x = vec![1000.0; model.n_context()];
    let learn = |weight| {
        let happened = Happened { signal: 0, utility: 1.0, weight };
        model.learn_encoded(&x, None, "a", happened, &mut Scratch::default())
    };
    for weight in [1024.0, f64::MIN_POSITIVE, 1e-9] {
        learn(weight).unwrap();
        assert!(model.arrays().iter().flat_map(|(_, values)| values).all(|v| v.is_finite()));
        Model::from_state(&model.state().unwrap(), spec().as_bytes()).unwrap();
    }
    let before = model.state().unwrap();
    for weight in [0.0, 1024.1, f64::NAN] {
        assert!(learn(weight).unwrap_err().to_string().ends_with("must be in (0, 1024]"));
    }
    assert!(model.state().unwrap() == before);
}
