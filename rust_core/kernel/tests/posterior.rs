//! The posterior after a long stream: incremental updates against the sums.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy knows tests by #[test], not their support")]

mod support;

use pilotfish_kernel::{Happened, Model, Scratch};
use support::close;

/// A small linear congruential stream in [0, 1): the tests need variety, not randomness.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn stream_of(model: &Model, n: usize) {
    let (mut stream, mut scratch) = (Stream(7), Scratch::default());
    let (d, k) = (model.n_context(), model.n_shared());
    for t in 0..n {
        let mut x: Vec<f64> = (0..d).map(|_| 2.0 * stream.next() - 1.0).collect();
        let mut z: Vec<f64> = (0..k).map(|_| 2.0 * stream.next() - 1.0).collect();
        (x[0], z[0], x[1 + t % (d - 1)]) = (1.0, 1.0, 0.0);
        model
            .learn_encoded(&x, Some(&z), support::MODULES[t % 5], Happened::now(t % 2, stream.next()), &mut scratch)
            .unwrap();
    }
}

#[test]
fn a_hundred_thousand_updates_equal_the_rebuild_from_the_sums() {
    let model = Model::new(support::spec().as_bytes()).unwrap();
    stream_of(&model, 100_000);
    let incremental = Model::from_state(&model.state().unwrap(), support::spec().as_bytes()).unwrap();
    model.rebuild().unwrap();
    close(&incremental, &model, 1e-9);
}

#[test]
fn signals_learned_together_or_one_after_the_other_have_the_same_bits() {
    let (together, apart) = (Model::new(support::spec().as_bytes()), Model::new(support::spec().as_bytes()));
    let (together, apart) = (together.unwrap(), apart.unwrap());
    let mut scratch = Scratch::default();
    let outcome = |t: usize, signal: usize| {
        let x: Vec<f64> = (0..together.n_context()).map(|i| ((i * t) % 7) as f64 - 3.0).collect();
        let z: Vec<f64> = (0..together.n_shared()).map(|i| ((i + t) % 5) as f64 - 2.0).collect();
        (x, z, support::MODULES[t % 3], ((t + signal) % 4) as f64 / 3.0)
    };
    for t in 0..50 {
        for signal in 0..2 {
            let (x, z, module, utility) = outcome(t, signal);
            together.learn_encoded(&x, Some(&z), module, Happened::now(signal, utility), &mut scratch).unwrap();
        }
    }
    for signal in 0..2 {
        for t in 0..50 {
            let (x, z, module, utility) = outcome(t, signal);
            apart.learn_encoded(&x, Some(&z), module, Happened::now(signal, utility), &mut scratch).unwrap();
        }
    }
    assert!(together.state().unwrap() == apart.state().unwrap());
    assert_eq!(together.arrays(), apart.arrays());
}

#[test]
fn the_largest_vectors_leave_a_model_that_can_be_rebuilt() {
    let model = Model::new(support::spec().as_bytes()).unwrap();
    let mut scratch = Scratch::default();
    for t in 0..200_usize {
        let x: Vec<f64> = (0..model.n_context()).map(|i| if (i + t) % 3 == 0 { 1000.0 } else { -999.0 }).collect();
        let z: Vec<f64> = (0..model.n_shared()).map(|i| if (i + t) % 2 == 0 { 1000.0 } else { -1000.0 }).collect();
        model.learn_encoded(&x, Some(&z), "a", Happened::now(0, (t % 2) as f64), &mut scratch).unwrap();
        model.decide_encoded(&[0; 16], &x, None, &["a", "b"], &[1.0, 0.0], &mut scratch).unwrap();
        assert!(scratch.scores().iter().chain(scratch.uncertainties()).all(|v| v.is_finite()));
    }
    Model::from_state(&model.state().unwrap(), support::spec().as_bytes()).unwrap();
}

#[test]
fn a_decision_sees_learning_only_in_signals_with_weight() {
    let model = Model::new(support::spec().as_bytes()).unwrap();
    let mut scratch = Scratch::default();
    let x = vec![1.0; model.n_context()];
    let decide = |weights: [f64; 2], scratch: &mut Scratch| {
        model.decide_encoded(&[1; 16], &x, None, &["a", "b"], &weights, scratch).unwrap();
        (scratch.scores().to_vec(), scratch.uncertainties().to_vec())
    };
    let prior = decide([1.0, 1.0], &mut scratch);
    model.learn_encoded(&x, None, "a", Happened::now(1, 1.0), &mut scratch).unwrap();
    assert_eq!(decide([1.0, 0.0], &mut scratch), prior);
    assert_eq!(decide([0.0, 0.0], &mut scratch), prior);
    assert_ne!(decide([0.0, 2.0], &mut scratch), prior);
    assert_eq!(decide([1.0, 0.5], &mut scratch), decide([0.0, 2.0], &mut scratch), "weights are relative");
}

