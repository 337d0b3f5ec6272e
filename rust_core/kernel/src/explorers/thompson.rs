//! Thompson sampling with its probabilities computed, not estimated.

use super::Observed;
use super::ensemble::EnsembleScratch;
use super::normal::density_and_distribution;
use crate::error::Result;
use crate::fields::Fields;
use crate::linalg::{LANES, Lane};
use crate::pmf::share_among_best;

/// p_a = P(N(score_a, σ_a²) is the largest) for independent normals, σ_a = scale · uncertainty_a.
///
/// Source of the method: Thompson, "On the likelihood that one unknown probability exceeds another", 1933; the
/// probabilities are p_a = ∫ φ_a(t) Π_{b≠a} Φ_b(t) dt, normalised. The integral is *defined* as the quadrature below, so the
/// probability is exact for what is sampled; it is within 1e-4 of the true integral.
///
/// Quadrature. An action's support is its mean ± r σ, r² = 16 + 1.4 (⌊log₂ K⌋ + 1), so that what all supports leave out
/// together stays near 3e-5. The start t₀ is where the largest lies below with probability < 1e-5, see `find_start`; actions
/// whose support ends before it cannot win. From there on it marches in steps of 5 / √(1 + 0.4 ⌊log₂ n⌋) σ of the narrowest
/// action that has not ended, n being those that can win: the largest of many varies less than one. Each step is
/// Gauss–Legendre with 8 nodes. The fine steps are all near the start, and their number grows with the logarithm of the ratio
/// of widths, not with the ratio.
///
/// When every σ is 0 the best action is certain; ties share. A σ below 1e-6 of the largest counts as that.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Thompson {
    /// What uncertainties are multiplied by, >= 0; 0 is greedy.
    pub scale: f64,
    /// Observations after which the scale has shrunk by √2, see `annealed` in the folder's module; 0: it never does. Each action's
    /// own count, times the number of actions: what is new is explored, however much is known of the rest.
    pub anneal_count: f64,
}

/// −ln of the probability with which the largest may lie below the start.
const NEGLIGIBLE: f64 = 11.5;
/// Smallest σ, relative to the largest.
const NARROWEST: f64 = 1e-6;
/// Smallest σ, relative to the largest score: a narrower one would be lost in the rounding of its score.
const RESOLUTION: f64 = 1e-14;

/// Gauss–Legendre nodes of order 8 on [−1, 1] (Abramowitz and Stegun, table 25.4).
const NODES: Lane = [
    -0.960_289_856_497_536_2,
    -0.796_666_477_413_626_7,
    -0.525_532_409_916_329,
    -0.183_434_642_495_649_8,
    0.183_434_642_495_649_8,
    0.525_532_409_916_329,
    0.796_666_477_413_626_7,
    0.960_289_856_497_536_2,
];
/// Their weights.
const WEIGHTS: Lane = [
    0.101_228_536_290_376_26,
    0.222_381_034_453_374_48,
    0.313_706_645_877_887_27,
    0.362_683_783_378_362,
    0.362_683_783_378_362,
    0.313_706_645_877_887_27,
    0.222_381_034_453_374_48,
    0.101_228_536_290_376_26,
];

/// An action that can win.
#[derive(Clone, Copy, Debug, Default)]
struct Arm {
    action: usize,
    mean: f64,
    deviation: f64,
    precision: f64,
    end: f64,
}

/// Its part in the integral.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// Integral so far, divided by the precision.
    mass: Lane,
    density: Lane,
    distribution: Lane,
    before: Lane,
}

/// Space that is kept from one decision to the next; the ensemble keeps its heads in it too.
#[derive(Clone, Debug, Default)]
pub struct ThompsonScratch {
    arms: Vec<Arm>,
    parts: Vec<Part>,
    widths: Vec<f64>,
    pub(super) ensemble: EnsembleScratch,
}

impl Thompson {
    pub(super) fn from_fields(fields: &mut Fields) -> Result<Self> {
        let scale = fields.number("scale", ">= 0", |v| v >= 0.0)?;
        Ok(Self { scale, anneal_count: super::read_anneal_count(fields)? })
    }

    #[inline(always)]
    pub(super) fn fill(
        self,
        scores: &[f64],
        uncertainties: &[f64],
        observed: Observed<'_>,
        scratch: &mut ThompsonScratch,
        pmf: &mut [f64],
    ) {
        let largest = scores.iter().fold(0.0_f64, |largest, score| largest.max(score.abs()));
        let ThompsonScratch { arms, parts, widths, .. } = scratch;
        widths.clear();
        widths.extend(uncertainties.iter().enumerate().map(|(action, uncertainty)| {
            self.scale * super::annealed(self.anneal_count, observed.of(action)) * uncertainty
        }));
        let widest = widths.iter().copied().fold(0.0, f64::max);
        let reach = (16.0 + 1.4 * (floor_log2(scores.len()) + 1.0)).sqrt();
        arms.clear();
        if widest > 0.0 && widest.is_finite() {
            for (action, (mean, uncertainty)) in scores.iter().zip(widths.iter()).enumerate() {
                let deviation = uncertainty.max(NARROWEST * widest).max(RESOLUTION * largest);
                let (precision, end) = (1.0 / deviation, mean + reach * deviation);
                arms.push(Arm { action, mean: *mean, deviation, precision, end });
            }
            let start = find_start(arms, reach);
            arms.retain(|arm| arm.end > start);
            // The last to end comes first, so that those that have ended are the tail.
            arms.sort_unstable_by(|a, b| b.end.total_cmp(&a.end).then(a.mean.total_cmp(&b.mean)));
            if parts.len() < arms.len() {
                parts.resize(arms.len(), Part::default());
            }
            march(arms, parts, start, pmf);
        }
        let total: f64 = pmf.iter().sum();
        if total > 0.0 && total.is_finite() {
            for p in pmf {
                *p /= total;
            }
        } else {
            // No width at all, or none that the scores' precision can resolve.
            pmf.fill(0.0);
            share_among_best(scores, 1.0, pmf);
        }
    }
}

