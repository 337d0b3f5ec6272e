//! A model as bytes: magic, format version, postcard body, SHA-256 of all before it.
//!
//! The body holds the sums and the derived quantities, so that a restored model has the same bits; arms are in the order of
//! their names, so that the same fold of the same log gives the same bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::reader::Reader;
use super::{Model, Snapshot};
use crate::error::{KernelError, Result};
use crate::linalg::Lane;
use crate::names::Names;
use crate::posteriors::{Arm, ArmSums, Moments};
use crate::spec::{FORMAT_VERSION, Spec};

const MAGIC: &[u8; 8] = b"pilotfsh";
const CHECKSUM_BYTES: usize = 32;

#[derive(Serialize, Deserialize)]
struct Body {
    spec: String,
    heads: Vec<HeadBody>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HeadBody {
    pub moments: (u64, f64, f64),
    pub sum_zz: Vec<f64>,
    pub sum_zr: Vec<f64>,
    pub covariance: Vec<f64>,
    pub mean: Vec<f64>,
    pub arms: Vec<ArmBody>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ArmBody {
    pub name: String,
    pub moments: (u64, f64, f64),
    pub sum_xx: Vec<f64>,
    pub sum_xz: Vec<f64>,
    pub sum_xr: Vec<f64>,
    pub covariance: Vec<f64>,
    pub coupling: Vec<f64>,
    pub mean: Vec<f64>,
}

impl Model {
    /// The model as bytes. The same bytes for the same spec and the same learned values in the same order.
    ///
    /// # Errors
    /// `State` if the bytes cannot be written, which is a bug.
    pub fn state(&self) -> Result<Vec<u8>> {
        let (snapshot, sums) = self.consistent();
        let (d, k) = (self.n_context(), self.n_shared());
        let sorted = snapshot.names.sorted();
        let heads = snapshot.heads.iter().zip(&sums).map(|(head, sums)| {
            let arms = sorted.iter().filter_map(|(place, name)| {
                let arm = head.arms.get(*place)?.as_ref()?;
                Some(write_arm(name, arm, sums.arms.get(*place)?.as_ref()?, d))
            });
            HeadBody {
                moments: write_moments(sums.shared.moments),
                sum_zz: sums.shared.zz.to_packed(),
                sum_zr: write_vector(&sums.shared.zr, k),
                covariance: head.shared.covariance.to_packed(),
                mean: write_vector(&head.shared.mean, k),
                arms: arms.collect(),
            }
        });
        let body = Body { spec: self.spec.canonical(), heads: heads.collect() };
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        let mut bytes = postcard::to_extend(&body, bytes)
            .map_err(|error| KernelError::state(format!("state cannot be written: {error}")))?;
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum);
        Ok(bytes)
    }

    /// Restores a model to the bit.
    ///
    /// # Errors
    /// `State` saying what is wrong with the bytes, or that their spec is not `spec`; `InvalidInput` if `spec` itself
    /// breaks a rule.
    pub fn from_state(state: &[u8], spec: &[u8]) -> Result<Self> {
        let spec = Spec::from_json(spec)?;
        let body = open(state)?;
        if body.spec != spec.canonical() {
            return Err(KernelError::state(format!("state's spec == {}, must be {}", body.spec, spec.canonical())));
        }
        if body.heads.len() != spec.learner.signals.len() {
            let reason = format!("state has {} signals, must be {}", body.heads.len(), spec.learner.signals.len());
            return Err(KernelError::state(reason));
        }
        let empty = Self::new(spec.canonical().as_bytes())?;
        let mut names: Vec<&str> = body.heads.iter().flat_map(|head| &head.arms).map(|arm| arm.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut index = Names::default();
        for name in names {
            index.push(name);
        }
        let reader = Reader { d: empty.n_context(), k: empty.n_shared(), prior: empty.prior };
        let (mut heads, mut sums) = (Vec::new(), Vec::new());
        for (signal, head) in spec.learner.signals.iter().zip(&body.heads) {
            let (mut head, head_sums) = reader.head(signal, head, &index)?;
            head.noise_variance =
                head_sums.shared.moments.noise_variance(spec.learner.noise_variance, spec.learner.noise_count);
            heads.push(Arc::new(head));
            sums.push(head_sums);
        }
        Ok(Self::assemble(spec, Snapshot { names: Arc::new(index), heads }, sums))
    }
}

/// Checks everything around the body.
fn open(state: &[u8]) -> Result<Body> {
    let header = MAGIC.len() + size_of::<u16>();
    if state.len() < header + CHECKSUM_BYTES {
        return Err(KernelError::state(format!("state has {} bytes, too few to be one", state.len())));
    }
    let (content, checksum) = state.split_at(state.len() - CHECKSUM_BYTES);
    let (magic, rest) = content.split_at(MAGIC.len());
    let (version, body) = rest.split_at(size_of::<u16>());
    if magic != MAGIC {
        return Err(KernelError::state("state does not begin with the magic bytes pilotfsh"));
    }
    if version != FORMAT_VERSION.to_le_bytes() {
        let found = version.iter().rev().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        return Err(KernelError::state(format!("state's format version == {found}, must be {FORMAT_VERSION}")));
    }
    if Sha256::digest(content).as_slice() != checksum {
        return Err(KernelError::state("state's checksum differs: the bytes are damaged or cut short"));
    }
    match postcard::take_from_bytes(body) {
        Ok((body, [])) => Ok(body),
        Ok((_, rest)) => Err(KernelError::state(format!("state has {} bytes too many", rest.len()))),
        Err(error) => Err(KernelError::state(format!("state's body cannot be read: {error}"))),
    }
}

fn write_vector(lanes: &[Lane], n: usize) -> Vec<f64> {
    lanes.as_flattened().iter().copied().take(n).collect()
}

fn write_moments(moments: Moments) -> (u64, f64, f64) {
    (moments.count, moments.sum, moments.squares)
}

fn write_arm(name: &str, arm: &Arm, sums: &ArmSums, d: usize) -> ArmBody {
    ArmBody {
        name: name.to_owned(),
        moments: write_moments(sums.moments),
        sum_xx: sums.xx.to_packed(),
        sum_xz: sums.xz.to_dense(),
        sum_xr: write_vector(&sums.xr, d),
        covariance: arm.covariance.to_packed(),
        coupling: arm.coupling.to_dense(),
        mean: write_vector(&arm.mean, d),
    }
}
