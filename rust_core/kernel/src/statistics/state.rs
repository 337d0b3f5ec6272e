//! A detector as bytes: it is kept beside the model, so that a restart goes on where the log was left.

use serde::{Deserialize, Serialize};

use super::bets::{Bets, N_BETS};
use super::change::ChangeDetector;
use crate::error::{KernelError, Result};
use crate::sealed::Seal;

const SEAL: Seal = Seal { magic: b"pilotchg", version: 2 };

/// Modules are in the order of their names.
#[derive(Serialize, Deserialize)]
struct Body {
    alpha: f64,
    slack: f64,
    count: u64,
    all: BetsBody,
    modules: Vec<(String, BetsBody)>,
    modules_sum: f64,
}

#[derive(Serialize, Deserialize)]
struct BetsBody {
    sums: [f64; N_BETS],
    best: [f64; N_BETS],
    starts: [u64; N_BETS],
}

impl ChangeDetector {
    /// The detector as bytes: the same bytes for the same observations.
    ///
    /// # Errors
    /// `State` if the bytes cannot be written, which is a bug.
    pub fn state(&self) -> Result<Vec<u8>> {
        let named = self.names.sorted().into_iter();
        let modules =
            named.filter_map(|(place, name)| Some((name.to_owned(), write(self.modules.get(place)?)))).collect();
        SEAL.close(&Body {
            alpha: self.alpha,
            slack: self.slack,
            count: self.count,
            all: write(&self.all),
            modules,
            modules_sum: self.modules_sum,
        })
    }

    /// Restores a detector to the bit.
    ///
    /// # Errors
    /// `State` saying what is wrong with the bytes.
    pub fn from_state(state: &[u8]) -> Result<Self> {
        let body: Body = SEAL.open(state)?;
        let settings = Self::new(body.alpha, body.slack);
        let mut detector = settings.map_err(|error| KernelError::state(format!("state's {error}")))?;
        detector.count = body.count;
        detector.all = read(&body.all, body.count, "all modules")?;
        detector.modules_sum = body.modules_sum;
        let mut previous: Option<String> = None;
        for (name, bets) in body.modules {
            if previous.as_ref().is_some_and(|previous| *previous >= name) {
                return Err(KernelError::state(format!("state's module {name} is not in the order of names")));
            }
            detector.modules.push(read(&bets, body.count, &name)?);
            detector.names.push(&name);
            previous = Some(name);
        }
        let sum: f64 = detector.modules.iter().map(Bets::mean).sum();
        // Kept up by differences, so not to the bit; rounding is far below this.
        let (kept, tolerance) = (detector.modules_sum, 1e-6 * (1.0 + sum + 1.0 / detector.alpha));
        if kept.is_nan() || (kept - sum).abs() > tolerance {
            return Err(KernelError::state(format!("state's sum over modules == {kept}, must be {sum}")));
        }
        Ok(detector)
    }
}

fn write(bets: &Bets) -> BetsBody {
    BetsBody { sums: bets.sums, best: bets.best, starts: bets.starts }
}

fn read(body: &BetsBody, count: u64, stream: &str) -> Result<Bets> {
    let wealth = body.sums.iter().chain(&body.best);
    if let Some(value) = wealth.copied().find(|value| !(value.is_finite() && *value >= 0.0)) {
        return Err(KernelError::state(format!("state's evidence of {stream} == {value}, must be finite and >= 0")));
    }
    if let Some(start) = body.starts.iter().find(|start| **start > 0 && **start >= count) {
        return Err(KernelError::state(format!("state's start of {stream} == {start}, must be < {count}")));
    }
    Ok(Bets { sums: body.sums, best: body.best, starts: body.starts })
}
