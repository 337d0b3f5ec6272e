//! Contributions add up to the score, whatever the spec, the inputs and what has been learned.

#![allow(clippy::float_cmp, reason = "zeros and equal bits are promised")]
#![allow(clippy::unwrap_used, reason = "clippy knows tests by #[test], not their support")]

mod support;

use pilotfish_kernel::encoders::{Item, Module as Candidate, Task, Value};
use pilotfish_kernel::{Happened, Model, Scratch};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed};
use support::{MODULES, Outcome, outcomes, spec};

const SEED: [u8; 16] = [7; 16];
const WEIGHTS: [f64; 2] = [1.0, 0.5];

/// Encoders that leave out or narrow every block in turn.
fn encoders() -> impl Strategy<Value = String> {
    let dims = (select(vec![0, 1, 6]), select(vec![0, 1, 4]), select(vec![0, 16]), select(vec![1, 2, 7, 24]));
    (dims, select(vec!["0.0", "0.7"]), any::<bool>()).prop_map(|((hashed, text, random, shared), scale, task)| {
        let mut spec: serde_json::Value = serde_json::from_str(&support::spec()).unwrap();
        let encoder = &mut spec["encoder"];
        encoder["hashed_dims"] = hashed.into();
        encoder["text_dims"] = text.into();
        encoder["random_dims"] = random.into();
        encoder["shared_dims"] = shared.into();
        encoder["shared_task"] = task.into();
        encoder["declared_scale"] = serde_json::from_str(scale).unwrap();
        spec.to_string()
    })
}

fn learned(spec: &str, seen: &[Outcome]) -> Model {
    let model = Model::new(spec.as_bytes()).unwrap();
    for outcome in seen {
        outcome.learn(&model);
    }
    model
}

fn score(model: &Model, task: &Task<'_>, module: &Candidate<'_>, weights: &[f64]) -> f64 {
    let mut scratch = Scratch::default();
    model.decide(&SEED, task, std::slice::from_ref(module), weights, &mut scratch).unwrap();
    scratch.scores()[0]
}

fn split(model: &Model, task: &Task<'_>, module: &Candidate<'_>, weights: &[f64]) -> Vec<(String, f64)> {
    model.contributions(task, module, weights, &mut Scratch::default()).unwrap()
}

fn sum(parts: &[(String, f64)]) -> f64 {
    parts.iter().map(|(_, value)| value).sum()
}

fn value(parts: &[(String, f64)], name: &str) -> f64 {
    parts.iter().find(|(part, _)| part == name).unwrap().1
}

