//! Soft UCB: the upper confidence bound decides, and how sure it is decides how often.

use crate::error::Result;
use crate::fields::Fields;

/// p ∝ exp(−G² / (2 (w α)² (u² + u★²))), with the index score + α · u, its gap G = largest index − index, and u★ the
/// uncertainty of the action that has the largest index.
///
/// Source: the index is LinUCB's (Li, Chu, Langford and Schapire, "A Contextual-Bandit Approach to Personalized News Article
/// Recommendation", 2010, algorithm 1). The odds are Maillard sampling's, exp(−gap² / (2 variance)) (Bian and Jun,
/// "Maillard Sampling: Boltzmann Exploration Done Optimally", 2022, algorithm 1), with the gap between indices in place of
/// that between means and, for the variance, that of the difference between two independent scores, √(u² + u★²), times w α.
/// The combination is this project's own and has no regret bound of its own. One exponential per action: cheaper than
/// Thompson's quadrature.
///
/// Gap and width have the unit of the scores, so rescaled rewards leave p alone. Where several have the largest index, u★ is
/// the largest among them. Where neither action has any uncertainty, a gap has probability 0. An annealed α shrinks both
/// bonus and width.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct SoftUcb {
    /// α: uncertainties that are added to the score, >= 0; 0 is greedy.
    pub scale: f64,
    /// w: width of the transition, in units of α · √(u² + u★²), >= 0; 0 is UCB without any softness.
    pub softness: f64,
    /// Observations after which α has fallen by √2, see `annealed` in the folder's module; 0: it never does.
    pub anneal_count: f64,
}

impl SoftUcb {
    pub(super) fn from_fields(fields: &mut Fields) -> Result<Self> {
        let scale = fields.number("scale", ">= 0", |v| v >= 0.0)?;
        let softness = fields.number("softness", ">= 0", |v| v >= 0.0)?;
        Ok(Self { scale, softness, anneal_count: super::read_anneal_count(fields)? })
    }

    pub(super) fn fill(self, scores: &[f64], uncertainties: &[f64], n_observed: f64, pmf: &mut [f64]) {
        let alpha = self.scale * super::annealed(self.anneal_count, n_observed);
        let (mut largest, mut best_uncertainty) = (f64::NEG_INFINITY, 0.0_f64);
        for ((index, score), uncertainty) in pmf.iter_mut().zip(scores).zip(uncertainties) {
            // Clamped: an index beyond all numbers would have no gap to another such.
            *index = (score + alpha * uncertainty).clamp(-f64::MAX, f64::MAX);
            if *index > largest {
                (largest, best_uncertainty) = (*index, *uncertainty);
            } else if *index >= largest {
                best_uncertainty = best_uncertainty.max(*uncertainty);
            }
        }
        let width = self.softness * alpha;
        for (p, uncertainty) in pmf.iter_mut().zip(uncertainties) {
            // In units of the width before it is squared: the squares of small numbers would be lost.
            let gap = (largest - *p).min(f64::MAX);
            let z = gap / (width * libm::hypot(*uncertainty, best_uncertainty)).min(f64::MAX);
            *p = if gap > 0.0 { libm::exp(-0.5 * z * z) } else { 1.0 };
        }
        super::normalise(pmf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pmf(scale: f64, softness: f64, scores: &[f64], uncertainties: &[f64]) -> Vec<f64> {
        let mut pmf = vec![0.0; scores.len()];
        SoftUcb { scale, softness, anneal_count: 0.0 }.fill(scores, uncertainties, 0.0, &mut pmf);
        pmf
    }

    #[test]
    fn odds_follow_the_formula() {
        // Indices 0.7 and 0.9, gap 0.2; width 0.5 · 2 · √(0.01 + 0.09), so z² = 0.04 / 0.1 = 0.4.
        let p = pmf(2.0, 0.5, &[0.5, 0.3], &[0.1, 0.3]);
        assert!((p[0] / p[1] - libm::exp(-0.2)).abs() < 1e-12);
    }

    #[test]
    fn an_uncertain_action_is_preferred_to_a_known_one_that_is_as_good() {
        let p = pmf(1.0, 0.1, &[0.5, 0.5], &[0.1, 0.2]);
        assert!(p[1] > 0.99, "{p:?}");
    }

    #[test]
    fn rewards_in_another_unit_change_nothing() {
        let plain = pmf(1.0, 0.25, &[0.5, 0.75, 0.1], &[0.25, 0.125, 0.5]);
        assert_eq!(plain, pmf(1.0, 0.25, &[512.0, 768.0, 102.4], &[256.0, 128.0, 512.0]));
    }

    #[test]
    fn without_scale_softness_or_uncertainty_the_largest_index_is_certain_and_ties_share() {
        assert_eq!(pmf(0.0, 0.1, &[0.2, 0.4, 0.4], &[1.0, 0.2, 0.5]), [0.0, 0.5, 0.5]);
        assert_eq!(pmf(1.0, 0.0, &[0.5, 0.25], &[0.5, 0.5]), [1.0, 0.0]);
        assert_eq!(pmf(1.0, 0.1, &[0.5, 0.5, 0.1], &[0.0; 3]), [0.5, 0.5, 0.0]);
    }

    #[test]
    fn what_overflows_is_still_a_pmf() {
        for p in [pmf(f64::MAX, 1.0, &[1.0, 2.0], &[2.0, 1e300]), pmf(1e300, 1e300, &[1e300, -1e300], &[1e300, 1e-300])]
        {
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{p:?}");
        }
    }
}
