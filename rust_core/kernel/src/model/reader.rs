//! Reads the parts of a state and refuses what no model could have written.
//!
//! A checksum finds damage; these bounds find nonsense that carries a good checksum. With n observations, |x|, |z| at most
//! m = 1000 and r in [0, 1], sums are at most n·m². A ridge solution w of targets y has λ‖w‖² ≤ Σ y², which bounds means
//! by √(n / λ) and couplings by m·√(n / λ); a covariance has its diagonal in (0, 1 / λ], and nothing in it is larger.

use std::sync::Arc;

use super::state::{ArmBody, HeadBody};
use super::{Head, HeadSums};
use crate::encoders::MAGNITUDE_MAX;
use crate::error::{KernelError, Result};
use crate::linalg::{Lane, Rectangular, Symmetric, pack};
use crate::names::Names;
use crate::posteriors::{Arm, ArmSums, Moments, Prior, Shared, SharedSums};

/// Room for rounding in every bound.
const SLACK: f64 = 1.0 + 1e-6;

/// Sizes and prior that the parts must fit.
pub(super) struct Reader {
    pub d: usize,
    pub k: usize,
    pub prior: Prior,
}

impl Reader {
    /// One signal: derived quantities (the noise variance is left to the caller) and sums.
    pub fn head(&self, signal: &str, body: &HeadBody, names: &Names) -> Result<(Head, HeadSums)> {
        let (k, lambda) = (self.k, self.prior.shared_precision);
        let part = Part { place: format!("{signal}/shared"), count: body.moments.0 as f64, lambda };
        let shared = Shared { covariance: part.covariance(k, &body.covariance)?, mean: part.mean(k, &body.mean)? };
        let shared_sums = SharedSums {
            zz: part.sum_of_squares("sum_zz", k, &body.sum_zz)?,
            zr: part.vector("sum_zr", k, &body.sum_zr, part.count * MAGNITUDE_MAX)?,
            moments: part.moments(body.moments)?,
        };
        let mut arms = vec![None; names.len()];
        let mut sums = vec![None; names.len()];
        let (mut last, mut count) = ("", 0_u64);
        for arm in &body.arms {
            let place = format!("{signal}/module/{}", arm.name);
            if arm.name.as_str() <= last {
                return Err(KernelError::state(format!("{place}: names must be ascending and not empty")));
            }
            last = &arm.name;
            let (derived, arm_sums) = self.arm(place, arm)?;
            count = count.saturating_add(arm_sums.moments.count);
            let found = names.find(Names::hash(&arm.name), &arm.name);
            if let Some((arm_slot, sums_slot)) = found.and_then(|at| arms.get_mut(at).zip(sums.get_mut(at))) {
                *arm_slot = Some(Arc::new(derived));
                *sums_slot = Some(Arc::new(arm_sums));
            }
        }
        if count != shared_sums.moments.count {
            let reason = format!("{signal}: {count} values in its modules, must be {}", shared_sums.moments.count);
            return Err(KernelError::state(reason));
        }
        let head = Head { shared, arms, count, noise_variance: 0.0 };
        Ok((head, HeadSums { shared: Arc::new(shared_sums), arms: sums }))
    }

    fn arm(&self, place: String, body: &ArmBody) -> Result<(Arm, ArmSums)> {
        let (d, k) = (self.d, self.k);
        let part = Part { place, count: body.moments.0 as f64, lambda: self.prior.module_precision };
        let coupling_bound = MAGNITUDE_MAX * part.mean_bound();
        let arm = Arm {
            covariance: part.covariance(d, &body.covariance)?,
            coupling: part.rectangular("coupling", d, k, &body.coupling, coupling_bound)?,
            mean: part.mean(d, &body.mean)?,
        };
        let sums = ArmSums {
            xx: part.sum_of_squares("sum_xx", d, &body.sum_xx)?,
            xz: part.rectangular("sum_xz", d, k, &body.sum_xz, part.count * MAGNITUDE_MAX * MAGNITUDE_MAX)?,
            xr: part.vector("sum_xr", d, &body.sum_xr, part.count * MAGNITUDE_MAX)?,
            moments: part.moments(body.moments)?,
        };
        Ok((arm, sums))
    }
}

/// Sums and derived quantities of one module, or of what is shared.
struct Part {
    place: String,
    count: f64,
    lambda: f64,
}

impl Part {
    fn refuse<T>(&self, what: impl std::fmt::Display) -> Result<T> {
        Err(KernelError::state(format!("{}: {what}", self.place)))
    }

    fn check(&self, key: &str, expected: usize, values: &[f64], bound: f64) -> Result<()> {
        if values.len() != expected {
            return self.refuse(format_args!("len({key}) == {}, must be {expected}", values.len()));
        }
        let bound = bound * SLACK;
        match values.iter().find(|value| value.is_nan() || value.abs() > bound) {
            None => Ok(()),
            Some(value) => self.refuse(format_args!("{key} == {value}, must be finite and within ±{bound}")),
        }
    }

    fn vector(&self, key: &str, n: usize, values: &[f64], bound: f64) -> Result<Vec<Lane>> {
        self.check(key, n, values, bound)?;
        Ok(pack(values))
    }

    fn mean_bound(&self) -> f64 {
        (self.count / self.lambda).sqrt()
    }

    fn mean(&self, n: usize, values: &[f64]) -> Result<Vec<Lane>> {
        self.vector("mean", n, values, self.mean_bound())
    }

    fn rectangular(&self, key: &str, rows: usize, columns: usize, values: &[f64], bound: f64) -> Result<Rectangular> {
        self.check(key, rows * columns, values, bound)?;
        Rectangular::from_dense(rows, columns, values).map_or_else(|| self.refuse(key), Ok)
    }

    fn symmetric(&self, key: &str, n: usize, values: &[f64], bound: f64) -> Result<Symmetric> {
        self.check(key, n * (n + 1) / 2, values, bound)?;
        Symmetric::from_packed(n, values).map_or_else(|| self.refuse(key), Ok)
    }

    fn sum_of_squares(&self, key: &str, n: usize, values: &[f64]) -> Result<Symmetric> {
        let matrix = self.symmetric(key, n, values, self.count * MAGNITUDE_MAX * MAGNITUDE_MAX)?;
        match (0..n).find(|i| matrix.get(*i, *i) < 0.0) {
            None => Ok(matrix),
            Some(i) => self.refuse(format_args!("{key}[{i}, {i}] == {}, must be >= 0", matrix.get(i, i))),
        }
    }

    fn covariance(&self, n: usize, values: &[f64]) -> Result<Symmetric> {
        let matrix = self.symmetric("covariance", n, values, 1.0 / self.lambda)?;
        match (0..n).find(|i| matrix.get(*i, *i) <= 0.0) {
            None => Ok(matrix),
            Some(i) => self.refuse(format_args!("covariance[{i}, {i}] == {}, must be > 0", matrix.get(i, i))),
        }
    }

    /// Utilities lie in [0, 1], so 0 <= Σ r² <= Σ r <= n, and a module without values is not in a state.
    fn moments(&self, (count, sum, squares): (u64, f64, f64)) -> Result<Moments> {
        let room = 1e-9 * (1.0 + self.count);
        if !(squares >= 0.0 && squares <= sum + room && sum <= self.count + room) {
            let rule = "must be those of utilities in [0, 1]";
            return self.refuse(format_args!("moments == ({count}, {sum}, {squares}), {rule}"));
        }
        Ok(Moments { count, sum, squares })
    }
}