fn config() -> Config {
    Config { cases: 200, rng_seed: RngSeed::Fixed(20_261_123), failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn contributions_sum_to_the_score(
        spec in encoders(),
        seen in outcomes(40),
        weights in [prop_oneof![Just(0.0), 0.01..3.0], prop_oneof![Just(0.0), 0.01..3.0]],
    ) {
        let model = learned(&spec, &seen);
        for outcome in &seen {
            outcome.with_inputs(|task, module| {
                let parts = split(&model, task, module, &weights);
                let score = score(&model, task, module, &weights);
                assert!((sum(&parts) - score).abs() < 1e-9, "{parts:?} against {score}");
            });
        }
    }

    #[test]
    fn they_are_sorted_and_each_part_is_there_once(spec in encoders(), seen in outcomes(10)) {
        let model = learned(&spec, &seen);
        seen[0].with_inputs(|task, module| {
            let parts = split(&model, task, module, &WEIGHTS);
            for (index, (name, value)) in parts.iter().enumerate() {
                let before = index.checked_sub(1).map(|before| &parts[before]);
                assert!(before.is_none_or(|(other, than)| than.abs() > value.abs() || (than.abs() == value.abs() && other < name)));
                assert_eq!(parts.iter().filter(|(other, _)| other == name).count(), 1);
            }
        });
    }

    #[test]
    fn the_name_of_the_module_and_the_order_of_the_input_change_no_bit(spec in encoders(), seen in outcomes(20)) {
        let (model, twin) = (learned(&spec, &seen), Model::new(spec.as_bytes()).unwrap());
        for outcome in &seen {
            let happened = Happened { signal: outcome.signal, utility: outcome.utility, weight: outcome.weight };
            outcome.with_inputs(|task, module| {
                let renamed = format!("renamed {}", module.name);
                let module = Candidate { name: &renamed, ..*module };
                twin.learn(task, &module, happened, &mut Scratch::default()).unwrap();
            });
        }
        seen[0].with_inputs(|task, module| {
            let renamed = format!("renamed {}", module.name);
            let items: Vec<Item<'_>> = task.items.iter().rev().copied().collect();
            let tags = ["pdf", "pdf"];
            let other = Candidate { name: &renamed, items: module.items, capabilities: &tags };
            let parts = split(&model, task, module, &WEIGHTS);
            assert_eq!(parts, split(&twin, &Task { items: &items, text: task.text }, &other, &WEIGHTS));
        });
    }

    #[test]
    fn a_feature_of_value_zero_has_no_part_in_it(spec in encoders(), seen in outcomes(20)) {
        let model = learned(&spec, &seen);
        seen[0].with_inputs(|task, module| {
            let mut items = task.items.to_vec();
            items.push(Item { name: "idle", value: Value::Number(0.0) });
            let parts = split(&model, &Task { items: &items, text: task.text }, module, &WEIGHTS);
            assert!(parts.iter().any(|(name, _)| name == "feature:idle"));
            assert!(parts.iter().all(|(name, value)| !name.contains("idle") || *value == 0.0));
        });
    }

    #[test]
    fn without_crosses_a_contribution_is_what_its_feature_changes(seen in outcomes(30)) {
        let spec = spec().replace(r#""shared_dims": 7"#, r#""shared_dims": 1"#);
        let model = learned(&spec, &seen);
        seen[0].with_inputs(|task, module| {
            let parts = split(&model, task, module, &WEIGHTS);
            let without: Vec<Item<'_>> = task.items.iter().filter(|item| item.name != "urgent").copied().collect();
            let without = Task { items: &without, text: task.text };
            let change = score(&model, task, module, &WEIGHTS) - score(&model, &without, module, &WEIGHTS);
            assert!((value(&parts, "feature:urgent") - change).abs() < 1e-9);
        });
    }
}

#[test]
fn before_anything_is_learned_every_part_is_zero() {
    let model = Model::new(spec().as_bytes()).unwrap();
    let module = Candidate { name: MODULES[0], ..Candidate::default() };
    let parts = split(&model, &Task { items: &[], text: "two words" }, &module, &WEIGHTS);
    let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["bias", "feature:size", "feature:type", "shared:bias", "text:two", "text:words"]);
    assert!(parts.iter().all(|(_, value)| *value == 0.0 && value.is_sign_positive()));
}

#[test]
fn what_the_limit_of_a_slot_cuts_off_has_a_part_of_its_own() {
    let spec = spec().replace(r#""hashed_dims": 6"#, r#""hashed_dims": 1"#);
    let model = Model::new(spec.as_bytes()).unwrap();
    let module = Candidate { name: MODULES[0], ..Candidate::default() };
    let small = [Item { name: "v", value: Value::Vector(&[1.0, 2.0]) }];
    for utility in [0.1, 0.9] {
        let happened = Happened::now(0, utility);
        model.learn(&Task { items: &small, text: "" }, &module, happened, &mut Scratch::default()).unwrap();
    }
    // Of one sign, or they would cancel.
    let values: Vec<f64> = (0..400)
        .map(|i| {
            let alone =
                [Item { name: "v", value: Value::Vector(&vec![0.0; i].into_iter().chain([1.0]).collect::<Vec<_>>()) }];
            let x = model.encode_task(&Task { items: &alone, text: "" }, &mut Scratch::default()).unwrap();
            if x[5] > 0.0 { 1e9 } else { 0.0 }
        })
        .collect();
    let items = [Item { name: "v", value: Value::Vector(&values) }];
    let task = Task { items: &items, text: "" };
    let parts = split(&model, &task, &module, &WEIGHTS);
    assert!(value(&parts, "clipped").abs() > 0.0);
    assert!((sum(&parts) - score(&model, &task, &module, &WEIGHTS)).abs() < 1e-9);
}

#[test]
fn refusals_name_value_and_rule() {
    let model = Model::new(spec().as_bytes()).unwrap();
    let refused = |items: &[Item<'_>], name, weights: &[f64]| {
        let module = Candidate { name, ..Candidate::default() };
        let task = Task { items, text: "" };
        model.contributions(&task, &module, weights, &mut Scratch::default()).unwrap_err().to_string()
    };
    let infinite = [Item { name: "size", value: Value::Number(f64::INFINITY) }];
    assert_eq!(refused(&[], "", &WEIGHTS), "module.name == \"\", must be a text that is not empty");
    assert_eq!(refused(&infinite, "a", &WEIGHTS), "size == inf, must be finite");
    assert_eq!(refused(&[], "a", &[1.0]), "len(weights) == 1, must be 2, one per signal");
    assert_eq!(refused(&[], "a", &[1.0, -1.0]), "weights == -1, must be in [0, 1e9]");
}
