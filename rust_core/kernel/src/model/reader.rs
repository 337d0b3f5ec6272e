//! Reads the parts of a state and refuses what no model could have written.
//!
//! A checksum finds damage; these bounds find nonsense that carries a good checksum. With observations of weight n in all, |x|, |z| at most
//! m = 1000 and r in [0, 1], sums are at most n·m². A ridge solution w of targets y has λ‖w‖² ≤ Σ y², which bounds means
//! by √(n / λ) and couplings by m·√(n / λ); a covariance has its diagonal in (0, 1 / λ], and nothing in it is larger. Covariances are
//! positive definite and sums of squares positive semidefinite, but for rounding. One observation of weight w at most 1024 multiplies a
//! determinant by at most 1 + w (|x|² + |z|²) / λ, which bounds volumes.
//!
//! What several modules or signals refer to is one object here too: otherwise a small state could claim any amount of memory.

use std::sync::Arc;

use super::learn::OBSERVATION_WEIGHT_MAX;
use super::state::{ArmGeometryBody, Body, HeadBody, SharedGeometryBody, UtilityBody};
use super::{Head, Model, Snapshot};
use crate::encoders::MAGNITUDE_MAX;
use crate::error::{KernelError, Result};
use crate::linalg::{Lane, Rectangular, Symmetric, is_positive_definite, pack};
use crate::names::Names;
use crate::posteriors::{Arm, ArmGeometry, Moments, Prior, Products, Shared, SharedGeometry, Sums};

/// Room for rounding in every bound.
const SLACK: f64 = 1.0 + 1e-6;

/// How far below zero rounding may have left an eigenvalue, relative to the largest element that the matrix can have had.
const INDEFINITE: f64 = 1e-9;

/// A body, and the empty model that it must fit.
pub(super) struct Reader<'a> {
    model: &'a Model,
    body: &'a Body,
    names: Names,
    shared_geometries: Vec<Option<Arc<SharedGeometry>>>,
    arm_geometries: Vec<Option<Arc<ArmGeometry>>>,
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
        let shared_geometries = vec![None; body.shared_geometries.len()];
        let arm_geometries = vec![None; body.arm_geometries.len()];
        Ok(Self { model, body, names, shared_geometries, arm_geometries })
    }

    /// Reads all signals; equal geometries are one object again.
    pub fn snapshot(mut self, signals: &[String]) -> Result<Snapshot> {
        let body = self.body;
        let heads: Result<Vec<_>> =
            signals.iter().zip(&body.heads).map(|(signal, head)| self.head(signal, head).map(Arc::new)).collect();
        let heads = heads?;
        if self.shared_geometries.iter().any(Option::is_none) || self.arm_geometries.iter().any(Option::is_none) {
            return Err(KernelError::state("state has a geometry that no signal uses"));
        }
        let mut snapshot = Snapshot { heads, names: Arc::new(self.names) };
        snapshot.share_geometry();
        Ok(snapshot)
    }

    fn head(&mut self, signal: &str, body: &HeadBody) -> Result<Head> {
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

    fn part(&self, place: String, body: &UtilityBody, lambda: f64) -> Part {
        let Prior { module_precision, shared_precision } = self.model.prior;
        let longest = OBSERVATION_WEIGHT_MAX * MAGNITUDE_MAX * MAGNITUDE_MAX;
        let dims = (self.model.n_context() + self.model.n_shared()) as f64;
        let step_bound = libm::log1p(longest * dims / module_precision.min(shared_precision));
        Part { place, n_values: body.moments.0 as f64, count: body.moments.1, lambda, step_bound }
    }

    fn shared(&mut self, place: String, body: &UtilityBody, scatter: f64) -> Result<Shared> {
        let k = self.model.n_shared();
        let part = self.part(place, body, self.model.prior.shared_precision);
        let (written, read) =
            part.geometry(&self.body.shared_geometries, &mut self.shared_geometries, body.geometry)?;
        let SharedGeometryBody { covariance, sum_zz, volume } = written;
        part.check_covariance(k, covariance)?;
        part.check_squares("sum_zz", k, sum_zz)?;
        part.check_volume(*volume)?;
        let geometry = match read {
            Some(geometry) => Arc::clone(geometry),
            None => Arc::clone(read.insert(Arc::new(SharedGeometry {
                covariance: part.covariance(k, covariance)?,
                sum_zz: part.sum_of_squares("sum_zz", k, sum_zz)?,
                volume: *volume,
            }))),
        };
        Ok(Shared {
            geometry,
            mean: part.vector("mean", k, &body.mean, part.mean_bound())?,
            sum_zr: part.vector("sum_zr", k, &body.sum, part.count * MAGNITUDE_MAX)?,
            moments: part.moments(body.moments)?,
            scatter: part.scatter(scatter)?,
        })
    }

    fn arm(&mut self, place: String, body: &UtilityBody) -> Result<Arm> {
        let (d, k) = (self.model.n_context(), self.model.n_shared());
        let part = self.part(place, body, self.model.prior.module_precision);
        let (written, read) = part.geometry(&self.body.arm_geometries, &mut self.arm_geometries, body.geometry)?;
        let ArmGeometryBody { covariance, coupling, sum_xx, sum_xz, volume } = written;
        part.check_covariance(d, covariance)?;
        part.check("coupling", d * k, coupling, MAGNITUDE_MAX * part.mean_bound())?;
        part.check_squares("sum_xx", d, sum_xx)?;
        part.check("sum_xz", d * k, sum_xz, part.products_bound())?;
        part.check_volume(*volume)?;
        let geometry = match read {
            Some(geometry) => Arc::clone(geometry),
            None => Arc::clone(read.insert(Arc::new(ArmGeometry {
                covariance: part.covariance(d, covariance)?,
                coupling: part.rectangular("coupling", d, k, coupling)?,
                sums: Products::new(
                    d,
                    k,
                    Sums {
                        xx: part.sum_of_squares("sum_xx", d, sum_xx)?,
                        xz: part.rectangular("sum_xz", d, k, sum_xz)?,
                    },
                ),
                volume: *volume,
            }))),
        };
        Ok(Arm {
            geometry,
            mean: part.vector("mean", d, &body.mean, part.mean_bound())?,
            sum_xr: part.vector("sum_xr", d, &body.sum, part.count * MAGNITUDE_MAX)?,
            moments: part.moments(body.moments)?,
        })
    }
}

