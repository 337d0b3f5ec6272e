//! Inverse-gap weighting, known as SquareCB.

use crate::error::Result;
use crate::fields::Fields;
use crate::pmf::share_among_best;

/// p = 1 / (K + γ · (best score − score)) for all but the best; the best gets the rest.
///
/// Source: Foster and Rakhlin, "Beyond UCB: Optimal and Efficient Contextual Bandits with Regression Oracles", 2020,
/// algorithm 1 with μ = K. Ties at the top share what the others leave.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct InverseGap {
    /// Where γ comes from.
    #[serde(flatten)]
    pub gamma: Gamma,
    /// Observations after which γ has grown by √2, see `annealed` in the folder's module; 0: it never does.
    pub anneal_count: f64,
}

/// How fast probability falls with the gap; the name is the key in the spec.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub enum Gamma {
    /// γ itself, >= 0, per unit of the scores; 0 is uniform. It has to be chosen anew when rewards are rescaled.
    #[serde(rename = "gamma")]
    Fixed(f64),
    /// γ = this · √(K / ū²), > 0, with ū² the mean of the squared uncertainties; nothing to choose, √8 is what theory gives.
    ///
    /// The same paper's lemma 3 bounds the expected regret of one round by 2K/γ + (γ/4) · Σ p_a E[(score_a − its true
    /// value)²]. Theorem 1 knows only the sum of those errors in advance and gets γ ∝ √(K T / Σ error²); here the posterior
    /// says round by round what each is expected to be, u_a². With their plain mean ū² in place of the mean under p, which
    /// would depend on γ, the bound is least at γ = √(8 K / ū²), where it is √(2 K ū²). γ has the unit 1 / score, so p does
    /// not change when scores and uncertainties are rescaled. Without any uncertainty γ is infinite: the best is certain.
    #[serde(rename = "adaptive_scale")]
    Adaptive(f64),
}

impl InverseGap {
    pub(super) fn from_fields(fields: &mut Fields) -> Result<Self> {
        // One of the two keys; whoever gives both is told that `gamma` must be absent.
        let scale = fields.optional_number("adaptive_scale", 0.0, "> 0", |v| v > 0.0)?;
        let gamma = if scale > 0.0 {
            Gamma::Adaptive(scale)
        } else {
            Gamma::Fixed(fields.number("gamma", ">= 0", |v| v >= 0.0)?)
        };
        Ok(Self { gamma, anneal_count: super::read_anneal_count(fields)? })
    }

    pub(super) fn fill(self, scores: &[f64], uncertainties: &[f64], n_observed: f64, pmf: &mut [f64]) {
        let n_actions = scores.len() as f64;
        let gamma = match self.gamma {
            Gamma::Fixed(gamma) => gamma,
            Gamma::Adaptive(scale) => scale * n_actions.sqrt() / root_mean_square(uncertainties),
        };
        let gamma = gamma / super::annealed(self.anneal_count, n_observed);
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut rest = 1.0;
        for (p, score) in pmf.iter_mut().zip(scores) {
            if *score < best {
                *p = 1.0 / (n_actions + gamma * (best - score));
                rest -= *p;
            }
        }
        share_among_best(scores, rest.max(0.0), pmf);
    }
}

/// √(Σ u² / K), relative to the largest so that no square is lost.
fn root_mean_square(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return 0.0;
    }
    let sum: f64 = values.iter().map(|value| (value / largest) * (value / largest)).sum();
    largest * (sum / values.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pmf(gamma: Gamma, scores: &[f64], uncertainties: &[f64]) -> Vec<f64> {
        let mut pmf = vec![0.0; scores.len()];
        InverseGap { gamma, anneal_count: 0.0 }.fill(scores, uncertainties, 0.0, &mut pmf);
        pmf
    }

    #[test]
    fn probabilities_follow_the_gaps() {
        let pmf = pmf(Gamma::Fixed(10.0), &[0.5, 0.2, 0.0], &[0.0; 3]);
        let (second, third) = (1.0 / 6.0, 1.0 / 8.0);
        for (got, want) in pmf.iter().zip([1.0 - second - third, second, third]) {
            assert!((got - want).abs() < 1e-15);
        }
    }

    #[test]
    fn without_gamma_or_without_gaps_all_are_alike() {
        for (gamma, scores) in
            [(Gamma::Fixed(0.0), [0.5, 0.2, 0.0]), (Gamma::Fixed(100.0), [0.5; 3]), (Gamma::Adaptive(1.0), [0.5; 3])]
        {
            assert!(pmf(gamma, &scores, &[0.1; 3]).iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-15));
        }
    }

    #[test]
    fn an_overflowing_gap_has_probability_zero() {
        assert_eq!(pmf(Gamma::Fixed(f64::MAX), &[f64::MAX, -f64::MAX], &[0.0; 2]), [1.0, 0.0]);
    }

    #[test]
    fn the_adaptive_gamma_is_the_scale_over_the_mean_deviation() {
        // ū² = (0.01 + 0.04 + 0.07) / 3 = 0.04, so γ = 2 · √(3 / 0.04).
        let uncertainties = [0.1, 0.2, 0.07_f64.sqrt()];
        let (adaptive, fixed) = (Gamma::Adaptive(2.0), Gamma::Fixed(2.0 * 75.0_f64.sqrt()));
        let scores = [0.5, 0.2, 0.0];
        for (a, b) in pmf(adaptive, &scores, &uncertainties).iter().zip(pmf(fixed, &scores, &uncertainties)) {
            assert!((a - b).abs() < 1e-15);
        }
    }

    #[test]
    fn the_adaptive_gamma_needs_no_tuning_when_rewards_are_rescaled() {
        let plain = pmf(Gamma::Adaptive(3.0), &[0.5, 0.25, 0.125], &[0.25, 0.5, 0.375]);
        for unit in [2.0_f64.powi(-500), 2.0_f64.powi(10), 2.0_f64.powi(600)] {
            let scaled = |values: [f64; 3]| values.map(|value| value * unit);
            assert_eq!(plain, pmf(Gamma::Adaptive(3.0), &scaled([0.5, 0.25, 0.125]), &scaled([0.25, 0.5, 0.375])));
        }
    }

    #[test]
    fn the_adaptive_gamma_is_certain_of_the_best_where_nothing_is_uncertain() {
        assert_eq!(pmf(Gamma::Adaptive(3.0), &[0.5, 0.5, 0.1], &[0.0; 3]), [0.5, 0.5, 0.0]);
    }
}
