//! Thompson sampling with its probabilities computed, not estimated.

use super::winner::Winner;
use super::{Observed, Scale, normalise_or_give_to_best};

/// p_a = P(N(score_a, σ_a²) is the largest) for independent normals, σ_a = scale · uncertainty_a, the scale as calmed.
///
/// Source of the method: Thompson, "On the likelihood that one unknown probability exceeds another", 1933; the
/// probabilities are those of `winner.rs`, normalised.
///
/// When every σ is 0 the best action is certain; ties share.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Thompson(
    /// By each action's own count, times the number of actions: what is new is explored, however much is known of the rest.
    pub Scale,
);

impl Thompson {
    #[inline(always)]
    pub(super) fn fill(
        self,
        scores: &[f64],
        uncertainties: &[f64],
        observed: Observed<'_>,
        winner: &mut Winner,
        pmf: &mut [f64],
    ) {
        winner.find::<false>(self.0, scores, uncertainties, observed);
        for arm in &winner.contenders {
            pmf[arm.action] = arm.mass;
        }
        normalise_or_give_to_best(scores, pmf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pmf(scale: f64, scores: &[f64], uncertainties: &[f64]) -> Vec<f64> {
        let mut pmf = vec![0.0; scores.len()];
        Thompson(Scale { scale, anneal_count: 0.0 }).fill(
            scores,
            uncertainties,
            Observed::alike(0.0),
            &mut Winner::default(),
            &mut pmf,
        );
        pmf
    }

    #[test]
    fn two_actions_agree_with_the_closed_form() {
        // P(X₁ > X₂) = Φ((μ₁ − μ₂) / √(σ₁² + σ₂²)).
        for gap in [0.0, 0.01, 0.3, 1.0, 3.0] {
            for other in [1e-4, 0.01, 0.1, 0.5, 1.0, 4.0] {
                let exact = 0.5 * libm::erfc(-gap / libm::sqrt(2.0 * (0.25 + other * other)));
                let p = pmf(0.5, &[gap, 0.0], &[1.0, 2.0 * other]);
                assert!((p[0] - exact).abs() < 1e-5, "gap {gap}, other {other}: {} against {exact}", p[0]);
            }
        }
    }

    /// The trapezoidal rule on the whole line, in steps of a fifth of the narrowest: exact to rounding for smooth integrands.
    fn by_trapezoids(scores: &[f64], deviations: &[f64]) -> Vec<f64> {
        let step = 0.2 * deviations.iter().copied().fold(f64::INFINITY, f64::min);
        let reach = 8.0 * deviations.iter().copied().fold(0.0, f64::max);
        let start = scores.iter().copied().fold(f64::INFINITY, f64::min) - reach;
        let end = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max) + reach;
        let mut pmf = vec![0.0; scores.len()];
        let points = (0..).map(|i| start + step * f64::from(i)).take_while(|t| *t <= end);
        for t in points {
            let z: Vec<f64> = scores.iter().zip(deviations).map(|(score, deviation)| (t - score) / deviation).collect();
            let below: Vec<f64> = z.iter().map(|z| 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)).collect();
            for (a, p) in pmf.iter_mut().enumerate() {
                let others: f64 = below.iter().enumerate().filter(|(b, _)| *b != a).map(|(_, below)| below).product();
                *p +=
                    step * libm::exp(-0.5 * z[a] * z[a]) / (deviations[a] * libm::sqrt(std::f64::consts::TAU)) * others;
            }
        }
        pmf
    }

    #[test]
    fn many_problems_agree_with_the_integral() {
        for problem in 0..60_u8 {
            let number = |i: usize, k: f64| libm::sin(k * (i + 1) as f64 + 1.7 * f64::from(problem));
            let n_actions = 2 + usize::from(problem) % 11;
            // Gaps from far within to far beyond a deviation, widths up to a factor of 20 apart.
            let spread = libm::exp(f64::from(problem % 7) - 4.0);
            let scores: Vec<f64> = (0..n_actions).map(|i| spread * number(i, 2.3)).collect();
            let deviations: Vec<f64> = (0..n_actions).map(|i| libm::exp(1.5 * number(i, 5.1) - 1.5)).collect();
            for (got, want) in pmf(1.0, &scores, &deviations).iter().zip(by_trapezoids(&scores, &deviations)) {
                assert!((got - want).abs() < 5e-5, "problem {problem}: {got} against {want}");
            }
        }
    }

    #[test]
    fn one_leader_among_many_agrees_with_the_integral() {
        // The hardest for the quadrature: the product of the others is a steep step somewhere in the leader's width.
        for n_actions in [3, 10, 20, 50, 100] {
            for (lead, width) in [(0.5, 0.2), (0.9, 0.05), (1.2, 0.1)] {
                let mut scores: Vec<f64> = (0..n_actions).map(|i| 0.05 * libm::sin(2.3 * f64::from(i))).collect();
                let mut deviations = vec![0.2; scores.len()];
                (scores[0], deviations[0]) = (lead, width);
                for (got, want) in pmf(1.0, &scores, &deviations).iter().zip(by_trapezoids(&scores, &deviations)) {
                    assert!((got - want).abs() < 1e-4, "{n_actions}, {lead} ± {width}: {got} against {want}");
                }
            }
        }
    }

    #[test]
    fn equal_actions_are_equally_likely() {
        for n in [2, 3, 10, 100, 1000] {
            let p = pmf(1.0, &vec![0.3; n], &vec![0.2; n]);
            assert!(p.iter().all(|p| (p * n as f64 - 1.0).abs() < 1e-9));
        }
    }

    #[test]
    fn without_uncertainty_the_best_is_certain_and_ties_share() {
        assert_eq!(pmf(1.0, &[0.1, 0.5, 0.5], &[0.0; 3]), [0.0, 0.5, 0.5]);
        assert_eq!(pmf(0.0, &[0.1, 0.6, 0.5], &[1.0; 3]), [0.0, 1.0, 0.0]);
        assert_eq!(pmf(1.0, &[1e300, 1.0], &[1e-300; 2]), [1.0, 0.0]);
    }

    #[test]
    fn an_action_that_cannot_win_has_probability_zero() {
        let p = pmf(1.0, &[1.0, 0.0], &[0.01, 0.01]);
        assert_eq!(p, [1.0, 0.0]);
    }

    #[test]
    fn a_certain_action_beats_an_uncertain_one_as_often_as_it_should() {
        let p = pmf(1.0, &[0.5, 0.0], &[0.0, 1.0]);
        let exact = 0.5 * libm::erfc(-0.5 / std::f64::consts::SQRT_2);
        assert!((p[0] - exact).abs() < 1e-5, "{p:?}");
    }

    #[test]
    fn extreme_ratios_of_width_end_and_sum_to_one() {
        let uncertainties: Vec<f64> = (0..300).map(|i| libm::exp(-f64::from(i) / 10.0)).collect();
        let scores: Vec<f64> = (0..300).map(|i| f64::from(i % 7) * 1e-3).collect();
        let p = pmf(1.0, &scores, &uncertainties);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
