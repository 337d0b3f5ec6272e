//! Laws that hold for all inputs, by proptest with a fixed seed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy knows tests by #[test], not their support")]

mod support;

use pilotfish_kernel::encoders::{Item, Module as Candidate, Task, Value};
use pilotfish_kernel::explorers::{DEFAULTS, Explorer, ExplorerScratch, Observed};
use pilotfish_kernel::{Fields, Model, Scratch, pmf};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use support::{Outcome, close, learn_all, outcomes, spec};

fn config(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(20_261_123), failure_persistence: None, ..Config::default() }
}

/// Settings that take another way through their rule than the default does.
const VARIANTS: [&str; 4] = [
    r#"{"kind":"inverse_gap","gamma":10.0,"floor":0.0}"#,
    r#"{"kind":"soft_ucb","scale":0.5,"softness":2.0,"floor":0.0}"#,
    r#"{"kind":"thompson","scale":0.0,"floor":0.0}"#,
    r#"{"kind":"information_ratio","scale":1.0,"floor":0.0}"#,
];

fn explorers() -> Vec<Explorer> {
    let read = |json: &str| Explorer::from_fields(Fields::parse("explorer", json.as_bytes()).unwrap()).unwrap();
    DEFAULTS.iter().map(|(_, json)| *json).chain(VARIANTS).map(read).collect()
}

fn probabilities(explorer: &Explorer, scores: &[f64], uncertainties: &[f64]) -> Vec<f64> {
    let mut pmf = Vec::new();
    explorer.pmf(scores, uncertainties, Observed::alike(0.0), &mut ExplorerScratch::default(), &mut pmf).unwrap();
    pmf
}

/// Scores and uncertainties, among them ties, zeros and widths of very different size.
fn scored() -> impl Strategy<Value = Vec<(f64, f64)>> {
    let score = prop_oneof![4 => -1.0..1.0, 1 => Just(0.5), 1 => -1e6..1e6];
    let uncertainty = prop_oneof![4 => 0.0..0.5, 1 => Just(0.0), 1 => 1e-9..1e-3, 1 => 0.0..1e6];
    prop::collection::vec((score, uncertainty), 1..40)
}

