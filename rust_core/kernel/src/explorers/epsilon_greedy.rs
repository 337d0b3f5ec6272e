//! ε-greedy: the best action, and with probability ε any.

use crate::error::Result;
use crate::fields::Fields;
use crate::pmf::{apply_floor, share_among_best};

/// p = (1 − ε) · 1{a is best} / (number of best) + ε / K.
///
/// Source: Sutton and Barto, "Reinforcement Learning", 2nd edition, 2018, section 2.2.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct EpsilonGreedy {
    /// Probability of choosing without looking, in [0, 1].
    pub epsilon: f64,
}

impl EpsilonGreedy {
    pub(super) fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self { epsilon: fields.number("epsilon", "in [0, 1]", |v| (0.0..=1.0).contains(&v))? })
    }

    pub(super) fn fill(self, scores: &[f64], pmf: &mut [f64]) {
        share_among_best(scores, 1.0, pmf);
        apply_floor(self.epsilon, pmf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_has_the_rest() {
        let mut pmf = [0.0; 4];
        EpsilonGreedy { epsilon: 0.2 }.fill(&[0.0, 0.9, 0.5, 0.1], &mut pmf);
        for (got, want) in pmf.iter().zip([0.05, 0.85, 0.05, 0.05]) {
            assert!((got - want).abs() < 1e-15);
        }
    }

    #[test]
    fn two_best_share() {
        let mut pmf = [0.0; 3];
        EpsilonGreedy { epsilon: 0.0 }.fill(&[0.9, 0.9, 0.1], &mut pmf);
        assert_eq!(pmf, [0.5, 0.5, 0.0]);
    }
}
