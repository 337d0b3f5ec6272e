//! Probability mass functions: ties, the floor, sampling.

use crate::error::{KernelError, Result};
use crate::rng::uniform;

/// Adds `mass` in equal parts to the actions with the largest score, and returns how many there are.
///
/// `scores` are finite and as many as `pmf`; an empty input stays empty.
pub fn share_among_best(scores: &[f64], mass: f64, pmf: &mut [f64]) -> usize {
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let n_best = scores.iter().filter(|score| **score >= best).count();
    let part = mass / n_best.max(1) as f64;
    for (p, score) in pmf.iter_mut().zip(scores) {
        if *score >= best {
            *p += part;
        }
    }
    n_best
}

/// p ← (1 − floor) · p + floor / K, so that every action has at least floor / K.
pub fn apply_floor(floor: f64, pmf: &mut [f64]) {
    let share = floor / pmf.len() as f64;
    for p in pmf {
        // max: (1 − floor) · p may round the sum below the promised floor by one unit in the last place.
        *p = ((1.0 - floor) * *p + share).max(share);
    }
}

/// Draws an action by inversion of the cumulative sum, with one uniform number from the 16-byte `seed`.
///
/// An action with probability 0 is never returned. The sum need not be 1 to the last bit: the number is scaled by it.
///
/// # Errors
/// `InvalidInput` if the seed is not 16 bytes, or the pmf is empty, not finite, negative, or does not sum to 1 ± 1e-6.
pub fn sample(pmf: &[f64], seed: &[u8]) -> Result<usize> {
    let mut total = 0.0;
    for p in pmf {
        if !(*p >= 0.0 && p.is_finite()) {
            return Err(KernelError::invalid("pmf", p, "finite and >= 0"));
        }
        total += p;
    }
    if (total - 1.0).abs() > 1e-6 {
        return Err(KernelError::invalid("sum(pmf)", total, "1 within 1e-6"));
    }
    let target = uniform(seed)? * total;
    let mut cumulative = 0.0;
    let mut last = 0;
    for (action, p) in pmf.iter().enumerate() {
        if *p > 0.0 {
            cumulative += p;
            last = action;
            if target < cumulative {
                break;
            }
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(id: u128) -> [u8; 16] {
        id.to_le_bytes()
    }

    #[test]
    fn ties_share_equally() {
        let mut pmf = [0.0; 4];
        assert_eq!(share_among_best(&[1.0, 3.0, 3.0, 2.0], 0.8, &mut pmf), 2);
        assert_eq!(pmf, [0.0, 0.4, 0.4, 0.0]);
    }

    #[test]
    fn the_floor_holds_for_every_action() {
        let mut pmf = [1.0, 0.0, 0.0, 0.0];
        apply_floor(0.2, &mut pmf);
        assert_eq!(pmf[1..], [0.05, 0.05, 0.05]);
        assert!((pmf[0] - 0.85).abs() < 1e-15);
    }

    #[test]
    fn frequencies_follow_the_pmf_and_zero_is_never_drawn() {
        let pmf = [0.0, 0.2, 0.0, 0.5, 0.3, 0.0];
        let mut counts = [0_u32; 6];
        for id in 0..20_000 {
            counts[sample(&pmf, &seed(id)).unwrap()] += 1;
        }
        assert_eq!([counts[0], counts[2], counts[5]], [0, 0, 0]);
        // √(20,000 · 0.25) = 71; five standard deviations.
        for (count, p) in counts.iter().zip(pmf) {
            assert!((f64::from(*count) - 20_000.0 * p).abs() < 355.0, "{counts:?}");
        }
    }

    #[test]
    fn what_is_not_a_pmf_is_refused() {
        let message = |pmf: &[f64]| sample(pmf, &seed(1)).unwrap_err().to_string();
        assert_eq!(message(&[]), "sum(pmf) == 0, must be 1 within 1e-6");
        assert_eq!(message(&[0.5, 0.4]), "sum(pmf) == 0.9, must be 1 within 1e-6");
        assert_eq!(message(&[1.5, -0.5]), "pmf == -0.5, must be finite and >= 0");
        assert_eq!(message(&[f64::NAN]), "pmf == NaN, must be finite and >= 0");
    }
}