#[test]
fn decisions_go_on_while_another_thread_learns() {
    let model = Model::new(support::spec().as_bytes()).unwrap();
    let x = vec![0.5; model.n_context()];
    std::thread::scope(|threads| {
        threads.spawn(|| stream_of(&model, 2_000));
        threads.spawn(|| {
            let mut scratch = Scratch::default();
            for id in 0..2_000_u128 {
                let seed = id.to_le_bytes();
                let chosen =
                    model.decide_encoded(&seed, &x, None, &support::MODULES, &[1.0, 1.0], &mut scratch).unwrap();
                assert!((scratch.pmf()[chosen.index] - chosen.propensity).abs() < f64::MIN_POSITIVE);
            }
        });
    });
    assert_eq!(model.learned_count(), 2_000);
}

#[test]
fn a_name_that_comes_twice_is_refused_whether_it_is_known_or_not() {
    let model = Model::new(support::spec().as_bytes()).unwrap();
    let (x, mut scratch) = (vec![0.5; model.n_context()], Scratch::default());
    // More names than the bits of one word.
    let names: Vec<String> = (0..130).map(|i| format!("module {i}")).collect();
    for name in &names {
        let learned = model.learn_encoded(&x, None, name, Happened::now(0, 0.5), &mut scratch);
        assert!(learned.is_ok());
    }
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut decide = |modules: &[&str]| {
        let chosen = model.decide_encoded(&[0; 16], &x, None, modules, &[1.0, 1.0], &mut scratch);
        chosen.map_or_else(|error| error.to_string(), |_| "taken".to_owned())
    };
    for twice in [known[0], known[64], known[129], "new"] {
        let refusal = format!("modules[3].name == {twice}, must be in the list once");
        assert_eq!(decide(&[known[1], twice, "other", twice]), refusal);
        assert_eq!(decide(&[known[1], twice, "other"]), "taken", "a refusal leaves nothing behind");
    }
    assert_eq!(decide(&known), "taken");
}

#[test]
fn requests_that_break_a_rule_are_refused_by_name() {
    let model = Model::new(support::spec().as_bytes()).unwrap();
    let x = vec![0.0; model.n_context()];
    let decide = |seed: &[u8], x: &[f64], modules: &[&str], weights: &[f64]| {
        model.decide_encoded(seed, x, None, modules, weights, &mut Scratch::default()).unwrap_err().to_string()
    };
    let seed = [0; 16];
    assert_eq!(decide(&seed, &x, &[], &[1.0, 1.0]), "len(modules) == 0, must be in [1, 1000]");
    assert_eq!(decide(&seed, &x, &["a"; 1001], &[1.0, 1.0]), "len(modules) == 1001, must be in [1, 1000]");
    assert_eq!(decide(&seed, &x, &["a", "b", "a"], &[1.0, 1.0]), "modules[2].name == a, must be in the list once");
    assert_eq!(decide(&seed, &x, &["a", ""], &[1.0, 1.0]), "modules[1].name == \"\", must be a text that is not empty");
    assert_eq!(decide(&seed, &x, &["a"], &[1.0]), "len(weights) == 1, must be 2, one per signal");
    assert_eq!(decide(&seed, &x, &["a"], &[1.0, -1.0]), "weights == -1, must be in [0, 1e9]");
    assert_eq!(decide(&seed[..3], &x, &["a"], &[1.0, 1.0]), "seed == 3 bytes, must be 16 bytes");
    assert_eq!(decide(&seed, &x[1..], &["a"], &[1.0, 1.0]), "len(context) == 14, must be 15");
    let mut far = x.clone();
    far[3] = 1e4;
    assert_eq!(decide(&seed, &far, &["a"], &[1.0, 1.0]), "context[3] == 10000, must be finite and within ±1000");
    let learn =
        |happened| model.learn_encoded(&x, None, "a", happened, &mut Scratch::default()).unwrap_err().to_string();
    assert_eq!(learn(Happened::now(2, 0.5)), "signal == 2, must be below 2, the number of signals");
    assert_eq!(learn(Happened::now(0, f64::NAN)), "utility == NaN, must be in [0, 1]");
}