/// ⌊log₂ n⌋, and 0 for n = 0.
fn floor_log2(n: usize) -> f64 {
    f64::from(n.max(1).ilog2())
}

/// t₀: the largest of a few candidates below which the largest of all lies with probability < 1e-5.
///
/// The first is max_b (score_b − r σ_b). The others divide the way from there to the best score in eight, and count if
/// Π Φ_b(t) is small enough, by Φ(z) <= ½ exp(−z²/2) for z <= 0 (Abramowitz and Stegun, 7.1.13, implies it). The terms of the
/// sum are rounded to 2⁻²⁰, so that it is exact and the start does not depend on the order of the actions.
#[inline(always)]
fn find_start(arms: &[Arm], reach: f64) -> f64 {
    /// 1.5 · 2³²: adding it rounds to a multiple of 2⁻²⁰.
    const ROUNDER: f64 = 6_442_450_944.0;
    let first = arms.iter().fold(f64::NEG_INFINITY, |start, arm| start.max(arm.mean - reach * arm.deviation));
    let best = arms.iter().fold(f64::NEG_INFINITY, |best, arm| best.max(arm.mean));
    let (mut candidates, mut sums) = ([0.0; LANES], [0.0; LANES]);
    for lane in 0..LANES {
        candidates[lane] = first + (best - first) * ((lane + 1) as f64 / LANES as f64);
    }
    for arm in arms {
        for lane in 0..LANES {
            let z = ((arm.mean - candidates[lane]) * arm.precision).clamp(0.0, 8.0);
            let term = if z > 0.0 { std::f64::consts::LN_2 + 0.5 * z * z } else { 0.0 };
            sums[lane] += (term + ROUNDER) - ROUNDER;
        }
    }
    let enough = candidates.iter().zip(sums).filter(|(_, sum)| *sum >= NEGLIGIBLE);
    enough.fold(first, |start, (candidate, _)| start.max(*candidate))
}

/// Integrates from `start` to the end of the first arm, and writes each action's mass into `pmf`.
#[inline(always)]
fn march(arms: &[Arm], parts: &mut [Part], start: f64, pmf: &mut [f64]) {
    for part in parts.iter_mut().take(arms.len()) {
        part.mass = [0.0; LANES];
    }
    let end = arms.first().map_or(start, |arm| arm.end);
    let step = 5.0 / (1.0 + 0.4 * floor_log2(arms.len())).sqrt();
    let (mut t, mut n_going_on) = (start, arms.len());
    while t < end {
        n_going_on = arms.iter().take(n_going_on).take_while(|arm| arm.end > t).count();
        let going_on = arms.iter().take(n_going_on);
        let narrowest = going_on.map(|arm| arm.deviation).fold(f64::INFINITY, f64::min);
        let n_steps = ((end - t) / (step * narrowest)).ceil().max(1.0);
        let half = 0.5 * (end - t) / n_steps;
        integrate(&arms[..n_going_on], parts, t + half, half);
        let next = if n_steps > 1.0 { t + 2.0 * half } else { end };
        if next <= t || next.is_nan() {
            // A difference has overflowed, or a step is lost in rounding.
            break;
        }
        t = next;
    }
    for (arm, part) in arms.iter().zip(parts.iter()) {
        pmf[arm.action] = part.mass.iter().sum::<f64>() * arm.precision;
    }
}

/// Adds ∫ φ_a Π_{b≠a} Φ_b over [middle − half, middle + half] to each action's mass.
#[inline(always)]
fn integrate(arms: &[Arm], parts: &mut [Part], middle: f64, half: f64) {
    let (mut nodes, mut product) = ([0.0; LANES], [0.0; LANES]);
    for lane in 0..LANES {
        nodes[lane] = middle + half * NODES[lane];
        product[lane] = half * WEIGHTS[lane];
    }
    for (arm, part) in arms.iter().zip(parts.iter_mut()) {
        let mut z = [0.0; LANES];
        for lane in 0..LANES {
            z[lane] = (nodes[lane] - arm.mean) * arm.precision;
        }
        (part.density, part.distribution) = density_and_distribution(&z);
        part.before = product;
        for lane in 0..LANES {
            product[lane] *= part.distribution[lane];
        }
    }
    // Products over the others from both ends: dividing the full product by Φ_a would lose the digits that Φ_a lacks.
    let mut after = [1.0; LANES];
    for part in parts.iter_mut().take(arms.len()).rev() {
        for lane in 0..LANES {
            part.mass[lane] += part.density[lane] * part.before[lane] * after[lane];
            after[lane] *= part.distribution[lane];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pmf(scale: f64, scores: &[f64], uncertainties: &[f64]) -> Vec<f64> {
        let mut pmf = vec![0.0; scores.len()];
        Thompson { scale, anneal_count: 0.0 }.fill(
            scores,
            uncertainties,
            Observed::alike(0.0),
            &mut ThompsonScratch::default(),
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
