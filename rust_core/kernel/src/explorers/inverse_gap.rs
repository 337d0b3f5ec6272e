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
    /// How fast probability falls with the gap, >= 0; 0 is uniform.
    pub gamma: f64,
    /// Observations after which γ has grown by √2, see `annealed` in the folder's module; 0: it never does.
    pub anneal_count: f64,
}

impl InverseGap {
    pub(super) fn from_fields(fields: &mut Fields) -> Result<Self> {
        let gamma = fields.number("gamma", ">= 0", |v| v >= 0.0)?;
        Ok(Self { gamma, anneal_count: super::read_anneal_count(fields)? })
    }

    pub(super) fn fill(self, scores: &[f64], n_observed: f64, pmf: &mut [f64]) {
        let gamma = self.gamma / super::annealed(self.anneal_count, n_observed);
        let n_actions = scores.len() as f64;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_follow_the_gaps() {
        let mut pmf = [0.0; 3];
        InverseGap { gamma: 10.0, anneal_count: 0.0 }.fill(&[0.5, 0.2, 0.0], 0.0, &mut pmf);
        let (second, third) = (1.0 / 6.0, 1.0 / 8.0);
        for (got, want) in pmf.iter().zip([1.0 - second - third, second, third]) {
            assert!((got - want).abs() < 1e-15);
        }
    }

    #[test]
    fn without_gamma_or_without_gaps_all_are_alike() {
        for (gamma, scores) in [(0.0, [0.5, 0.2, 0.0]), (100.0, [0.5; 3])] {
            let mut pmf = [0.0; 3];
            InverseGap { gamma, anneal_count: 0.0 }.fill(&scores, 0.0, &mut pmf);
            assert!(pmf.iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-15));
        }
    }

    #[test]
    fn an_overflowing_gap_has_probability_zero() {
        let mut pmf = [0.0; 2];
        InverseGap { gamma: f64::MAX, anneal_count: 0.0 }.fill(&[f64::MAX, -f64::MAX], 0.0, &mut pmf);
        assert_eq!(pmf, [1.0, 0.0]);
    }
}
