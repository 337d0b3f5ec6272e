//! The best action and nothing else: for comparison, and for a policy that is frozen. Its log cannot be evaluated.

use crate::pmf::share_among_best;

/// p = 1{a is best} / (number of best).
///
/// Source: Sutton and Barto, "Reinforcement Learning", 2nd edition, 2018, section 2.2. With floor 0, which is its default,
/// `Explorer::explores` is false: no action but the best has a probability, so no other policy can be evaluated from what it
/// logs (its importance weights would be 0 or 1 / 0).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Greedy;

impl Greedy {
    pub(super) fn fill(scores: &[f64], pmf: &mut [f64]) {
        share_among_best(scores, 1.0, pmf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_has_all_and_ties_share() {
        let mut pmf = [0.0; 3];
        Greedy::fill(&[0.1, 0.4, 0.2], &mut pmf);
        assert_eq!(pmf, [0.0, 1.0, 0.0]);
        let mut pmf = [0.0; 3];
        Greedy::fill(&[0.4, 0.4, 0.2], &mut pmf);
        assert_eq!(pmf, [0.5, 0.5, 0.0]);
    }
}
