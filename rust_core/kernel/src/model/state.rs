//! A model as bytes, sealed.
//!
//! The body holds the sums and the derived quantities, so that a restored model has the same bits; arms are in the order of
//! their names, so that the same fold of the same log gives the same bytes. What signals share is written once.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::reader::Reader;
use super::{Head, Model, Snapshot};
use crate::error::{KernelError, Result};
use crate::linalg::Lane;
use crate::posteriors::{ArmGeometry, Moments, SharedGeometry, Sums};
use crate::sealed::Seal;
use crate::spec::FORMAT_VERSION;

const SEAL: Seal = Seal { magic: b"pilotfsh", version: FORMAT_VERSION };

/// Geometries are written once, however many signals use them.
#[derive(Serialize, Deserialize)]
pub(super) struct Body {
    spec: String,
    pub shared_geometries: Vec<SharedGeometryBody>,
    pub arm_geometries: Vec<ArmGeometryBody>,
    pub heads: Vec<HeadBody>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SharedGeometryBody {
    pub covariance: Vec<f64>,
    pub sum_zz: Vec<f64>,
    pub volume: f64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ArmGeometryBody {
    pub covariance: Vec<f64>,
    pub coupling: Vec<f64>,
    pub sum_xx: Vec<f64>,
    pub sum_xz: Vec<f64>,
    pub volume: f64,
}

/// Mean, Σ x r or Σ z r, and moments: what utilities add to a geometry.
#[derive(Serialize, Deserialize)]
pub(super) struct UtilityBody {
    pub geometry: usize,
    pub mean: Vec<f64>,
    pub sum: Vec<f64>,
    pub moments: (u64, f64, f64, f64),
}

#[derive(Serialize, Deserialize)]
pub(super) struct HeadBody {
    pub shared: UtilityBody,
    pub scatter: f64,
    pub arms: Vec<(String, UtilityBody)>,
}

impl Model {
    /// The model as bytes. The same bytes for the same spec and the same learned values in the same order.
    ///
    /// # Errors
    /// `State` if the bytes cannot be written, which is a bug.
    pub fn state(&self) -> Result<Vec<u8>> {
        let snapshot = self.snapshot.load_full();
        SEAL.close(&self.body(&snapshot))
    }

    fn body(&self, snapshot: &Snapshot) -> Body {
        let (d, k) = (self.n_context(), self.n_shared());
        // By content and not by address: what has the same bits is written alike, whatever its history.
        let mut canonical = snapshot.clone();
        canonical.share_geometry();
        let (mut shared_seen, mut arms_seen) = (HashMap::new(), HashMap::new());
        let (mut shared_geometries, mut arm_geometries) = (Vec::new(), Vec::new());
        let mut heads = Vec::with_capacity(canonical.heads.len());
        for head in &canonical.heads {
            let Head { shared, .. } = head.as_ref();
            let geometry = *shared_seen.entry(Arc::as_ptr(&shared.geometry)).or_insert_with(|| {
                let SharedGeometry { covariance, sum_zz, volume } = shared.geometry.as_ref();
                shared_geometries.push(SharedGeometryBody {
                    covariance: covariance.to_packed(),
                    sum_zz: sum_zz.to_packed(),
                    volume: *volume,
                });
                shared_geometries.len() - 1
            });
            let shared = UtilityBody {
                geometry,
                mean: write_vector(&shared.mean, k),
                sum: write_vector(&shared.sum_zr, k),
                moments: write_moments(shared.moments),
            };
            let arms = head.by_name(&canonical.names).map(|(name, arm)| {
                let geometry = *arms_seen.entry(Arc::as_ptr(&arm.geometry)).or_insert_with(|| {
                    let ArmGeometry { covariance, coupling, sums, volume } = arm.geometry.as_ref();
                    let Sums { xx, xz } = sums.sums();
                    arm_geometries.push(ArmGeometryBody {
                        covariance: covariance.to_packed(),
                        coupling: coupling.to_dense(),
                        sum_xx: xx.to_packed(),
                        sum_xz: xz.to_dense(),
                        volume: *volume,
                    });
                    arm_geometries.len() - 1
                });
                let utilities = UtilityBody {
                    geometry,
                    mean: write_vector(&arm.mean, d),
                    sum: write_vector(&arm.sum_xr, d),
                    moments: write_moments(arm.moments),
                };
                (name.to_owned(), utilities)
            });
            let arms = arms.collect();
            heads.push(HeadBody { shared, scatter: head.shared.scatter, arms });
        }
        Body { spec: self.spec.canonical(), shared_geometries, arm_geometries, heads }
    }

    /// Restores a model to the bit.
    ///
    /// # Errors
    /// `State` saying what is wrong with the bytes, or that their spec is not `spec`; `InvalidInput` if `spec` itself
    /// breaks a rule.
    pub fn from_state(state: &[u8], spec: &[u8]) -> Result<Self> {
        let empty = Self::new(spec)?;
        let body: Body = SEAL.open(state)?;
        let spec = empty.spec.canonical();
        if body.spec != spec {
            return Err(KernelError::state(format!("state's spec == {}, must be {spec}", body.spec)));
        }
        let snapshot = Reader::new(&empty, &body)?.snapshot(&empty.spec.learner.signals)?;
        Ok(Self::assemble(empty.spec, empty.encoder, snapshot))
    }
}

fn write_vector(lanes: &[Lane], n: usize) -> Vec<f64> {
    lanes.as_flattened().iter().copied().take(n).collect()
}

fn write_moments(moments: Moments) -> (u64, f64, f64, f64) {
    (moments.count, moments.weight, moments.sum, moments.squares)
}
