//! Which of a few independent normals is the largest, and what it is worth then: by quadrature, for explorers.

use super::normal::density_and_distribution;
use super::{Observed, Scale};
use crate::linalg::{LANES, Lane};

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
pub(super) struct Contender {
    pub(super) action: usize,
    pub(super) mean: f64,
    deviation: f64,
    precision: f64,
    end: f64,
    /// P(it is the largest), before normalisation.
    pub(super) mass: f64,
    /// E[its value − its mean; it is the largest], before normalisation; 0 unless asked for.
    pub(super) gain: f64,
}

/// Its part in the integral.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// Integral so far, divided by the precision.
    mass: Lane,
    /// The same of z φ(z) Π Φ.
    moment: Lane,
    density: Lane,
    distribution: Lane,
    before: Lane,
}

/// Space that is kept from one decision to the next, and what was found last.
#[derive(Clone, Debug, Default)]
pub(super) struct Winner {
    pub(super) contenders: Vec<Contender>,
    /// Largest standard deviation, after calming.
    pub(super) widest: f64,
    parts: Vec<Part>,
    widths: Vec<f64>,
}

impl Winner {
    /// Finds the contenders among N(score_a, σ_a²), σ_a = scale · uncertainty_a, the scale as calmed, and the probability of each.
    ///
    /// p_a = ∫ φ_a(t) Π_{b≠a} Φ_b(t) dt, and with `GAINS` also ∫ (t − score_a) φ_a(t) Π_{b≠a} Φ_b(t) dt; others have 0. The
    /// integrals are *defined* as the quadrature below, so what follows from them is exact for what is sampled; probabilities
    /// are within 1e-4 of the true ones.
    ///
    /// Quadrature. An action's support is its mean ± r σ, r² = 16 + 1.4 (⌊log₂ K⌋ + 1), so that what all supports leave out
    /// together stays near 3e-5. The start t₀ is where the largest lies below with probability < 1e-5, see `find_start`;
    /// actions whose support ends before it cannot win. From there on it marches in steps of 5 / √(1 + 0.4 ⌊log₂ n⌋) σ of the
    /// narrowest action that has not ended, n being those that can win: the largest of many varies less than one. Each step is
    /// Gauss–Legendre with 8 nodes. The fine steps are all near the start, and their number grows with the logarithm of the
    /// ratio of widths, not with the ratio.
    ///
    /// Without any width there are no contenders. A σ below 1e-6 of the largest counts as that.
    #[inline(always)]
    pub(super) fn find<const GAINS: bool>(
        &mut self,
        scale: Scale,
        scores: &[f64],
        uncertainties: &[f64],
        observed: Observed<'_>,
    ) {
        let largest = scores.iter().fold(0.0_f64, |largest, score| largest.max(score.abs()));
        let Self { contenders, widest, parts, widths } = self;
        widths.clear();
        widths.extend(
            uncertainties
                .iter()
                .enumerate()
                .map(|(action, uncertainty)| scale.after(observed.of(action)) * uncertainty),
        );
        *widest = widths.iter().copied().fold(0.0, f64::max);
        let reach = (16.0 + 1.4 * (floor_log2(scores.len()) + 1.0)).sqrt();
        contenders.clear();
        if *widest <= 0.0 || !widest.is_finite() {
            return;
        }
        for (action, (mean, uncertainty)) in scores.iter().zip(widths.iter()).enumerate() {
            let deviation = uncertainty.max(NARROWEST * *widest).max(RESOLUTION * largest);
            let (precision, end) = (1.0 / deviation, mean + reach * deviation);
            contenders.push(Contender { action, mean: *mean, deviation, precision, end, mass: 0.0, gain: 0.0 });
        }
        let start = find_start(contenders, reach);
        contenders.retain(|arm| arm.end > start);
        // The last to end comes first, so that those that have ended are the tail.
        contenders.sort_unstable_by(|a, b| b.end.total_cmp(&a.end).then(a.mean.total_cmp(&b.mean)));
        if parts.len() < contenders.len() {
            parts.resize(contenders.len(), Part::default());
        }
        march::<GAINS>(contenders, parts, start);
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
fn find_start(arms: &[Contender], reach: f64) -> f64 {
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

/// Integrates from `start` to the end of the first, and writes each one's integrals into it.
#[inline(always)]
fn march<const GAINS: bool>(arms: &mut [Contender], parts: &mut [Part], start: f64) {
    for part in parts.iter_mut().take(arms.len()) {
        (part.mass, part.moment) = ([0.0; LANES], [0.0; LANES]);
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
        integrate::<GAINS>(&arms[..n_going_on], parts, t + half, half);
        let next = if n_steps > 1.0 { t + 2.0 * half } else { end };
        if next <= t || next.is_nan() {
            // A difference has overflowed, or a step is lost in rounding.
            break;
        }
        t = next;
    }
    for (arm, part) in arms.iter_mut().zip(parts.iter()) {
        arm.mass = part.mass.iter().sum::<f64>() * arm.precision;
        if GAINS {
            arm.gain = part.moment.iter().sum::<f64>();
        }
    }
}

/// Adds ∫ φ_a Π_{b≠a} Φ_b over [middle − half, middle + half] to each action's mass, and the moment likewise.
#[inline(always)]
fn integrate<const GAINS: bool>(arms: &[Contender], parts: &mut [Part], middle: f64, half: f64) {
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
    for (arm, part) in arms.iter().zip(parts.iter_mut()).rev() {
        for lane in 0..LANES {
            let mass = part.density[lane] * part.before[lane] * after[lane];
            part.mass[lane] += mass;
            if GAINS {
                part.moment[lane] += mass * (nodes[lane] - arm.mean) * arm.precision;
            }
            after[lane] *= part.distribution[lane];
        }
    }
}
