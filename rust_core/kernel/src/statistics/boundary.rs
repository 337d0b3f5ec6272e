//! How far a sum of bounded observations may stray from that of their means, at all times at once.

use serde::{Deserialize, Serialize};

/// Largest y = λc that is bet: near 1 one low observation would take all that has been won. It is the best for an effect that
/// about 40 observations show.
const STAKE_MAX: f64 = 0.8;
/// Neighbours on the grid of λ: r times the best λ grows 2r − r² times as fast, so between two of them at most 1/9 is missed.
const GRID_RATIO: f64 = 0.5;
/// Counts of observations up to which bets carry the full weight.
const COUNT_MAX: f64 = 1e6;
/// Beyond, so that the interval goes on shrinking: further bets, each of which carries a quarter of the one before.
const FURTHER_BETS: i32 = 8;
const FURTHER_RATIO: f64 = 0.25;
/// Share of the wealth that is bet on the expected count, if there is one. The rest finds what is far from expected.
const TUNED_SHARE: f64 = 0.8;

/// Sums of powers of ξ = X − centre, from the second to the fourth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Powers {
    pub second: f64,
    pub third: f64,
    pub fourth: f64,
}

impl Powers {
    pub fn add(&mut self, residual: f64) {
        let square = residual * residual;
        self.second += square;
        self.third += square * residual;
        self.fourth += square * square;
    }

    /// Those of −ξ.
    pub fn mirrored(self) -> Self {
        Self { third: -self.third, ..self }
    }
}

/// ln of the mean over the bets λ of exp(λ D − λ²/2 Σ ξ² + λ³/3 Σ ξ³ − κ λ⁴ Σ ξ⁴), D = Σ (X − mean): the wealth of a bettor
/// who believes in larger means.
///
/// Each term is a supermartingale from 1, and so is their mean. For λξ >= −y > −1, from the remainder of the logarithm's
/// series, z⁴ ∫₀¹ s³ / (1 + sz) ds, which falls in z,
///
/// ln(1 + z) >= z − z²/2 + z³/3 − κ z⁴ at z = λξ, κ = ∫₀¹ s³ / (1 − sy) ds = Σ_{i >= 4} y^{i−4} / i,
///
/// and the expectation of 1 + λξ given the past is 1 + λ (mean − centre) <= exp(λ (mean − centre)) if the centre is known
/// before. With two terms instead of four this is the empirical Bernstein bound of Howard et al. 2021, theorem 4 (lemma of
/// Fan, Grama, Liu 2015); the further two know the skewness, without which few, large observations are read too timidly.
#[derive(Clone, Debug)]
pub struct Boundary {
    bets: Vec<Bet>,
    /// ln of the wealth that is won with a probability of at most its inverse.
    threshold: f64,
    /// ln of the number of bets: the mean is at most that above the largest term.
    bets_ln: f64,
}

#[derive(Clone, Debug)]
struct Bet {
    weight_ln: f64,
    lambda: f64,
    /// What the powers are multiplied by: λ²/2, −λ³/3, κ λ⁴.
    costs: [f64; 3],
}

