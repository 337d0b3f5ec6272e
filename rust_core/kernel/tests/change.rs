//! The change detector through its public face: golden vectors, laws, and the rate of false alarms.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by #[test], not their support")]
#![allow(clippy::float_cmp, reason = "what restores to the bit is compared to the bit")]

use pilotfish_kernel::statistics::{Alarm, ChangeDetector};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::Value as Json;

const NAMES: [&str; 3] = ["ocr", "text", "vision"];

fn config(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(20_261_123), failure_persistence: None, ..Config::default() }
}

/// Residual, place in `NAMES`, uncertainty.
type Seen = (f64, usize, f64);

fn stream(length: usize) -> impl Strategy<Value = Vec<Seen>> {
    prop::collection::vec((-1.0..=1.0, 0..NAMES.len(), 0.0..0.3), 0..length)
}

fn run(detector: &mut ChangeDetector, stream: &[Seen], names: [&str; 3]) -> Vec<Option<Alarm>> {
    stream.iter().map(|(residual, place, u)| detector.observe(*residual, names[*place], *u, None).unwrap()).collect()
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_restored_detector_goes_on_to_the_bit(before in stream(60), after in stream(60), alpha in 1e-6..0.5) {
        let mut whole = ChangeDetector::new(alpha, 0.05).unwrap();
        run(&mut whole, &before, NAMES);
        let mut restored = ChangeDetector::from_state(&whole.state().unwrap()).unwrap();
        prop_assert_eq!(restored.state().unwrap(), whole.state().unwrap());
        prop_assert_eq!(run(&mut restored, &after, NAMES), run(&mut whole, &after, NAMES));
        prop_assert_eq!(restored.state().unwrap(), whole.state().unwrap());
    }

    #[test]
    fn too_high_and_too_low_weigh_the_same(stream in stream(100)) {
        let (mut high, mut low) = (ChangeDetector::new(1e-6, 0.05).unwrap(), ChangeDetector::new(1e-6, 0.05).unwrap());
        let mirrored: Vec<Seen> = stream.iter().map(|(residual, place, u)| (-residual, *place, *u)).collect();
        run(&mut high, &stream, NAMES);
        run(&mut low, &mirrored, NAMES);
        prop_assert!((high.evidence() - low.evidence()).abs() < 1e-12);
    }

    #[test]
    fn names_do_not_matter(stream in stream(100)) {
        let (mut one, mut other) = (ChangeDetector::new(0.01, 0.05).unwrap(), ChangeDetector::new(0.01, 0.05).unwrap());
        let (alarms, renamed) = (run(&mut one, &stream, NAMES), run(&mut other, &stream, ["z", "y", ""]));
        prop_assert_eq!(one.evidence(), other.evidence());
        let when = |alarms: &[Option<Alarm>]| alarms.iter().map(|a| a.as_ref().map(|a| a.evidence)).collect::<Vec<_>>();
        prop_assert_eq!(when(&alarms), when(&renamed));
    }

    #[test]
    fn evidence_stays_below_its_threshold_and_alarms_are_above(stream in stream(200), alpha in 0.001..1.0) {
        let mut detector = ChangeDetector::new(alpha, 0.0).unwrap();
        for (i, (residual, place, u)) in stream.iter().enumerate() {
            let alarm = detector.observe(*residual, NAMES[*place], *u, None).unwrap();
            prop_assert_eq!(detector.count(), i as u64 + 1);
            prop_assert!(detector.evidence() < detector.threshold());
            if let Some(alarm) = alarm {
                prop_assert!(alarm.evidence >= detector.threshold());
                prop_assert!(alarm.n_after >= 1 && alarm.n_after <= detector.count());
                prop_assert_eq!(detector.evidence(), 0.0);
            }
        }
    }

    #[test]
    fn damaged_states_are_refused(seen in stream(30), at in 0..1000_usize, bit in 0..8_u32) {
        let mut detector = ChangeDetector::new(1e-6, 0.05).unwrap();
        run(&mut detector, &seen, NAMES);
        let mut state = detector.state().unwrap();
        let place = at % state.len();
        state[place] ^= 1 << bit;
        prop_assert!(ChangeDetector::from_state(&state).is_err());
        prop_assert!(ChangeDetector::from_state(&state[..place]).is_err());
    }
}

