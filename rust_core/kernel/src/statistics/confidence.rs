//! Where the mean of bounded observations lies, whenever one looks.

use serde::{Deserialize, Serialize};

use super::boundary::{Boundary, Powers};
use crate::error::{KernelError, Result};
use crate::sealed::Seal;

const SEAL: Seal = Seal { magic: b"pilotcsq", version: 1 };
/// Observations are squared, and differences divided by: far from both ends of f64.
const MAGNITUDE_MAX: f64 = 1e9;
const WIDTH_MIN: f64 = 1e-9;

/// An interval for the mean of bounded observations that holds at all times at once with probability 1 − α.
///
/// Source: Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of
/// Statistics 2021: theorem 4 (empirical Bernstein, predictable centre), with a discrete mixture over λ and two further terms
/// of its series (`boundary.rs` has the proof). Lower end: (S − D) / n with S = Σ X and D the distance at which the wealth of
/// the bets comes to 2 / α, a function of Σ ξ², Σ ξ³ and Σ ξ⁴; ξ_i = X_i − x̂_{i−1}, x̂ the mean so far, clipped to the range of
/// the mean, whose middle it is before the first observation. The upper end mirrored.
///
/// **What is promised.** For observations X_t in [low, high] with conditional means μ_t = E[X_t | past] in [mean_low,
/// mean_high], of whatever distribution and dependence: with probability 1 − α every interval ever returned holds the mean of
/// μ_1 … μ_n of its time. Not asymptotic; one may look after every observation and stop when one likes. Intervals of
/// different times are not intersected: where the μ_t move, each is about its own time. (For a constant mean the
/// intersection holds as well, so a decision may be taken at the first interval that excludes a value.)
///
/// With an `expected_count` it is tightest at that number of observations, on which 4/5 of the wealth is staked; without
/// one the bets are spread from 50 to 10⁶. They are laid out for `expected_deviation`, the standard deviation of an
/// observation; without one for √((high − low) (mean_high − mean_low)) / 2, the largest that observations in [0, 1] can have,
/// and nearly that of outcomes weighted by inverse propensities. Both are about tightness only. Figures:
/// `docs/adr/0012-anytime-valid-read-out.md`.
///
/// It holds five numbers. No clock and no randomness: the same observations in the same order give the same bits.
#[derive(Clone, Debug)]
pub struct ConfidenceSequence {
    settings: Settings,
    above: Boundary,
    below: Boundary,
    count: u64,
    sum: f64,
    powers: Powers,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Settings {
    low: f64,
    high: f64,
    mean_low: f64,
    mean_high: f64,
    alpha: f64,
    expected_count: Option<f64>,
    expected_deviation: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    settings: Settings,
    count: u64,
    sum: f64,
    powers: Powers,
}

impl ConfidenceSequence {
    /// A sequence that has seen nothing.
    ///
    /// `low`, `high`: range of an observation, within ± 1e9 and at least 1e-9 wide. `mean_low`, `mean_high`: range of every
    /// conditional mean, low <= mean_low < mean_high <= high. `alpha`: chance of an interval ever being wrong, [1e-30, 1).
    /// `expected_count`: observations for which the interval shall be tightest, [1, 1e12]. `expected_deviation`: standard
    /// deviation of an observation, (0, high − low].
    ///
    /// # Errors
    /// `InvalidInput` if an argument is out of its range or not a number.
    ///
    /// ```
    /// use pilotfish_kernel::statistics::ConfidenceSequence;
    /// let mut mean = ConfidenceSequence::new(0.0, 1.0, 0.0, 1.0, 0.05, None, None)?;
    /// assert_eq!(mean.interval(), (0.0, 1.0));
    /// for i in 0..1000 {
    ///     mean.observe(if i % 4 == 0 { 0.0 } else { 1.0 })?;
    /// }
    /// let (low, high) = mean.interval();
    /// assert!(0.68 < low && low < 0.75 && 0.75 < high && high < 0.81);
    /// # Ok::<(), pilotfish_kernel::KernelError>(())
    /// ```
    pub fn new(
        low: f64,
        high: f64,
        mean_low: f64,
        mean_high: f64,
        alpha: f64,
        expected_count: Option<f64>,
        expected_deviation: Option<f64>,
    ) -> Result<Self> {
        let within = |value: f64| value.abs() <= MAGNITUDE_MAX;
        check("low", low, || "within ± 1e9".to_owned(), within(low))?;
        check("high", high, || format!("at least low + 1e-9 == {}, within ± 1e9", low + WIDTH_MIN), {
            within(high) && high - low >= WIDTH_MIN
        })?;
        check("mean_low", mean_low, || format!("in [{low}, {high})"), low <= mean_low && mean_low < high)?;
        check(
            "mean_high",
            mean_high,
            || format!("in ({mean_low}, {high}]"),
            mean_low < mean_high && mean_high <= high,
        )?;
        check("alpha", alpha, || "in [1e-30, 1)".to_owned(), (1e-30..1.0).contains(&alpha))?;
        if let Some(count) = expected_count {
            check("expected_count", count, || "in [1, 1e12]".to_owned(), (1.0..=1e12).contains(&count))?;
        }
        if let Some(deviation) = expected_deviation {
            let is_within = 0.0 < deviation && deviation <= high - low;
            check("expected_deviation", deviation, || format!("in (0, {}]", high - low), is_within)?;
        }
        let threshold = libm::log(2.0 / alpha);
        let usual = libm::sqrt((high - low) * (mean_high - mean_low)) / 2.0;
        let deviation = expected_deviation.unwrap_or(usual);
        let boundary = |depth: f64| Boundary::new(depth, deviation, threshold, expected_count);
        let (above, below) = (boundary(mean_high - low), boundary(high - mean_low));
        let settings = Settings { low, high, mean_low, mean_high, alpha, expected_count, expected_deviation };
        Ok(Self { settings, above, below, count: 0, sum: 0.0, powers: Powers::default() })
    }

