//! Information-ratio sampling: an action is the more likely the more it teaches for what it costs.

use super::winner::{Contender, Winner};
use super::{Observed, Scale, normalise_or_give_to_best};

/// p_a ∝ v_a / Δ_a²: what action a teaches of whether it is the best, by the square of what it costs.
///
/// With X_a ~ N(score_a, σ_a²), independent, σ_a = scale · uncertainty_a with the scale as calmed, and α_a the probability that
/// X_a is the largest (Thompson's):
///
/// - Δ_a = E[max X] − score_a is the expected regret;
/// - v_a = Var(E[X_a | whether a is the best]) = g_a² α_a / (1 − α_a), g_a = E[X_a | a is the best] − score_a, is the part of
///   its variance that knowing whether it is the best explains; for rewards in a range of 1, 2 v_a is a lower bound of what
///   its outcome tells, in nats, of which is the best.
///
/// Source: Russo and Van Roy, "Learning to optimize via information-directed sampling", 2018, whose information ratio
/// Δ² / v (in its variance-based form) each action is weighed by, with "is a the best" for "which is the best", so that it costs K and
/// not K². They choose the mixture of the least ratio, which has two actions at most; weights by the ratio of each have broad
/// support, as logs that shall be evaluated need it, and do not all go to one pair while outcomes are late.
///
/// Against Thompson: what is probably worse is tried less, and of two that are as likely to be the best, the less known more.
///
/// When every σ is 0 the best action is certain; ties share.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct InformationRatio(
    /// By each action's own count, times the number of actions: what is new is explored, however much is known of the rest.
    pub Scale,
);

/// Least regret, relative to the largest σ: below it the quadrature's error is all that is seen.
const LEAST_REGRET: f64 = 1e-9;