/// Mean number of observations to the alarm on the least favourable residuals: ±1 with a mean on the edge of the slack, the
/// side given by the module.
fn mean_run(alpha: f64, slack: f64, n_modules: u64, runs: u32) -> (f64, f64) {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let names: Vec<String> = (0..n_modules).map(|i| format!("module {i}")).collect();
    let mut lengths = Vec::new();
    for _ in 0..runs {
        let mut detector = ChangeDetector::new(alpha, slack).unwrap();
        loop {
            let bits = random.next_u64();
            let place = usize::try_from(bits % n_modules).unwrap();
            let side = if place % 2 == 0 { 1.0 } else { -1.0 };
            let u = (bits >> 11) as f64 / 9_007_199_254_740_992.0;
            let residual = if u < 0.5 * (1.0 + slack) { side } else { -side };
            if detector.observe(residual, &names[place], 0.0, None).unwrap().is_some() {
                break;
            }
        }
        lengths.push(detector.count() as f64);
    }
    let n = f64::from(runs);
    let mean = lengths.iter().sum::<f64>() / n;
    let variance = lengths.iter().map(|length| (length - mean) * (length - mean)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[test]
fn the_mean_run_to_a_false_alarm_is_at_least_one_over_alpha() {
    for (alpha, slack, n_modules) in [(0.01, 0.0, 1), (0.002, 0.05, 1), (0.002, 0.05, 2), (0.002, 0.05, 50)] {
        let (mean, error) = mean_run(alpha, slack, n_modules, 300);
        // 1/α itself is the claim; three standard errors are the test's own.
        assert!(
            mean - 3.0 * error > 0.0 && mean + 3.0 * error >= 1.0 / alpha,
            "{alpha}, {n_modules}: {mean} ± {error}"
        );
        // And the bound is not an empty one: with one module and a mean on the edge, the mean run is of its order.
        assert!(n_modules > 1 || mean < 10.0 / alpha, "{alpha}: {mean}");
    }
}

#[test]
fn an_alarm_names_the_module_that_changed_and_dates_the_change() {
    let mut detector = ChangeDetector::new(1e-6, 0.05).unwrap();
    for i in 0..3000_usize {
        // Deterministic residuals of mean 0 and deviation 0.4.
        assert_eq!(detector.observe(if i % 2 == 0 { 0.4 } else { -0.4 }, NAMES[i / 2 % 3], 0.0, None).unwrap(), None);
    }
    let found = (0..400_usize).find_map(|i| {
        let shift = if i / 2 % 3 == 1 { -0.5 } else { 0.0 };
        let noise = if i % 2 == 0 { 0.4 } else { -0.4 };
        Some((i + 1, detector.observe(noise + shift, NAMES[i / 2 % 3], 0.0, None).unwrap()?))
    });
    let (after, alarm) = found.unwrap();
    assert_eq!(alarm.modules, ["text"]);
    assert!(alarm.n_after.abs_diff(after as u64) <= 10, "{} against {after}", alarm.n_after);
}

#[test]
fn uncertain_predictions_are_forgiven_half_their_deviation() {
    let evidence = |slack: f64, uncertainty: f64| {
        let mut detector = ChangeDetector::new(1e-6, slack).unwrap();
        for _ in 0..20 {
            detector.observe(-0.3, "ocr", uncertainty, None).unwrap();
        }
        detector.evidence()
    };
    assert_eq!(evidence(0.0, 0.5), evidence(0.25, 0.0));
    assert!(evidence(0.0, 0.5) < evidence(0.0, 0.25));
}

#[test]
fn arguments_out_of_range_are_refused_and_change_nothing() {
    let refused = |result: pilotfish_kernel::Result<ChangeDetector>| result.unwrap_err().to_string();
    assert_eq!(refused(ChangeDetector::new(0.0, 0.0)), "alpha == 0, must be in [1e-30, 1]");
    assert_eq!(refused(ChangeDetector::new(f64::NAN, 0.0)), "alpha == NaN, must be in [1e-30, 1]");
    assert_eq!(refused(ChangeDetector::new(0.1, -0.1)), "slack == -0.1, must be in [0, 1]");
    let mut detector = ChangeDetector::new(0.1, 0.05).unwrap();
    let before = detector.state().unwrap();
    for (residual, uncertainty, message) in [
        (1.5, 0.0, "residual == 1.5, must be in [-1, 1]"),
        (f64::NAN, 0.0, "residual == NaN, must be in [-1, 1]"),
        (0.0, -1.0, "uncertainty == -1, must be finite and >= 0"),
        (0.0, f64::INFINITY, "uncertainty == inf, must be finite and >= 0"),
    ] {
        assert_eq!(detector.observe(residual, "ocr", uncertainty, None).unwrap_err().to_string(), message);
    }
    assert_eq!(detector.state().unwrap(), before);
}

#[test]
fn a_thousand_modules_have_one_alarm_rate_and_start_anew_together() {
    let mut detector = ChangeDetector::new(1e-3, 0.0).unwrap();
    for i in 0..1000_u32 {
        assert_eq!(detector.observe(0.0, &i.to_string(), 0.0, None).unwrap(), None, "{i}");
        if detector.evidence() > 6.0 {
            detector.start_anew();
            assert_eq!(detector.evidence(), 0.0);
        }
    }
    assert_eq!(detector.count(), 1000);
}

fn golden() -> Json {
    let path = format!("{}/../../tests/golden/change.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_golden_stream_gives_the_golden_alarms_evidence_and_state() {
    let golden = golden();
    let (alpha, slack) = (golden["alpha"].as_f64().unwrap(), golden["slack"].as_f64().unwrap());
    let mut detector = ChangeDetector::new(alpha, slack).unwrap();
    let mut alarms = Vec::new();
    for (seen, evidence) in golden["stream"].as_array().unwrap().iter().zip(golden["evidence"].as_array().unwrap()) {
        let (residual, uncertainty) = (seen[0].as_f64().unwrap(), seen[2].as_f64().unwrap());
        if let Some(alarm) =
            detector.observe(residual, seen[1].as_str().unwrap(), uncertainty, seen[3].as_f64()).unwrap()
        {
            alarms.push(serde_json::json!([detector.count(), alarm.n_after, alarm.modules]));
        }
        assert!((detector.evidence() - evidence.as_f64().unwrap()).abs() < 1e-9);
    }
    assert_eq!(&Json::Array(alarms), &golden["alarms"]);
    let digits = golden["state"].as_str().unwrap().as_bytes().chunks(2);
    let state: Vec<u8> =
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
    assert!(detector.state().unwrap() == state);
}