impl Boundary {
    /// `depth`: c > 0, how far an observation may lie below its predictable centre. `deviation`: standard deviation of an
    /// observation for which the bets are laid out, in (0, c]. `threshold`: ln(1 / chance of ever crossing it), > 0.
    /// `expected_count`: observations for which the bound shall be tightest; without it about alike from 50 to 10⁶.
    pub fn new(depth: f64, deviation: f64, threshold: f64, expected_count: Option<f64>) -> Self {
        // λ for which the bound (threshold + λ² deviation² n / 2) / λ is least after n observations.
        let best = |n: f64| libm::sqrt(2.0 * threshold / n) / deviation;
        let mut laid = Vec::new();
        let (mut lambda, last) = (STAKE_MAX / depth, best(COUNT_MAX));
        laid.push((1.0, lambda));
        while lambda > last {
            lambda *= GRID_RATIO;
            laid.push((1.0, lambda));
        }
        let mut weight = 1.0;
        for _ in 0..FURTHER_BETS {
            (weight, lambda) = (weight * FURTHER_RATIO, lambda * GRID_RATIO);
            laid.push((weight, lambda));
        }
        if let Some(count) = expected_count {
            let broad: f64 = laid.iter().map(|(weight, _)| weight).sum();
            laid.push((broad * TUNED_SHARE / (1.0 - TUNED_SHARE), best(count).min(STAKE_MAX / depth)));
        }
        let total: f64 = laid.iter().map(|(weight, _)| weight).sum();
        let bet = |(weight, lambda): (f64, f64)| {
            let square = lambda * lambda;
            let costs = [square / 2.0, -square * lambda / 3.0, remainder(lambda * depth) * square * square];
            Bet { weight_ln: libm::log(weight / total), lambda, costs }
        };
        let bets: Vec<Bet> = laid.into_iter().map(bet).collect();
        let bets_ln = libm::log(bets.len() as f64);
        Self { bets, threshold, bets_ln }
    }

    /// Whether the wealth at D and these powers has reached the threshold.
    #[must_use]
    pub fn is_reached(&self, distance: f64, powers: Powers) -> bool {
        let largest = self.largest(distance, powers);
        largest >= self.threshold
            || largest + self.bets_ln >= self.threshold && self.wealth_and_slope(distance, powers).0 >= self.threshold
    }

    /// The least D whose wealth at these powers reaches the threshold, >= 0, from above within rounding.
    ///
    /// ln wealth is convex and rises in D, so Newton's steps from the right of the root never pass it.
    #[must_use]
    pub fn distance(&self, powers: Powers) -> f64 {
        let alone = self.bets.iter().map(|bet| (self.threshold - bet.weight_ln + bet.cost(powers)) / bet.lambda);
        let mut distance = alone.fold(f64::INFINITY, f64::min);
        for _ in 0..50 {
            let (wealth, slope) = self.wealth_and_slope(distance, powers);
            let step = (wealth - self.threshold) / slope;
            if step <= 1e-13 * distance {
                break;
            }
            distance -= step;
        }
        distance
    }

    fn largest(&self, distance: f64, powers: Powers) -> f64 {
        self.bets.iter().map(|bet| bet.exponent(distance, powers)).fold(f64::NEG_INFINITY, f64::max)
    }

    /// ln wealth and its derivative by D.
    fn wealth_and_slope(&self, distance: f64, powers: Powers) -> (f64, f64) {
        let largest = self.largest(distance, powers);
        let (mut sum, mut rise) = (0.0, 0.0);
        for bet in &self.bets {
            let term = libm::exp(bet.exponent(distance, powers) - largest);
            sum += term;
            rise += term * bet.lambda;
        }
        (largest + libm::log(sum), rise / sum)
    }
}

impl Bet {
    fn cost(&self, powers: Powers) -> f64 {
        let [second, third, fourth] = self.costs;
        second * powers.second + third * powers.third + fourth * powers.fourth
    }

    fn exponent(&self, distance: f64, powers: Powers) -> f64 {
        self.weight_ln + self.lambda * distance - self.cost(powers)
    }
}

