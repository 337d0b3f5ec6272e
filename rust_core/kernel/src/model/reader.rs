//! Reads the parts of a state and refuses what no model could have written.
//!
//! A checksum finds damage; these bounds find nonsense that carries a good checksum. With observations of weight n in all, |x|, |z| at most
//! m = 1000 and r in [0, 1], sums are at most n·m². A ridge solution w of targets y has λ‖w‖² ≤ Σ y², which bounds means
//! by √(n / λ) and couplings by m·√(n / λ); a covariance has its diagonal in (0, 1 / λ], and nothing in it is larger.

use std::sync::Arc;

use super::learn::OBSERVATION_WEIGHT_MAX;
use super::state::{ArmGeometryBody, Body, HeadBody, SharedGeometryBody, UtilityBody};
use super::{Head, Model, Snapshot};
use crate::encoders::MAGNITUDE_MAX;
use crate::error::{KernelError, Result};
use crate::linalg::{Lane, Rectangular, Symmetric, pack};
use crate::names::Names;
use crate::posteriors::{Arm, ArmGeometry, Moments, Products, Shared, SharedGeometry, Sums};

/// Room for rounding in every bound.
const SLACK: f64 = 1.0 + 1e-6;

/// A body, and the empty model that it must fit.
pub(super) struct Reader<'a> {
    model: &'a Model,
    body: &'a Body,
    names: Names,
}

impl<'a> Reader<'a> {
    /// Lists the modules' names.
    pub fn new(model: &'a Model, body: &'a Body) -> Result<Self> {
        let n_signals = model.n_signals();
        if body.heads.len() != n_signals {
            return Err(KernelError::state(format!("state has {} signals, must be {n_signals}", body.heads.len())));
        }
        let mut sorted: Vec<&str> =
            body.heads.iter().flat_map(|head| &head.arms).map(|(name, _)| name.as_str()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut names = Names::default();
        for name in sorted {
            names.push(name);
        }
        Ok(Self { model, body, names })
    }

    /// Reads all signals; equal geometries are one object again.
    pub fn snapshot(self, signals: &[String]) -> Result<Snapshot> {
        let heads: Result<Vec<_>> =
            signals.iter().zip(&self.body.heads).map(|(signal, head)| self.head(signal, head).map(Arc::new)).collect();
        let mut snapshot = Snapshot { heads: heads?, names: Arc::new(self.names) };
        snapshot.share_geometry();
        Ok(snapshot)
    }

    fn head(&self, signal: &str, body: &HeadBody) -> Result<Head> {
        let shared = self.shared(format!("{signal}/shared"), &body.shared, body.scatter)?;
        let mut arms = vec![None; self.names.len()];
        let (mut last, mut count) = ("", 0_u64);
        for (name, body) in &body.arms {
            let place = format!("{signal}/module/{name}");
            if name.as_str() <= last {
                return Err(KernelError::state(format!("{place}: names must be ascending and not empty")));
            }
            last = name;
            let arm = self.arm(place, body)?;
            count = count.saturating_add(arm.moments.count);
            let found = self.names.find(Names::hash(name), name);
            if let Some(slot) = found.and_then(|at| arms.get_mut(at)) {
                *slot = Some(Arc::new(arm));
            }
        }
        if count != shared.moments.count {
            let reason = format!("{signal}: {count} values in its modules, must be {}", shared.moments.count);
            return Err(KernelError::state(reason));
        }
        let mut head = Head { shared, arms, noise_variance: 0.0 };
        head.noise_variance = self.model.noise_variance(&head);
        Ok(head)
    }

    fn shared(&self, place: String, body: &UtilityBody, scatter: f64) -> Result<Shared> {
        let k = self.model.n_shared();
        let part = Part { place, count: body.moments.1, lambda: self.model.prior.shared_precision };
        let SharedGeometryBody { covariance, sum_zz, volume } =
            part.geometry(&self.body.shared_geometries, body.geometry)?;
        let geometry = SharedGeometry {
            covariance: part.covariance(k, covariance)?,
            sum_zz: part.sum_of_squares("sum_zz", k, sum_zz)?,
            volume: part.volume(*volume)?,
        };
        Ok(Shared {
            geometry: Arc::new(geometry),
            mean: part.vector("mean", k, &body.mean, part.mean_bound())?,
            sum_zr: part.vector("sum_zr", k, &body.sum, part.count * MAGNITUDE_MAX)?,
            moments: part.moments(body.moments)?,
            scatter: part.scatter(scatter)?,
        })
    }

    fn arm(&self, place: String, body: &UtilityBody) -> Result<Arm> {
        let (d, k) = (self.model.n_context(), self.model.n_shared());
        let part = Part { place, count: body.moments.1, lambda: self.model.prior.module_precision };
        let ArmGeometryBody { covariance, coupling, sum_xx, sum_xz, volume } =
            part.geometry(&self.body.arm_geometries, body.geometry)?;
        let products = part.count * MAGNITUDE_MAX * MAGNITUDE_MAX;
        let sums = Sums {
            xx: part.sum_of_squares("sum_xx", d, sum_xx)?,
            xz: part.rectangular("sum_xz", d, k, sum_xz, products)?,
        };
        let geometry = ArmGeometry {
            covariance: part.covariance(d, covariance)?,
            coupling: part.rectangular("coupling", d, k, coupling, MAGNITUDE_MAX * part.mean_bound())?,
            sums: Products::new(d, k, sums),
            volume: part.volume(*volume)?,
        };
        Ok(Arm {
            geometry: Arc::new(geometry),
            mean: part.vector("mean", d, &body.mean, part.mean_bound())?,
            sum_xr: part.vector("sum_xr", d, &body.sum, part.count * MAGNITUDE_MAX)?,
            moments: part.moments(body.moments)?,
        })
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

    fn geometry<'g, T>(&self, all: &'g [T], place: usize) -> Result<&'g T> {
        all.get(place).map_or_else(|| self.refuse(format_args!("geometry == {place}, must be below {}", all.len())), Ok)
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

    /// A determinant that data have only made larger.
    fn volume(&self, value: f64) -> Result<f64> {
        if (0.0..f64::INFINITY).contains(&value) {
            return Ok(value);
        }
        self.refuse(format_args!("volume == {value}, must be finite and >= 0"))
    }

    /// At most Σ w r², which is at most the weight.
    fn scatter(&self, value: f64) -> Result<f64> {
        self.check("scatter", 1, &[value], self.count)?;
        if value < 0.0 { self.refuse(format_args!("scatter == {value}, must be >= 0")) } else { Ok(value) }
    }

    fn mean_bound(&self) -> f64 {
        (self.count / self.lambda).sqrt()
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

    /// Utilities lie in [0, 1], so 0 <= Σ w r² <= Σ w r <= Σ w, each weight is at most `OBSERVATION_WEIGHT_MAX`, and a module
    /// without values is not in a state.
    fn moments(&self, (count, weight, sum, squares): (u64, f64, f64, f64)) -> Result<Moments> {
        let room = 1e-9 * (1.0 + self.count);
        let heaviest = count as f64 * OBSERVATION_WEIGHT_MAX;
        let some = (count > 0) == (weight > 0.0);
        if !(some
            && weight >= 0.0
            && squares >= 0.0
            && squares <= sum + room
            && sum <= weight + room
            && weight <= heaviest * SLACK)
        {
            let rule = "must be those of utilities in [0, 1]";
            return self.refuse(format_args!("moments == ({count}, {weight}, {sum}, {squares}), {rule}"));
        }
        Ok(Moments { count, weight, sum, squares })
    }
}
