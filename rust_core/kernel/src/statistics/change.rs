//! Detects that outcomes no longer follow what has been learned.

use super::bets::Bets;
use crate::error::{KernelError, Result};
use crate::names::Names;

/// Share of a prediction's standard deviation that is forgiven on top of the slack: the module that is chosen is more often
/// than not one whose score is too high (the winner's curse), by a part of its uncertainty. Measured in
/// `docs/adr/0009-change-detection.md`.
const FORGIVEN_DEVIATIONS: f64 = 0.5;

/// What the sum over modules may have lost by being kept up by differences: with one module it is that of all residuals.
const ROUNDING: f64 = 1e-9;

/// Raises an alarm when residuals leave their mean of zero, with a stated rate of false alarms.
///
/// Source: Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", 2023
/// (definition 2.2 and section 3: Shiryaev–Roberts e-detectors, mixtures over baseline increments). With residuals
/// e = utility − prediction in [−1, 1], the stream of all residuals and the stream of each module have their bets (`Bets`),
/// M^all and M^m, and the alarm is at
///
/// M = ½ M^all + ½ Σ_m M^m >= 1 / α.
///
/// **False alarms.** While E[e | past, module] is within ± (slack + uncertainty / 2), the mean time to an alarm is at least
/// 1/α observations, whatever the distribution, the dependence and the number of modules. For each M^m grows by at most 1
/// in expectation per observation *of that module*, so both sums grow by at most 1 per observation and M_n − n is a
/// supermartingale: at the alarm the mean of n is at least that of M_n, which is at least 1/α. Modules share α without
/// paying for their number.
///
/// After an alarm it starts anew. It holds 24 numbers per module and never forgets a module between alarms. No clock and no
/// randomness: the same observations give the same bits.
#[derive(Clone, Debug)]
pub struct ChangeDetector {
    pub(super) alpha: f64,
    pub(super) slack: f64,
    /// Observations so far, over all alarms.
    pub(super) count: u64,
    pub(super) all: Bets,
    pub(super) names: Names,
    /// By place in `names`.
    pub(super) modules: Vec<Bets>,
    /// Σ_m M^m, kept up by differences: 1,000 modules cost what one costs.
    pub(super) modules_sum: f64,
}

/// That, where and since when something has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// ln(1 + M) at the alarm.
    pub evidence: f64,
    /// How many of the latest observations came after the change, as estimated: >= 1. It is the age of the best bettor (Page's
    /// CUSUM estimate, "Continuous inspection schemes", 1954).
    pub n_after: u64,
    /// Modules whose own evidence M^m is at least √(1/α), by name, where the modules' evidence is no less than that of all residuals
    /// together; else empty: any may have changed. Where few have changed the outcomes of the others speak against M^all,
    /// where all have, no M^m grows as fast.
    pub modules: Vec<String>,
}

impl ChangeDetector {
    /// A detector that has seen nothing.
    ///
    /// `alpha`: one over the least mean number of observations between false alarms, [1e-30, 1]. `slack`: mean residual
    /// that is no change, [0, 1]; a model that is too simple has a lasting one.
    ///
    /// # Errors
    /// `InvalidInput` if an argument is out of its range or not a number.
    ///
    /// ```
    /// use pilotfish_kernel::statistics::ChangeDetector;
    /// let mut detector = ChangeDetector::new(1e-6, 0.05)?;
    /// assert!((0..1000).all(|i| detector.observe(if i % 2 == 0 { 0.4 } else { -0.4 }, "ocr", 0.0, None).unwrap().is_none()));
    /// let alarm = (0..100).find_map(|_| detector.observe(-0.4, "ocr", 0.0, None).unwrap()).unwrap();
    /// assert_eq!(alarm.modules, ["ocr"]);
    /// assert!(alarm.n_after > 50 && alarm.n_after < 60);
    /// # Ok::<(), pilotfish_kernel::KernelError>(())
    /// ```
    pub fn new(alpha: f64, slack: f64) -> Result<Self> {
        check("alpha", alpha, "in [1e-30, 1]", (1e-30..=1.0).contains(&alpha))?;
        check("slack", slack, "in [0, 1]", (0.0..=1.0).contains(&slack))?;
        let (names, modules) = (Names::default(), Vec::new());
        Ok(Self { alpha, slack, count: 0, all: Bets::default(), names, modules, modules_sum: 0.0 })
    }