/// κ = Σ_{i >= 4} y^{i−4} / i for a stake y in [0, 0.8]; the closed form, with ln(1 − y), cancels for small ones.
fn remainder(stake: f64) -> f64 {
    let (mut sum, mut power, mut index) = (0.0, 1.0, 4.0);
    while power > 1e-18 {
        sum += power / index;
        (power, index) = (power * stake, index + 1.0);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTH: f64 = 3.0;

    fn boundary() -> Boundary {
        Boundary::new(DEPTH, 1.0, libm::log(40.0), Some(400.0))
    }

    #[test]
    fn the_remainder_is_its_closed_form() {
        // (ln(1/(1 − y)) − y − y²/2 − y³/3) / y⁴ at y = 1/2, and 1/4 + y/5 for a small one.
        let closed = (libm::log(2.0) - 0.5 - 0.125 - 1.0 / 24.0) * 16.0;
        assert!((remainder(0.5) - closed).abs() < 1e-14);
        assert!((remainder(1e-6) - 0.250_000_2).abs() < 1e-12);
    }

    #[test]
    fn bets_share_one_wealth_and_the_expected_count_has_four_fifths() {
        let boundary = boundary();
        let weights: Vec<f64> = boundary.bets.iter().map(|bet| libm::exp(bet.weight_ln)).collect();
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-14);
        let tuned = boundary.bets.last().unwrap();
        assert!((libm::exp(tuned.weight_ln) - 0.8).abs() < 1e-14);
        assert!((tuned.lambda - libm::sqrt(2.0 * libm::log(40.0) / 400.0)).abs() < 1e-15);
        assert!(boundary.bets.iter().all(|bet| bet.lambda * DEPTH < 0.8 + 1e-15));
    }

    #[test]
    fn two_observations_by_hand() {
        // y = 1/2, c = 1: costs 1/8, −1/24 and κ/16 of ξ = 1 and ξ = −1/2.
        let costs = [0.125, -1.0 / 24.0, remainder(0.5) / 16.0];
        let bet = Bet { weight_ln: 0.0, lambda: 0.5, costs };
        let mut powers = Powers::default();
        powers.add(1.0);
        powers.add(-0.5);
        assert_eq!(powers, Powers { second: 1.25, third: 0.875, fourth: 1.0625 });
        let by_hand = 0.5 * 0.7 - 1.25 / 8.0 + 0.875 / 24.0 - 1.0625 / 16.0 * remainder(0.5);
        assert!((bet.exponent(0.7, powers) - by_hand).abs() < 1e-15);
    }

    #[test]
    fn the_deepest_observation_is_charged_exactly_and_none_too_little() {
        for bet in &boundary().bets {
            for step in 0..=200_u32 {
                let residual = -DEPTH + f64::from(step) * 0.05;
                let mut powers = Powers::default();
                powers.add(residual);
                let spare = libm::log1p(bet.lambda * residual) - (bet.lambda * residual - bet.cost(powers));
                assert!(spare >= -1e-15, "{bet:?} at {residual}: {spare}");
                assert!(step > 0 || spare <= 1e-12, "{bet:?}: {spare}");
            }
        }
    }

    #[test]
    fn no_coin_makes_a_bettor_richer_than_the_mean_allows() {
        // Observations −2 or 4 with mean μ in [−1, 1], centre x̂ in [−1, 1]: depth 3. E exp(λ(X − μ) − cost) <= 1.
        for bet in &boundary().bets {
            for (mean, centre) in (0..=20_u32).flat_map(|i| (0..=20_u32).map(move |j| (i, j))) {
                let (mean, centre) = (f64::from(mean) / 10.0 - 1.0, f64::from(centre) / 10.0 - 1.0);
                let chance = (mean + 2.0) / 6.0;
                let expected: f64 = [(-2.0, 1.0 - chance), (4.0, chance)]
                    .map(|(value, weight)| {
                        let mut powers = Powers::default();
                        powers.add(value - centre);
                        weight * libm::exp(bet.lambda * (value - mean) - bet.cost(powers))
                    })
                    .iter()
                    .sum();
                assert!(expected <= 1.0 + 1e-12, "{bet:?}, mean {mean}, centre {centre}: {expected}");
            }
        }
    }

    #[test]
    fn the_distance_is_where_the_threshold_is_reached() {
        let mut powers = Powers::default();
        for step in 0..2_000_u32 {
            let distance = boundary().distance(powers);
            assert!(boundary().is_reached(distance * (1.0 + 1e-9), powers), "{powers:?}: {distance}");
            assert!(!boundary().is_reached(distance * (1.0 - 1e-9), powers), "{powers:?}: {distance}");
            powers.add(f64::from(step % 7) - 3.0);
        }
    }
}
