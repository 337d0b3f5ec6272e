//! The confidence sequence through its public face: laws, refusals, golden vectors.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by #[test], not their support")]
#![allow(clippy::float_cmp, reason = "what restores to the bit is compared to the bit")]

use pilotfish_kernel::statistics::ConfidenceSequence;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use serde_json::Value as Json;

const B: f64 = 4.0;

fn config(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(20_261_125), failure_persistence: None, ..Config::default() }
}

fn sequence(expected: Option<f64>) -> ConfidenceSequence {
    ConfidenceSequence::new(-B, B, -1.0, 1.0, 0.05, expected, None).unwrap()
}

fn observed(expected: Option<f64>, observations: &[f64]) -> ConfidenceSequence {
    let mut sequence = sequence(expected);
    for x in observations {
        sequence.observe(*x).unwrap();
    }
    sequence
}

fn stream(length: usize) -> impl Strategy<Value = Vec<f64>> {
    (-1.0..=1.0, 0.01..=3.0).prop_flat_map(move |(centre, width): (f64, f64)| {
        prop::collection::vec((centre - width).max(-B)..=(centre + width).min(B), 1..length)
    })
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_restored_sequence_goes_on_to_the_bit(before in stream(60), after in stream(60), count in 1.0..1e6) {
        let mut whole = observed(Some(count), &before);
        let mut restored = ConfidenceSequence::from_state(&whole.state().unwrap()).unwrap();
        for x in after {
            prop_assert_eq!(restored.interval(), whole.interval());
            restored.observe(x).unwrap();
            whole.observe(x).unwrap();
        }
        prop_assert_eq!(restored.state().unwrap(), whole.state().unwrap());
    }

    #[test]
    fn a_mirrored_stream_has_the_mirrored_interval(stream in stream(200)) {
        let mirrored: Vec<f64> = stream.iter().map(|x| -x).collect();
        let ((low, high), (other_low, other_high)) =
            (observed(None, &stream).interval(), observed(None, &mirrored).interval());
        prop_assert!((low + other_high).abs() < 1e-12 && (high + other_low).abs() < 1e-12);
    }

    #[test]
    fn moving_and_stretching_moves_and_stretches(stream in stream(200), by in -5.0..5.0_f64, times in 0.01..100.0_f64) {
        let at = |x: f64| by + times * x;
        let mut other = ConfidenceSequence::new(at(-B), at(B), at(-1.0), at(1.0), 0.05, Some(50.0), None).unwrap();
        for x in &stream {
            other.observe(at(*x).clamp(at(-B), at(B))).unwrap();
        }
        let ((low, high), (other_low, other_high)) = (observed(Some(50.0), &stream).interval(), other.interval());
        let tolerance = 1e-9 * (times + by.abs());
        prop_assert!((other_low - at(low)).abs() < tolerance && (other_high - at(high)).abs() < tolerance);
    }

    #[test]
    fn the_interval_is_ordered_within_its_range_and_around_the_mean(stream in stream(300)) {
        let sequence = observed(None, &stream);
        let (low, high) = sequence.interval();
        prop_assert!(-1.0 <= low && low <= high && high <= 1.0);
        let mean = sequence.mean().clamp(-1.0, 1.0);
        prop_assert!(low <= mean && mean <= high);
        prop_assert!((sequence.mean() - stream.iter().sum::<f64>() / stream.len() as f64).abs() < 1e-12);
    }

    #[test]
    fn a_smaller_alpha_has_a_wider_interval(stream in stream(300)) {
        let mut strict = ConfidenceSequence::new(-B, B, -1.0, 1.0, 0.01, None, Some(1.0)).unwrap();
        let mut loose = ConfidenceSequence::new(-B, B, -1.0, 1.0, 0.1, None, Some(1.0)).unwrap();
        for x in &stream {
            strict.observe(*x).unwrap();
            loose.observe(*x).unwrap();
        }
        let (wide, narrow) = (strict.interval(), loose.interval());
        prop_assert!(wide.0 <= narrow.0 && narrow.1 <= wide.1);
    }

    #[test]
    fn the_first_exclusion_in_bulk_is_that_one_by_one(stream in stream(400), mean in -1.0..=1.0) {
        let mut bulk = sequence(Some(100.0));
        let place = bulk.first_excluding(&stream, mean).unwrap();
        let mut single = sequence(Some(100.0));
        let mut found = None;
        for (i, x) in stream.iter().enumerate() {
            single.observe(*x).unwrap();
            let (low, high) = single.interval();
            if mean < low || high < mean {
                found = Some(i);
                break;
            }
        }
        prop_assert_eq!(place, found);
        prop_assert_eq!(bulk.state().unwrap(), single.state().unwrap());
    }

    #[test]
    fn damaged_states_are_refused(seen in stream(30), at in 0..1000_usize, bit in 0..8_u32) {
        let mut state = observed(None, &seen).state().unwrap();
        let place = at % state.len();
        state[place] ^= 1 << bit;
        prop_assert!(ConfidenceSequence::from_state(&state).is_err());
        prop_assert!(ConfidenceSequence::from_state(&state[..place]).is_err());
    }
}

#[test]
fn a_refused_observation_changes_nothing() {
    let mut sequence = observed(None, &[0.5, -2.0]);
    let before = sequence.state().unwrap();
    for x in [f64::NAN, f64::INFINITY, B + 1e-9, -B - 1e-9] {
        assert_eq!(sequence.observe(x).unwrap_err().to_string(), format!("observation == {x}, must be in [-4, 4]"));
        assert!(sequence.first_excluding(&[1.0, x], 0.0).is_err());
    }
    assert_eq!(sequence.first_excluding(&[1.0], 1.5).unwrap_err().to_string(), "mean == 1.5, must be in [-1, 1]");
    assert_eq!(sequence.state().unwrap(), before);
}

#[test]
fn the_golden_stream_gives_the_golden_intervals_and_state() {
    let golden: Json = serde_json::from_str(include_str!("../../../tests/golden/confidence.json")).unwrap();
    let number = |value: &Json| value.as_f64().unwrap();
    let new = |key: &str| number(&golden["settings"][key]);
    let mut sequence = ConfidenceSequence::new(
        new("low"),
        new("high"),
        new("mean_low"),
        new("mean_high"),
        new("alpha"),
        Some(new("expected_count")),
        Some(new("expected_deviation")),
    )
    .unwrap();
    for (x, ends) in golden["stream"].as_array().unwrap().iter().zip(golden["intervals"].as_array().unwrap()) {
        sequence.observe(number(x)).unwrap();
        let (low, high) = sequence.interval();
        assert!((low - number(&ends[0])).abs() < 1e-9 && (high - number(&ends[1])).abs() < 1e-9);
    }
    #[allow(clippy::format_collect, reason = "a test prints a few bytes")]
    let hex: String = sequence.state().unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden["state"].as_str().unwrap());
}
