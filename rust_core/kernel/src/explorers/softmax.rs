//! Softmax, also known as Boltzmann exploration.

use crate::error::Result;
use crate::fields::Fields;

/// p ∝ exp((score − best score) / temperature).
///
/// Source: Luce, "Individual Choice Behavior", 1959; Sutton and Barto, "Reinforcement Learning", 2nd edition, 2018, section
/// 2.8. It looks at scores alone, in their unit: rewards that are rescaled need another temperature. A gap of more than 745
/// temperatures has probability 0 before the floor.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Softmax {
    /// Gap at which probability has fallen to 1/e, > 0, in the unit of the scores.
    pub temperature: f64,
    /// Observations after which the temperature has fallen by √2, see `annealed` in the folder's module; 0: it never does.
    pub anneal_count: f64,
}

impl Softmax {
    pub(super) fn from_fields(fields: &mut Fields) -> Result<Self> {
        let temperature = fields.number("temperature", "> 0", |v| v > 0.0)?;
        Ok(Self { temperature, anneal_count: super::read_anneal_count(fields)? })
    }

    pub(super) fn fill(self, scores: &[f64], n_observed: f64, pmf: &mut [f64]) {
        let temperature = self.temperature * super::annealed(self.anneal_count, n_observed);
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (p, score) in pmf.iter_mut().zip(scores) {
            let gap = best - score;
            // The best by name: a temperature that has shrunk to 0 would make 0 / 0 of its gap.
            *p = if gap > 0.0 { libm::exp(-gap / temperature) } else { 1.0 };
        }
        super::normalise(pmf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pmf(temperature: f64, anneal_count: f64, n_observed: f64, scores: &[f64]) -> Vec<f64> {
        let mut pmf = vec![0.0; scores.len()];
        Softmax { temperature, anneal_count }.fill(scores, n_observed, &mut pmf);
        pmf
    }

    #[test]
    fn odds_follow_the_gap() {
        let p = pmf(0.5, 0.0, 0.0, &[1.0, 0.5, -0.5]);
        assert!((p[0] / p[1] - std::f64::consts::E).abs() < 1e-12);
        assert!((p[1] / p[2] - libm::exp(2.0)).abs() < 1e-12);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn rewards_and_temperature_in_another_unit_change_nothing() {
        assert_eq!(pmf(0.5, 0.0, 0.0, &[1.0, 0.25]), pmf(64.0, 0.0, 0.0, &[128.0, 32.0]));
    }

    #[test]
    fn annealing_lowers_the_temperature() {
        assert_eq!(pmf(0.5, 100.0, 300.0, &[0.3, 0.1]), pmf(0.25, 0.0, 0.0, &[0.3, 0.1]));
    }

    #[test]
    fn a_temperature_of_almost_nothing_is_greedy_and_ties_share() {
        assert_eq!(pmf(f64::MIN_POSITIVE, 1e-300, 1e300, &[0.5, 0.5, 0.1]), [0.5, 0.5, 0.0]);
        assert_eq!(pmf(1.0, 0.0, 0.0, &[f64::MAX, -f64::MAX]), [1.0, 0.0]);
    }
}