/// Sums and derived quantities of one module, or of what is shared.
struct Part {
    place: String,
    n_values: f64,
    /// The weight of the values.
    count: f64,
    lambda: f64,
    /// The most that one value can add to a volume.
    step_bound: f64,
}

impl Part {
    fn refuse<T>(&self, what: impl std::fmt::Display) -> Result<T> {
        Err(KernelError::state(format!("{}: {what}", self.place)))
    }

    /// A geometry as it was written, and where it is once it has been read.
    fn geometry<'g, B, G>(
        &self,
        written: &'g [B],
        read: &'g mut [Option<G>],
        at: usize,
    ) -> Result<(&'g B, &'g mut Option<G>)> {
        match (written.get(at), read.get_mut(at)) {
            (Some(body), Some(slot)) => Ok((body, slot)),
            _ => self.refuse(format_args!("geometry == {at}, must be below {}", written.len())),
        }
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
    fn check_volume(&self, value: f64) -> Result<()> {
        if !(0.0..f64::INFINITY).contains(&value) {
            return self.refuse(format_args!("volume == {value}, must be finite and >= 0"));
        }
        self.check("volume", 1, &[value], self.n_values * self.step_bound)
    }

    /// At most Σ w r², which is at most the weight.
    fn scatter(&self, value: f64) -> Result<f64> {
        self.check("scatter", 1, &[value], self.count)?;
        if value < 0.0 { self.refuse(format_args!("scatter == {value}, must be >= 0")) } else { Ok(value) }
    }

    fn mean_bound(&self) -> f64 {
        (self.count / self.lambda).sqrt()
    }

    /// What a sum of products of two elements can be.
    fn products_bound(&self) -> f64 {
        self.count * MAGNITUDE_MAX * MAGNITUDE_MAX
    }

    fn rectangular(&self, key: &str, rows: usize, columns: usize, values: &[f64]) -> Result<Rectangular> {
        Rectangular::from_dense(rows, columns, values).map_or_else(|| self.refuse(key), Ok)
    }

    fn check_squares(&self, key: &str, n: usize, values: &[f64]) -> Result<()> {
        self.check(key, n * (n + 1) / 2, values, self.products_bound())?;
        match diagonal(values).find(|(_, value)| *value < 0.0) {
            None => Ok(()),
            Some((i, value)) => self.refuse(format_args!("{key}[{i}, {i}] == {value}, must be >= 0")),
        }
    }

    fn check_covariance(&self, n: usize, values: &[f64]) -> Result<()> {
        self.check("covariance", n * (n + 1) / 2, values, 1.0 / self.lambda)?;
        match diagonal(values).find(|(_, value)| *value <= 0.0) {
            None => Ok(()),
            Some((i, value)) => self.refuse(format_args!("covariance[{i}, {i}] == {value}, must be > 0")),
        }
    }

    fn sum_of_squares(&self, key: &str, n: usize, values: &[f64]) -> Result<Symmetric> {
        let largest = diagonal(values).fold(0.0, |largest, (_, value)| value.max(largest));
        // Nothing seen leaves zeros, which are semidefinite.
        self.definite(key, n, values, INDEFINITE * largest + f64::MIN_POSITIVE)
    }

    fn covariance(&self, n: usize, values: &[f64]) -> Result<Symmetric> {
        self.definite("covariance", n, values, INDEFINITE / self.lambda)
    }

    fn definite(&self, key: &str, n: usize, values: &[f64], room: f64) -> Result<Symmetric> {
        match Symmetric::from_packed(n, values) {
            Some(matrix) if is_positive_definite(&matrix, room) => Ok(matrix),
            Some(_) => self.refuse(format_args!("{key} has a negative eigenvalue, must have none")),
            None => self.refuse(key),
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

/// Places and values of the diagonal of a packed lower triangle.
fn diagonal(packed: &[f64]) -> impl Iterator<Item = (usize, f64)> + '_ {
    (0..).map_while(|i| packed.get(i * (i + 3) / 2).map(|value| (i, *value)))
}