impl InformationRatio {
    #[inline(always)]
    pub(super) fn fill(
        self,
        scores: &[f64],
        uncertainties: &[f64],
        observed: Observed<'_>,
        winner: &mut Winner,
        pmf: &mut [f64],
    ) {
        winner.find::<true>(self.0, scores, uncertainties, observed);
        let arms = &winner.contenders;
        let total: f64 = arms.iter().map(|arm| arm.mass).sum();
        let Some(leader) = arms.iter().max_by(|a, b| a.mass.total_cmp(&b.mass).then(a.mean.total_cmp(&b.mean))) else {
            return normalise_or_give_to_best(scores, pmf);
        };
        // Relative to the leader, whose own regret and whose chance of not being the best would be lost in a difference.
        let leads = |arm: &Contender| arm.action == leader.action && arm.mass > 0.5 * total;
        let behind: f64 = arms.iter().filter(|arm| !leads(arm)).map(|arm| arm.mass).sum();
        let regret: f64 = arms.iter().map(|arm| arm.mass * (arm.mean - leader.mean) + arm.gain).sum::<f64>() / total;
        for arm in arms {
            let probability = arm.mass / total;
            let not_best = if leads(arm) { behind / total } else { 1.0 - probability };
            let gain = (arm.gain / arm.mass).max(0.0) / winner.widest;
            let cost = ((regret + (leader.mean - arm.mean)) / winner.widest).max(LEAST_REGRET);
            pmf[arm.action] = if probability > 0.0 && not_best > 0.0 {
                gain * gain * (probability / not_best) / (cost * cost)
            } else {
                0.0
            };
        }
        normalise_or_give_to_best(scores, pmf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pmf(scores: &[f64], deviations: &[f64]) -> Vec<f64> {
        let mut pmf = vec![0.0; scores.len()];
        let rule = InformationRatio(Scale { scale: 2.0, anneal_count: 0.0 });
        let halves: Vec<f64> = deviations.iter().map(|deviation| 0.5 * deviation).collect();
        rule.fill(scores, &halves, Observed::alike(0.0), &mut Winner::default(), &mut pmf);
        pmf
    }

    /// From (probability of being the best, gain, regret) of each.
    fn by_definition(each: &[(f64, f64, f64)]) -> Vec<f64> {
        let weights: Vec<f64> =
            each.iter().map(|(p, gain, cost)| gain * gain * p / (1.0 - p) / (cost * cost)).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
    }

    #[test]
    fn two_actions_agree_with_the_closed_form() {
        // Clark, "The greatest of a finite set of random variables", 1961: with θ² = σ₁² + σ₂² and δ = (μ₁ − μ₂) / θ,
        // E[max] = μ₁ Φ(δ) + μ₂ Φ(−δ) + θ φ(δ), and E[X₁ | X₁ > X₂] = μ₁ + σ₁² φ(δ) / (θ Φ(δ)).
        for gap in [0.0, 0.01, 0.3, 1.0] {
            for other in [0.01_f64, 0.1, 0.5, 1.0, 4.0] {
                let (first, theta) = (0.5, libm::sqrt(0.25 + other * other));
                let delta = gap / theta;
                let density = libm::exp(-0.5 * delta * delta) / libm::sqrt(std::f64::consts::TAU);
                let p = 0.5 * libm::erfc(-delta / std::f64::consts::SQRT_2);
                let greatest = gap * p + theta * density;
                let expected = by_definition(&[
                    (p, first * first * density / (theta * p), greatest - gap),
                    (1.0 - p, other * other * density / (theta * (1.0 - p)), greatest),
                ]);
                let got = pmf(&[gap, 0.0], &[first, other]);
                assert!((got[0] - expected[0]).abs() < 1e-4, "gap {gap}, other {other}: {got:?} against {expected:?}");
            }
        }
    }

    #[test]
    fn many_problems_agree_with_the_integrals() {
        for problem in 0..40_u8 {
            let number = |i: usize, k: f64| libm::sin(k * (i + 1) as f64 + 1.7 * f64::from(problem));
            let n_actions = 3 + usize::from(problem) % 10;
            let spread = libm::exp(f64::from(problem % 5) - 4.0);
            let scores: Vec<f64> = (0..n_actions).map(|i| spread * number(i, 2.3)).collect();
            let deviations: Vec<f64> = (0..n_actions).map(|i| libm::exp(number(i, 5.1) - 1.5)).collect();
            let (mut each, mut greatest) = (vec![(0.0, 0.0, 0.0); n_actions], 0.0);
            // The trapezoidal rule on the whole line, exact to rounding for smooth integrands.
            let step = 0.01;
            for t in (-1000..=1000).map(|i| step * f64::from(i)) {
                let z: Vec<f64> =
                    scores.iter().zip(&deviations).map(|(mean, deviation)| (t - mean) / deviation).collect();
                for a in 0..n_actions {
                    let below = |b: usize| 0.5 * libm::erfc(-z[b] / std::f64::consts::SQRT_2);
                    let others: f64 = (0..n_actions).filter(|b| *b != a).map(below).product();
                    let density = libm::exp(-0.5 * z[a] * z[a]) / (deviations[a] * libm::sqrt(std::f64::consts::TAU));
                    let mass = step * density * others;
                    each[a].0 += mass;
                    each[a].1 += mass * (t - scores[a]);
                    greatest += mass * t;
                }
            }
            for (entry, score) in each.iter_mut().zip(&scores) {
                (entry.1, entry.2) = (entry.1 / entry.0, greatest - score);
            }
            for (got, want) in pmf(&scores, &deviations).iter().zip(by_definition(&each)) {
                assert!((got - want).abs() < 1e-3, "problem {problem}: {got} against {want}");
            }
        }
    }

    #[test]
    fn of_two_equals_the_less_known_is_the_likelier_by_the_fourth_power() {
        let p = pmf(&[0.3, 0.3], &[0.2, 0.1]);
        assert!((p[0] - 16.0 / 17.0).abs() < 1e-4, "{p:?}");
        for n in [2, 3, 10, 1000] {
            let p = pmf(&vec![0.3; n], &vec![0.2; n]);
            assert!(p.iter().all(|p| (p * n as f64 - 1.0).abs() < 1e-9));
        }
    }

    #[test]
    fn what_is_almost_certain_is_taken_almost_always() {
        let mut last = 0.0;
        for gap in [0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0] {
            let p = pmf(&[gap, 0.0, 0.0], &[0.3, 0.3, 0.05]);
            assert!(p[0] >= last && p[0] > 0.4, "{gap}: {p:?}");
            last = p[0];
        }
        assert!(last > 1.0 - 1e-9);
        assert_eq!(pmf(&[0.1, 0.5, 0.5], &[0.0; 3]), [0.0, 0.5, 0.5]);
        assert_eq!(pmf(&[1e300, 1.0], &[1e-300; 2]), [1.0, 0.0]);
        assert_eq!(pmf(&[1.0, 0.0], &[0.01, 0.01]), [1.0, 0.0]);
    }
}