    /// Takes in one learned outcome and says whether it raises the alarm.
    ///
    /// `residual`: utility − prediction, the prediction made before this outcome was learned and clipped to [0, 1], so in
    /// [−1, 1]. `module`: what ran. `uncertainty`: standard deviation of that prediction, >= 0, 0 if it has none. `utility`: in
    /// [0, 1]; with it the bets know what was predicted, and so how far the residual could have fallen and risen: a change is
    /// found in a third of the time. `None`: it could have been anything in [−1, 1].
    ///
    /// Cost: two streams of 8 bets, whatever the number of modules; an alarm goes through all modules.
    ///
    /// # Errors
    /// `InvalidInput` if an argument is out of its range or not a number.
    pub fn observe(
        &mut self,
        residual: f64,
        module: &str,
        uncertainty: f64,
        utility: Option<f64>,
    ) -> Result<Option<Alarm>> {
        check("residual", residual, "in [-1, 1]", residual.abs() <= 1.0)?;
        let rooms = match utility {
            None => [1.0; 2],
            Some(utility) => rooms(residual, utility)?,
        };
        check("uncertainty", uncertainty, "finite and >= 0", uncertainty.is_finite() && uncertainty >= 0.0)?;
        let slack = self.slack + FORGIVEN_DEVIATIONS * uncertainty;
        let place = self.names.find(Names::hash(module), module).unwrap_or_else(|| {
            self.modules.push(Bets::default());
            self.names.push(module)
        });
        self.all.observe(residual, rooms, slack, self.count);
        if let Some(bets) = self.modules.get_mut(place) {
            self.modules_sum += bets.observe(residual, rooms, slack, self.count);
        }
        self.count = self.count.saturating_add(1);
        if self.statistic() < 1.0 / self.alpha {
            return Ok(None);
        }
        let alarm = self.alarm();
        self.start_anew();
        Ok(Some(alarm))
    }

    /// ln(1 + M), >= 0: 0 when nothing has been seen since the last alarm. The alarm is at `threshold`.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        libm::log1p(self.statistic())
    }

    /// ln(1 + 1/α).
    #[must_use]
    pub fn threshold(&self) -> f64 {
        libm::log1p(1.0 / self.alpha)
    }

    /// One over the least mean number of observations between false alarms.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// Mean residual that is no change.
    #[must_use]
    pub fn slack(&self) -> f64 {
        self.slack
    }

    /// Observations so far, over all alarms.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Forgets all evidence, as after an alarm: for when the model itself was replaced. The count goes on.
    pub fn start_anew(&mut self) {
        self.all = Bets::default();
        self.names = Names::default();
        self.modules.clear();
        self.modules_sum = 0.0;
    }

    /// M.
    fn statistic(&self) -> f64 {
        0.5 * (self.all.mean() + self.modules_sum)
    }

    fn alarm(&self) -> Alarm {
        let blamed_from = libm::sqrt(1.0 / self.alpha);
        // In the order of names, so that ties are broken alike after a restart.
        let streams =
            self.names.sorted().into_iter().filter_map(|(place, name)| Some((name, self.modules.get(place)?)));
        let is_local = self.modules_sum >= self.all.mean() * (1.0 - ROUNDING);
        let (mut winner, mut modules) = (self.all.winner(), Vec::new());
        for (name, bets) in streams {
            let own = bets.winner();
            if own.0 > winner.0 {
                winner = own;
            }
            if is_local && bets.mean() >= blamed_from {
                modules.push(name.to_owned());
            }
        }
        Alarm { evidence: self.evidence(), n_after: self.count.saturating_sub(winner.1), modules }
    }
}

/// How far a residual can lie below and above 0: the prediction, and 1 less that.
fn rooms(residual: f64, utility: f64) -> Result<[f64; 2]> {
    check("utility", utility, "in [0, 1]", (0.0..=1.0).contains(&utility))?;
    let predicted = utility - residual;
    // Both are given to rounding only.
    let rule = "within 1e-9 of the utility less a prediction in [0, 1]";
    check("residual", residual, rule, (-1e-9..=1.0 + 1e-9).contains(&predicted))?;
    let predicted = predicted.clamp(0.0, 1.0);
    Ok([predicted, 1.0 - predicted])
}

fn check(name: &str, value: f64, rule: &str, holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(KernelError::invalid(name, value, rule)) }
}
