//! The sample-ratio test through its public face.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by #[test], not their support")]
#![allow(clippy::float_cmp, reason = "what restores to the bit is compared to the bit")]

use pilotfish_kernel::statistics::SampleRatio;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

fn config(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(20_261_125), failure_persistence: None, ..Config::default() }
}

fn seen(share: f64, alpha: f64, units: &[bool]) -> SampleRatio {
    let mut ratio = SampleRatio::new(share, alpha).unwrap();
    for unit in units {
        ratio.observe(*unit).unwrap();
    }
    ratio
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn the_ratio_is_a_martingale_under_the_expected_share(
        treated in 0..100_000_u64, others in 0..100_000_u64, share in 0.01..0.99,
    ) {
        let at = |treated: u64, others: u64| {
            let mut ratio = SampleRatio::new(share, 0.01).unwrap();
            ratio.observe_counts(treated, others).unwrap();
            ratio.evidence()
        };
        let now = at(treated, others);
        let grown = |then: f64| libm::exp(then - now);
        let next = share * grown(at(treated + 1, others)) + (1.0 - share) * grown(at(treated, others + 1));
        // ln Γ of 10⁶ is 10⁷, rounded at 1e-9.
        prop_assert!((next - 1.0).abs() < 1e-7, "{}", next);
    }

    #[test]
    fn one_by_one_and_in_bulk_see_the_same(units in prop::collection::vec(any::<bool>(), 0..300)) {
        let single = seen(0.3, 0.01, &units);
        let treated = units.iter().filter(|unit| **unit).count() as u64;
        let mut bulk = SampleRatio::new(0.3, 0.01).unwrap();
        bulk.observe_counts(treated, units.len() as u64 - treated).unwrap();
        prop_assert_eq!(single.evidence(), bulk.evidence());
        prop_assert_eq!((single.count(), single.treatment_count()), (bulk.count(), bulk.treatment_count()));
    }

    #[test]
    fn the_other_arm_has_the_same_evidence(units in prop::collection::vec(any::<bool>(), 0..300), share in 0.01..0.99) {
        let others: Vec<bool> = units.iter().map(|unit| !unit).collect();
        let (one, other) = (seen(share, 0.01, &units), seen(1.0 - share, 0.01, &others));
        prop_assert!((one.evidence() - other.evidence()).abs() < 1e-8);
    }

    #[test]
    fn a_restored_test_goes_on_to_the_bit(units in prop::collection::vec(any::<bool>(), 1..300)) {
        let mut whole = seen(0.2, 0.01, &units);
        let mut restored = SampleRatio::from_state(&whole.state().unwrap()).unwrap();
        prop_assert_eq!(restored.is_mismatch(), whole.is_mismatch());
        restored.observe_counts(3, 40).unwrap();
        whole.observe_counts(3, 40).unwrap();
        prop_assert_eq!(restored.state().unwrap(), whole.state().unwrap());
    }

    #[test]
    fn damaged_states_are_refused(at in 0..1000_usize, bit in 0..8_u32) {
        let mut state = seen(0.5, 0.01, &[true, false, true]).state().unwrap();
        let place = at % state.len();
        state[place] ^= 1 << bit;
        prop_assert!(SampleRatio::from_state(&state).is_err());
        prop_assert!(SampleRatio::from_state(&state[..place]).is_err());
    }
}

#[test]
fn one_unit_says_nothing_and_two_are_by_hand() {
    assert!(seen(0.5, 0.01, &[true]).evidence().abs() < 1e-9);
    // κ = 4 / 0.02² = 10,000 with 0.8 and 4 / 0.2² = 100 with 0.2; a second like the first has (κ/2 + 1) / (κ + 1).
    let two = libm::log(0.8 * 2.0 * 5001.0 / 10001.0 + 0.2 * 2.0 * 51.0 / 101.0);
    assert!((seen(0.5, 0.01, &[true, true]).evidence() - two).abs() < 1e-9);
}

#[test]
fn a_mismatch_stays_when_the_evidence_has_fallen() {
    let mut ratio = SampleRatio::new(0.5, 0.01).unwrap();
    ratio.observe_counts(100, 0).unwrap();
    assert!(ratio.is_mismatch());
    ratio.observe_counts(900, 1_000).unwrap();
    assert!(ratio.evidence() < 0.0 && ratio.is_mismatch());
    assert!(SampleRatio::from_state(&ratio.state().unwrap()).unwrap().is_mismatch());
}

#[test]
fn too_many_units_are_refused_and_change_nothing() {
    let mut ratio = SampleRatio::new(0.5, 0.01).unwrap();
    let error = ratio.observe_counts(u64::MAX, 1).unwrap_err();
    assert_eq!(error.to_string(), format!("count == {}, must be <= 1000000000000", u64::MAX));
    assert_eq!(ratio.count(), 0);
}
