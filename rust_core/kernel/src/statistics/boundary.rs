//! How far a sum of bounded observations may stray from that of their means, at all times at once.

/// Largest y = λc that is bet: near 1 one low observation would take all that has been won. It is the best for an effect that
/// about 40 observations show.
const STAKE_MAX: f64 = 0.8;
/// Neighbours on the grid of λ: between two of them the growth that is missed is at most (√2 − 1)² / 2 < 9 % of the best.
const GRID_RATIO: f64 = 0.5;
/// Counts of observations up to which bets carry the full weight.
const COUNT_MAX: f64 = 1e6;
/// Beyond, so that the interval goes on shrinking: further bets, each of which carries a quarter of the one before.
const FURTHER_BETS: i32 = 8;
const FURTHER_RATIO: f64 = 0.25;
/// Share of the wealth that is bet on the expected count, if there is one.
const TUNED_SHARE: f64 = 0.75;

/// ln of the mean of exp(λ D − ψ V) over the bets λ, D = Σ (X − mean) and V = Σ (X − centre)²: the wealth of a bettor who
/// believes in larger means.
///
/// With ξ = (X − centre) / c >= −1 and y = λc in [0, 1), exp(yξ − (−ln(1 − y) − y) ξ²) <= 1 + yξ (Fan, Grama, Liu,
/// "Exponential inequalities for martingales with applications", 2015, lemma 4.1; ψ_E in Howard et al. 2021, section
/// 4.2). If the centre is predictable, so is 1 + λ (mean − centre) <= exp(λ (mean − centre)) the bound of its expectation:
/// each exp(λ D − ψ V) with ψ = (−ln(1 − y) − y) / c² is a supermartingale from 1, and so is their mean.
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
    psi: f64,
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
            let stake = lambda * depth;
            let psi = (-libm::log1p(-stake) - stake) / (depth * depth);
            Bet { weight_ln: libm::log(weight / total), lambda, psi }
        };
        let bets: Vec<Bet> = laid.into_iter().map(bet).collect();
        let bets_ln = libm::log(bets.len() as f64);
        Self { bets, threshold, bets_ln }
    }

    /// Whether the wealth at D and V has reached the threshold.
    #[must_use]
    pub fn is_reached(&self, distance: f64, variation: f64) -> bool {
        let largest = self.largest(distance, variation);
        largest >= self.threshold
            || largest + self.bets_ln >= self.threshold
                && self.wealth_and_slope(distance, variation).0 >= self.threshold
    }

    /// The least D whose wealth at V reaches the threshold, >= 0, from above within rounding.
    ///
    /// ln wealth is convex and rises in D, so Newton's steps from the right of the root never pass it.
    #[must_use]
    pub fn distance(&self, variation: f64) -> f64 {
        let alone = self.bets.iter().map(|bet| (self.threshold - bet.weight_ln + bet.psi * variation) / bet.lambda);
        let mut distance = alone.fold(f64::INFINITY, f64::min);
        for _ in 0..50 {
            let (wealth, slope) = self.wealth_and_slope(distance, variation);
            let step = (wealth - self.threshold) / slope;
            if step <= 1e-13 * distance {
                break;
            }
            distance -= step;
        }
        distance
    }

    fn largest(&self, distance: f64, variation: f64) -> f64 {
        self.bets.iter().map(|bet| bet.exponent(distance, variation)).fold(f64::NEG_INFINITY, f64::max)
    }

    /// ln wealth and its derivative by D.
    fn wealth_and_slope(&self, distance: f64, variation: f64) -> (f64, f64) {
        let largest = self.largest(distance, variation);
        let (mut sum, mut rise) = (0.0, 0.0);
        for bet in &self.bets {
            let term = libm::exp(bet.exponent(distance, variation) - largest);
            sum += term;
            rise += term * bet.lambda;
        }
        (largest + libm::log(sum), rise / sum)
    }
}

impl Bet {
    fn exponent(&self, distance: f64, variation: f64) -> f64 {
        self.weight_ln + self.lambda * distance - self.psi * variation
    }
}
