//! State bytes: restored to the bit, and refused when anything about them is wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy knows tests by #[test], not their support")]

mod support;

use pilotfish_kernel::{Happened, KernelError, Model, Scratch};
use sha2::{Digest, Sha256};
use support::{Outcome, learn_all, spec};

fn model() -> Model {
    let outcomes: Vec<Outcome> = (0..40_usize)
        .map(|t| Outcome {
            size: (t % 3 > 0).then_some(t as f64 / 20.0),
            kind: ["pdf", "txt", "docx"][t % 3],
            urgent: t % 2 == 0,
            module: t % 4,
            signal: t % 2,
            utility: (t % 7) as f64 / 6.0,
            weight: [1.0, 0.37, 2.0][t % 3],
        })
        .collect();
    learn_all(&outcomes)
}

fn refusal(state: &[u8]) -> String {
    match Model::from_state(state, spec().as_bytes()) {
        Err(KernelError::State { reason }) => reason,
        other => panic!("expected a refused state, got {other:?}"),
    }
}

/// Content with its own, correct checksum: what only a forger would write.
fn sealed(content: &[u8]) -> Vec<u8> {
    [content, Sha256::digest(content).as_slice()].concat()
}

#[test]
fn every_truncation_is_refused() {
    let state = model().state().unwrap();
    let step = state.len() / 300;
    for length in (0..state.len()).step_by(step) {
        refusal(&state[..length]);
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let state = model().state().unwrap();
    let step = state.len() / 400;
    for place in (0..state.len()).step_by(step).chain(0..10).chain(state.len() - 32..state.len()) {
        let mut damaged = state.clone();
        damaged[place] ^= 1 << (place % 8);
        refusal(&damaged);
    }
}

#[test]
fn appended_bytes_are_refused_even_with_a_checksum() {
    let state = model().state().unwrap();
    let content = &state[..state.len() - 32];
    assert_eq!(refusal(&sealed(&[content, &[0]].concat())), "state has 1 bytes too many");
    assert!(refusal(&sealed(&content[..content.len() - 1])).starts_with("state's body cannot be read"));
}

#[test]
fn another_magic_or_format_is_refused() {
    let state = model().state().unwrap();
    let mut content = state[..state.len() - 32].to_vec();
    content[8] = 9;
    assert_eq!(refusal(&sealed(&content)), "state's format version == 9, must be 2");
    content[0] = b'x';
    assert_eq!(refusal(&sealed(&content)), "state does not begin with the magic bytes pilotfsh");
    assert_eq!(refusal(b"short"), "state has 5 bytes, too few to be one");
}

#[test]
fn forged_numbers_are_refused_or_leave_a_finite_model() {
    let state = model().state().unwrap();
    let content = &state[..state.len() - 32];
    let (mut refused, mut mutations) = (0, 0);
    for place in (10..content.len() - 8).step_by(content.len() / 250) {
        for forged in [f64::NAN, f64::INFINITY, -1e300] {
            let mut copy = content.to_vec();
            copy[place..place + 8].copy_from_slice(&forged.to_le_bytes());
            mutations += 1;
            match Model::from_state(&sealed(&copy), spec().as_bytes()) {
                Err(KernelError::State { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
                Ok(model) => {
                    assert!(model.arrays().iter().flat_map(|(_, values)| values).all(|v| v.is_finite()));
                }
            }
        }
    }
    assert!(mutations >= 500 && refused > mutations / 3, "{refused} of {mutations} refused");
}

#[test]
fn a_covariance_that_no_data_could_leave_is_refused() {
    let fresh = Model::new(spec().as_bytes()).unwrap().state().unwrap();
    let content = &fresh[..fresh.len() - 32];
    // The prior covariance of the shared part starts with 1 / 0.5 = 2.
    let two = 2.0_f64.to_le_bytes();
    let place = content.windows(8).position(|window| window == two).unwrap();
    for forged in [0.0, -2.0, 2.1] {
        let mut copy = content.to_vec();
        copy[place..place + 8].copy_from_slice(&f64::to_le_bytes(forged));
        let reason = refusal(&sealed(&copy));
        assert!(
            reason.starts_with("completion/shared: covariance") && reason.contains(&format!(" == {forged}, must be "))
        );
    }
}

#[test]
fn a_volume_or_weight_that_no_data_could_leave_is_refused() {
    let model = model();
    let arrays = model.arrays();
    let value = |key: &str, i: usize| arrays.iter().find(|(other, _)| other == key).unwrap().1[i];
    let state = model.state().unwrap();
    let content = &state[..state.len() - 32];
    let forge = |value: f64, forged: f64| {
        // The weight is also Σ z z, which stands before it.
        let place = content.windows(8).rposition(|window| window == value.to_le_bytes()).unwrap();
        let mut copy = content.to_vec();
        copy[place..place + 8].copy_from_slice(&forged.to_le_bytes());
        refusal(&sealed(&copy))
    };
    let (volume, weight) = (value("quality/shared/volume", 0), value("quality/shared/moments", 1));
    for (forged, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-1e-9, "-0.000000001")] {
        assert_eq!(forge(volume, forged), format!("quality/shared: volume == {shown}, must be finite and >= 0"));
    }
    assert!(forge(volume, 1e300).starts_with("quality/shared: volume == 1"));
    for forged in [f64::NAN, f64::INFINITY, -weight, 0.0, 1e9] {
        let reason = forge(weight, forged);
        assert!(reason.starts_with("quality/shared: "), "{forged}: {reason}");
    }
    assert!(forge(weight, 1e9).ends_with("must be those of utilities in [0, 1]"));
}

/// Replaces element (1, 0) of a packed triangle that begins with elements (0, 0) and (1, 0) of a dense one.
fn forge_second(content: &[u8], dense: &[f64], forged: f64) -> String {
    let first = [dense[0].to_le_bytes(), dense[1].to_le_bytes()].concat();
    let place = content.windows(16).position(|window| window == first).unwrap();
    let mut copy = content.to_vec();
    copy[place + 8..place + 16].copy_from_slice(&forged.to_le_bytes());
    refusal(&sealed(&copy))
}

#[test]
fn a_matrix_with_a_negative_eigenvalue_is_refused() {
    let model = model();
    let arrays = model.arrays();
    let state = model.state().unwrap();
    let content = &state[..state.len() - 32];
    for (key, n) in [
        ("completion/shared/covariance", model.n_shared()),
        ("completion/shared/sum_zz", model.n_shared()),
        ("completion/module/text/covariance", model.n_context()),
        ("completion/module/text/sum_xx", model.n_context()),
    ] {
        let dense = &arrays.iter().find(|(other, _)| other == key).unwrap().1;
        // Every element is within its own bound; only together are they impossible: |a₁₀|² must not exceed a₀₀ a₁₁.
        let largest = (dense[0] * dense[n + 1]).sqrt();
        for forged in [1.001 * largest, -1.001 * largest] {
            let (place, field) = key.rsplit_once('/').unwrap();
            let expected = format!("{place}: {field} has a negative eigenvalue, must have none");
            assert_eq!(forge_second(content, dense, forged), expected, "{key}");
        }
    }
}

#[test]
fn a_geometry_that_nothing_uses_is_refused() {
    let state = model().state().unwrap();
    let content = &state[..state.len() - 32];
    let name = b"\x04text";
    let place = content.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    assert_eq!(content[place], 1, "its geometry is the second");
    let mut copy = content.to_vec();
    copy[place] = 0;
    assert_eq!(refusal(&sealed(&copy)), "state has a geometry that no signal uses");
    copy[place] = 9;
    assert_eq!(refusal(&sealed(&copy)), "completion/module/text: geometry == 9, must be below 4");
}

#[test]
fn the_harshest_data_leave_a_state_that_can_be_read_again() {
    for precision in ["1e-6", "1.0", "1e6"] {
        let spec = spec()
            .replace("\"module_precision\": 1.0", &format!("\"module_precision\": {precision}"))
            .replace("\"shared_precision\": 0.5", &format!("\"shared_precision\": {precision}"));
        let model = Model::new(spec.as_bytes()).unwrap();
        let mut scratch = Scratch::default();
        let (mut noise, mut learned) = (1_u64, 0);
        let mut next = || {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (noise >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        };
        for t in 0..4_000_usize {
            // Nearly collinear vectors at the very edge of what is allowed, among them tiny and sparse ones.
            let scale = [1000.0, 1000.0, 1e-3, 1.0][t % 4];
            let mut near = |i: usize| {
                let value: f64 = if t % 3 == 0 { 1.0 + 1e-9 * next() } else { next() };
                if t % 5 == 0 && i % 2 == 0 { 0.0 } else { scale * value.clamp(-1.0, 1.0) }
            };
            let x: Vec<f64> = (0..model.n_context()).map(&mut near).collect();
            let z: Vec<f64> = (0..model.n_shared()).map(&mut near).collect();
            let weight = [1024.0, 1.0, 1e-6][t % 3];
            let happened = Happened { signal: t % 2, utility: (t % 7) as f64 / 6.0, weight };
            // Where rounding has eaten the prior an observation may be refused; then it has changed nothing.
            learned +=
                usize::from(model.learn_encoded(&x, Some(&z), ["a", "b", "c"][t % 3], happened, &mut scratch).is_ok());
            if t % 100 == 99 {
                let state = model.state().unwrap();
                let restored = Model::from_state(&state, spec.as_bytes()).unwrap();
                assert_eq!(restored.state().unwrap(), state, "{precision}, {t}");
            }
        }
        assert!(learned > 100, "{precision}: {learned}");
    }
}

#[test]
fn observations_without_weight_are_refused() {
    // All is zero but the weight, so no other bound can see it.
    let model = Model::new(spec().as_bytes()).unwrap();
    let (x, z) = (vec![0.0; model.n_context()], vec![0.0; model.n_shared()]);
    let happened = Happened { signal: 0, utility: 0.0, weight: 0.3701 };
    model.learn_encoded(&x, Some(&z), "a", happened, &mut Scratch::default()).unwrap();
    let state = model.state().unwrap();
    let content = &state[..state.len() - 32];
    let place = content.windows(8).position(|window| window == 0.3701_f64.to_le_bytes()).unwrap();
    for forged in [0.0_f64, -1e-12] {
        let mut copy = content.to_vec();
        copy[place..place + 8].copy_from_slice(&forged.to_le_bytes());
        assert!(refusal(&sealed(&copy)).starts_with("completion/"), "{forged}");
    }
}

#[test]
fn what_merge_leaves_of_signals_never_seen_can_be_read_again() {
    // Σ ln λ and n · ln λ round differently: the volume of nothing must not be less than nothing.
    for precision in ["0.3", "0.7", "1.1", "3.7", "1e-6", "123.456"] {
        let spec = spec().replace("\"shared_precision\": 0.5", &format!("\"shared_precision\": {precision}"));
        let (one, other) = (Model::new(spec.as_bytes()).unwrap(), Model::new(spec.as_bytes()).unwrap());
        let merged = one.merge(&other).unwrap();
        let restored = Model::from_state(&merged.state().unwrap(), spec.as_bytes()).unwrap();
        assert_eq!((restored.arrays(), restored.evidence()), (merged.arrays(), 0.0), "{precision}");
    }
}

#[test]
fn the_state_of_another_spec_is_refused() {
    let other = spec().replace("0.02", "0.03");
    let error = Model::from_state(&model().state().unwrap(), other.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("state's spec == {") && error.contains("0.02") && error.contains("0.03"));
    let merged = model().merge(&Model::new(other.as_bytes()).unwrap()).unwrap_err().to_string();
    assert!(merged.ends_with("specs differ"));
}

#[test]
fn the_same_fold_gives_the_same_bytes() {
    assert_eq!(model().state().unwrap(), model().state().unwrap());
}