#[test]
fn who_looks_at_scores_alone_does_without_uncertainties() {
    let free: Vec<&str> = explorers().iter().filter(|e| !e.needs_uncertainties()).map(Explorer::name).collect();
    assert_eq!(free, ["uniform", "epsilon_greedy", "greedy", "softmax", "inverse_gap"]);
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn probabilities_sum_to_one_and_keep_the_floor(scored in scored()) {
        let (scores, uncertainties): (Vec<f64>, Vec<f64>) = scored.into_iter().unzip();
        for explorer in explorers() {
            let pmf = probabilities(&explorer, &scores, &uncertainties);
            let floor = explorer.floor / scores.len() as f64;
            prop_assert!((pmf.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!(pmf.iter().all(|p| *p >= floor && *p <= 1.0 + 1e-15));
        }
    }

    #[test]
    fn relabelling_actions_relabels_probabilities(scored in scored(), shift in 1_usize..40) {
        let mut moved = scored.clone();
        moved.rotate_left(shift % scored.len());
        let (scores, uncertainties): (Vec<f64>, Vec<f64>) = scored.into_iter().unzip();
        let (moved_scores, moved_uncertainties): (Vec<f64>, Vec<f64>) = moved.into_iter().unzip();
        for explorer in explorers() {
            let mut pmf = probabilities(&explorer, &scores, &uncertainties);
            pmf.rotate_left(shift % scores.len());
            for (a, b) in pmf.iter().zip(probabilities(&explorer, &moved_scores, &moved_uncertainties)) {
                prop_assert!((a - b).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn shifting_the_scores_changes_nothing(
        // Whole numbers over 2¹⁶, so that shifted gaps are the same to the bit.
        scored in prop::collection::vec((-65_536..65_536_i32, 0.01..0.5_f64), 1..40),
        shift in -64..64_i32,
    ) {
        let scores: Vec<f64> = scored.iter().map(|(score, _)| f64::from(*score) / 65_536.0).collect();
        let shifted: Vec<f64> = scores.iter().map(|score| score + f64::from(shift)).collect();
        let uncertainties: Vec<f64> = scored.iter().map(|(_, uncertainty)| *uncertainty).collect();
        for explorer in explorers() {
            let pmf = probabilities(&explorer, &scores, &uncertainties);
            for (a, b) in pmf.iter().zip(probabilities(&explorer, &shifted, &uncertainties)) {
                prop_assert!((a - b).abs() < 1e-9, "{}: {a} against {b}", explorer.name());
            }
        }
    }

    #[test]
    fn a_policy_that_does_not_explore_gives_everything_to_the_best(scored in scored()) {
        let (scores, uncertainties): (Vec<f64>, Vec<f64>) = scored.into_iter().unzip();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for explorer in explorers().iter().filter(|explorer| !explorer.explores()) {
            for (p, score) in probabilities(explorer, &scores, &uncertainties).iter().zip(&scores) {
                prop_assert!((*p > 0.0) == (*score >= best));
            }
        }
    }

    #[test]
    fn a_sampled_action_has_positive_probability(scored in scored(), seed in any::<[u8; 16]>()) {
        let (scores, uncertainties): (Vec<f64>, Vec<f64>) = scored.into_iter().unzip();
        for explorer in explorers() {
            let pmf = probabilities(&explorer, &scores, &uncertainties);
            prop_assert!(pmf[pmf::sample(&pmf, &seed).unwrap()] > 0.0);
        }
    }

    #[test]
    fn who_does_without_uncertainties_gives_the_same_bits_without_them_and_others_refuse(scored in scored()) {
        let (scores, uncertainties): (Vec<f64>, Vec<f64>) = scored.into_iter().unzip();
        for explorer in explorers() {
            let (mut scratch, mut pmf) = (ExplorerScratch::default(), Vec::new());
            let given = explorer.pmf(&scores, &[], Observed::alike(0.0), &mut scratch, &mut pmf);
            if explorer.needs_uncertainties() {
                let rule = format!("len(uncertainties) == 0, must be {}, one per score", scores.len());
                prop_assert_eq!(given.unwrap_err().to_string(), rule);
            } else {
                prop_assert_eq!(given.map(|()| pmf), Ok(probabilities(&explorer, &scores, &uncertainties)));
            }
        }
    }

    #[test]
    fn a_better_score_is_not_less_likely_at_equal_uncertainty(scores in prop::collection::vec(-1.0..1.0_f64, 2..20)) {
        for explorer in explorers() {
            let pmf = probabilities(&explorer, &scores, &vec![0.2; scores.len()]);
            for (score, p) in scores.iter().zip(&pmf) {
                for (other, q) in scores.iter().zip(&pmf) {
                    prop_assert!(score <= other || *p >= q - 1e-9);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn the_order_of_outcomes_does_not_matter(seen in outcomes(60), shift in 0_usize..60) {
        let mut moved = seen.clone();
        moved.rotate_left(shift % seen.len());
        moved.reverse();
        close(&learn_all(&seen), &learn_all(&moved), 1e-9);
    }

    #[test]
    fn merged_models_equal_one_that_learned_everything(seen in outcomes(60), cut in 0_usize..60) {
        let (left, right) = seen.split_at(cut % seen.len());
        let (left, right) = (learn_all(left), learn_all(right));
        let merged = left.merge(&right).unwrap();
        close(&merged, &learn_all(&seen), 1e-9);
        prop_assert_eq!(merged.state().unwrap(), right.merge(&left).unwrap().state().unwrap());
    }

    #[test]
    fn a_restored_model_decides_and_learns_like_the_original(seen in outcomes(40), more in outcomes(10)) {
        let original = learn_all(&seen);
        let state = original.state().unwrap();
        let restored = Model::from_state(&state, spec().as_bytes()).unwrap();
        prop_assert_eq!(&restored.state().unwrap(), &state);
        for outcome in &more {
            outcome.learn(&original);
            outcome.learn(&restored);
        }
        prop_assert_eq!(restored.state().unwrap(), original.state().unwrap());
    }

    #[test]
    fn a_refused_outcome_changes_nothing(seen in outcomes(10), bad in prop_oneof![Just(f64::NAN), Just(-0.1), 1.1..1e9]) {
        let model = learn_all(&seen);
        let before = model.state().unwrap();
        let outcome = Outcome { utility: bad, ..seen[0].clone() };
        prop_assert!(outcome.try_learn(&model).is_err());
        prop_assert_eq!(model.state().unwrap(), before);
    }

    #[test]
    fn relabelling_modules_relabels_the_decision(seen in outcomes(40), seed in any::<[u8; 16]>(), shift in 0_usize..5) {
        let model = learn_all(&seen);
        let mut modules: Vec<Candidate> =
            support::MODULES.map(|name| Candidate { name, ..Candidate::default() }).to_vec();
        let task = Task { items: &[Item { name: "size", value: Value::Number(0.3) }], text: "some words" };
        let (mut one, mut other) = (Scratch::default(), Scratch::default());
        model.decide(&seed, &task, &modules, &[1.0, 0.5], &mut one).unwrap();
        modules.rotate_left(shift);
        model.decide(&seed, &task, &modules, &[1.0, 0.5], &mut other).unwrap();
        let mut expected = one.scores().to_vec();
        expected.rotate_left(shift);
        prop_assert_eq!(other.scores(), expected);
    }
}
