//! Whether as many units arrive in the treatment as were sent there.

use serde::{Deserialize, Serialize};

use crate::error::{KernelError, Result};
use crate::sealed::Seal;

const SEAL: Seal = Seal { magic: b"pilotsrm", version: 1 };
/// Faults that are looked for, as the part of one arm's records that is lost, and the evidence staked on each. The small one
/// is what was asked for; the large one finds a broken arm early.
const FAULTS: [(f64, f64); 2] = [(0.02, 0.8), (0.2, 0.2)];
/// Beyond, the logarithms of gamma functions cancel to less than a digit.
const COUNT_MAX: u64 = 1_000_000_000_000;

/// A sample-ratio test that may be looked at after every observation: its chance of ever raising a false alarm is at most α.
///
/// Source: Lindon, Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022, for two arms: the
/// ratio of the Beta-binomial to the binomial likelihood is a martingale from 1 under the expected share s, so it ever
/// reaches 1 / α with probability α at most (Ville). The prior is a mixture of Beta(κs, κ(1 − s)): a part f of one arm's
/// records that is lost moves the share by about f s(1 − s), and κ = 1 / (f² s(1 − s)) makes that the prior's standard
/// deviation. Figures: `docs/adr/0012-anytime-valid-read-out.md`.
///
/// It holds two counts and the largest evidence so far. Observations must be independent given the share: one per unit, not
/// one per decision of a unit.
#[derive(Clone, Debug)]
pub struct SampleRatio {
    expected_share: f64,
    alpha: f64,
    count: u64,
    treatment_count: u64,
    /// Largest ln of the ratio so far, >= 0.
    largest: f64,
}

#[derive(Serialize, Deserialize)]
struct Body {
    expected_share: f64,
    alpha: f64,
    count: u64,
    treatment_count: u64,
    largest: f64,
}

impl SampleRatio {
    /// A test that has seen nothing.
    ///
    /// `expected_share`: chance of a unit to be in the treatment, [1e-6, 1 − 1e-6]. `alpha`: chance of ever raising a false
    /// alarm, [1e-30, 1).
    ///
    /// # Errors
    /// `InvalidInput` if an argument is out of its range or not a number.
    ///
    /// ```
    /// use pilotfish_kernel::statistics::SampleRatio;
    /// let mut ratio = SampleRatio::new(0.5, 0.01)?;
    /// ratio.observe_counts(5_000, 5_000)?;
    /// assert!(!ratio.is_mismatch());
    /// ratio.observe_counts(0, 500)?;
    /// assert!(ratio.is_mismatch());
    /// # Ok::<(), pilotfish_kernel::KernelError>(())
    /// ```
    pub fn new(expected_share: f64, alpha: f64) -> Result<Self> {
        let share_is_valid = (1e-6..=1.0 - 1e-6).contains(&expected_share);
        check("expected_share", expected_share, "in [1e-6, 1 - 1e-6]", share_is_valid)?;
        check("alpha", alpha, "in [1e-30, 1)", (1e-30..1.0).contains(&alpha))?;
        Ok(Self { expected_share, alpha, count: 0, treatment_count: 0, largest: 0.0 })
    }

    /// Takes in one unit.
    ///
    /// # Errors
    /// `InvalidInput` if 10¹² have been taken in.
    pub fn observe(&mut self, in_treatment: bool) -> Result<()> {
        self.observe_counts(u64::from(in_treatment), u64::from(!in_treatment))
    }

    /// Takes in so many units of each arm, and looks once.
    ///
    /// # Errors
    /// `InvalidInput` if there would be more than 10¹² in all.
    pub fn observe_counts(&mut self, treatment: u64, control: u64) -> Result<()> {
        let count = self.count.saturating_add(treatment).saturating_add(control);
        if count > COUNT_MAX {
            return Err(KernelError::invalid("count", count, format!("<= {COUNT_MAX}")));
        }
        self.count = count;
        self.treatment_count += treatment;
        self.largest = self.largest.max(self.evidence());
        Ok(())
    }

    /// ln of the ratio of the likelihoods with all that was seen; 0 when nothing was. It may fall again.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let s = self.expected_share;
        let (treated, others) = (self.treatment_count as f64, (self.count - self.treatment_count) as f64);
        let expected = treated * libm::log(s) + others * libm::log1p(-s);
        let ratios = FAULTS.map(|(fault, weight)| {
            let concentration = 1.0 / (fault * fault * s * (1.0 - s));
            let (a, b) = (concentration * s, concentration * (1.0 - s));
            libm::log(weight) + ln_beta(a + treated, b + others) - ln_beta(a, b) - expected
        });
        let largest = ratios.into_iter().fold(f64::NEG_INFINITY, f64::max);
        largest + libm::log(ratios.into_iter().map(|ratio| libm::exp(ratio - largest)).sum())
    }

    /// ln(1 / α): the evidence at which there is a mismatch.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        -libm::log(self.alpha)
    }

    /// Whether the evidence has ever reached the threshold: once it has, this stays.
    #[must_use]
    pub fn is_mismatch(&self) -> bool {
        self.largest >= self.threshold()
    }

    /// Chance of a unit to be in the treatment.
    #[must_use]
    pub fn expected_share(&self) -> f64 {
        self.expected_share
    }

    /// Chance of ever raising a false alarm.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// Units so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Units so far in the treatment.
    #[must_use]
    pub fn treatment_count(&self) -> u64 {
        self.treatment_count
    }

    /// The test as bytes, settings included.
    ///
    /// # Errors
    /// `State` if the bytes cannot be written, which is a bug.
    pub fn state(&self) -> Result<Vec<u8>> {
        let Self { expected_share, alpha, count, treatment_count, largest } = *self;
        SEAL.close(&Body { expected_share, alpha, count, treatment_count, largest })
    }

    /// Restores a test to the bit.
    ///
    /// # Errors
    /// `State` saying what is wrong with the bytes.
    pub fn from_state(state: &[u8]) -> Result<Self> {
        let Body { expected_share, alpha, count, treatment_count, largest } = SEAL.open(state)?;
        let empty = Self::new(expected_share, alpha);
        let empty = empty.map_err(|error| KernelError::state(format!("state's {error}")))?;
        if count > COUNT_MAX || treatment_count > count {
            let counts = format!("{treatment_count} of {count}");
            return Err(KernelError::state(format!(
                "state's counts == {counts}, must be a part of at most {COUNT_MAX}"
            )));
        }
        let restored = Self { count, treatment_count, largest, ..empty };
        if !largest.is_finite() || largest < restored.evidence().max(0.0) {
            let rule = "finite and at least that of the counts";
            return Err(KernelError::state(format!("state's largest evidence == {largest}, must be {rule}")));
        }
        Ok(restored)
    }
}

/// ln B(a, b).
fn ln_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

fn check(name: &str, value: f64, rule: &str, holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(KernelError::invalid(name, value, rule)) }
}