    /// Takes in one observation.
    ///
    /// # Errors
    /// `InvalidInput` if it is out of [low, high] or not a number.
    pub fn observe(&mut self, observation: f64) -> Result<()> {
        Self::check_in("observation", observation, self.settings.low, self.settings.high)?;
        self.take(observation);
        Ok(())
    }

    /// Takes in observations up to the first after which `mean` is outside of the interval, and returns its place; without one
    /// all are taken in. A bulk form of `observe` and `interval`, within rounding: no interval is worked out.
    ///
    /// # Errors
    /// `InvalidInput` if any observation is out of [low, high], or `mean` out of the range of the mean; none is taken in then.
    pub fn first_excluding(&mut self, observations: &[f64], mean: f64) -> Result<Option<usize>> {
        Self::check_in("mean", mean, self.settings.mean_low, self.settings.mean_high)?;
        for observation in observations {
            Self::check_in("observation", *observation, self.settings.low, self.settings.high)?;
        }
        for (place, observation) in observations.iter().enumerate() {
            self.take(*observation);
            let distance = self.sum - self.count as f64 * mean;
            let is_outside = if distance > 0.0 {
                self.above.is_reached(distance, self.powers)
            } else {
                self.below.is_reached(-distance, self.powers.mirrored())
            };
            if is_outside {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// The interval of now, within the range of the mean; that whole range when nothing has been observed.
    ///
    /// If observations contradict that range, both ends are at its nearer end.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        let Settings { mean_low, mean_high, .. } = self.settings;
        if self.count == 0 {
            return (mean_low, mean_high);
        }
        let end = |sum: f64| (sum / self.count as f64).clamp(mean_low, mean_high);
        (end(self.sum - self.above.distance(self.powers)), end(self.sum + self.below.distance(self.powers.mirrored())))
    }

    /// Observations so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean of the observations, not clipped; the middle of the range of the mean when there are none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 {
            return f64::midpoint(self.settings.mean_low, self.settings.mean_high);
        }
        self.sum / self.count as f64
    }

    /// The sequence as bytes, settings included: the same bytes for the same observations.
    ///
    /// # Errors
    /// `State` if the bytes cannot be written, which is a bug.
    pub fn state(&self) -> Result<Vec<u8>> {
        let Self { settings, count, sum, powers, .. } = *self;
        SEAL.close(&Body { settings, count, sum, powers })
    }

    /// Restores a sequence to the bit.
    ///
    /// # Errors
    /// `State` saying what is wrong with the bytes.
    pub fn from_state(state: &[u8]) -> Result<Self> {
        let Body { settings, count, sum, powers } = SEAL.open(state)?;
        let Settings { low, high, mean_low, mean_high, alpha, expected_count, expected_deviation } = settings;
        let empty = Self::new(low, high, mean_low, mean_high, alpha, expected_count, expected_deviation);
        let empty = empty.map_err(|error| KernelError::state(format!("state's {error}")))?;
        // Rounding of sums is far below a part in a thousand.
        let (n, width) = (count as f64, (high - low) * (1.0 + 1e-3));
        let slack = n * (width - (high - low));
        let (square, rise) = (width * width, width * powers.second);
        for (name, value, least, most) in [
            ("sum", sum, n * low - slack, n * high + slack),
            ("second power", powers.second, 0.0, n * square),
            ("third power", powers.third, -rise, rise),
            ("fourth power", powers.fourth, 0.0, width * rise),
        ] {
            if !(least..=most).contains(&value) {
                return Err(KernelError::state(format!("state's {name} == {value}, must be in [{least}, {most}]")));
            }
        }
        Ok(Self { count, sum, powers, ..empty })
    }

    fn take(&mut self, observation: f64) {
        let residual = observation - self.mean().clamp(self.settings.mean_low, self.settings.mean_high);
        self.powers.add(residual);
        self.sum += observation;
        self.count += 1;
    }

    fn check_in(name: &str, value: f64, low: f64, high: f64) -> Result<()> {
        check(name, value, || format!("in [{low}, {high}]"), (low..=high).contains(&value))
    }
}

fn check(name: &str, value: f64, rule: impl FnOnce() -> String, holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(KernelError::invalid(name, value, rule())) }
}
