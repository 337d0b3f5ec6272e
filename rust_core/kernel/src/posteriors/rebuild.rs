//! Derived quantities from the sums, by Cholesky: after a merge, and whenever rounding is to be wiped out.

use std::sync::Arc;

use super::hybrid::{Arm, ArmGeometry, Prior, Shared, SharedGeometry};
use super::products::{Products, Sums};
use crate::error::{KernelError, Result};
use crate::linalg::{Symmetric, dot, invert_positive_definite};

/// A_a = λI + Σ x xᵀ, and from it P_a and M_a. Cost: d³.
///
/// # Errors
/// `State` if the sums belong to no data: the precision is not positive definite.
pub fn rebuild_arm_geometry(mut sums: Products, prior: Prior) -> Result<ArmGeometry> {
    let Sums { xx, xz } = sums.settled();
    let (covariance, volume) = invert(xx, prior.module_precision)?;
    let coupling = xz.multiplied_by(&covariance);
    Ok(ArmGeometry { covariance, coupling, sums, volume })
}

/// c_a = P_a Σ x r, into an arm whose geometry and sums are right.
pub fn rebuild_arm(arm: &mut Arm) {
    arm.geometry.covariance.multiply(&arm.sum_xr, &mut arm.mean);
}

/// S = λI + Σ z zᵀ − Σ_a B_aᵀ M_a, and from it P_0. The order of `arms` decides the last bits: give them by name.
///
/// # Errors
/// `State` if the sums belong to no data.
pub fn rebuild_shared_geometry<'a>(
    sum_zz: Symmetric,
    arms: impl Iterator<Item = &'a Arm>,
    prior: Prior,
) -> Result<SharedGeometry> {
    let mut schur = sum_zz.clone();
    let mut volume = 0.0;
    for arm in arms {
        volume += arm.geometry.volume;
        arm.geometry.sums.sums().xz.subtract_gram(&arm.geometry.coupling, &mut schur);
    }
    let (covariance, own) = invert(&schur, prior.shared_precision)?;
    Ok(SharedGeometry { covariance, sum_zz, volume: volume + own })
}

/// β = P_0 b with b = Σ z r − Σ_a B_aᵀ c_a, and the scatter Σ r² − Σ_a (Σ x r)ᵀ c_a − bᵀβ, into a shared part whose geometry and sums are right. `arms` as above.
pub fn rebuild_shared<'a>(shared: &mut Shared, arms: impl Iterator<Item = &'a Arm>) {
    let mut right = shared.sum_zr.clone();
    let mut scatter = shared.moments.squares;
    for arm in arms {
        scatter -= dot(&arm.sum_xr, &arm.mean);
        let places: Vec<u32> = (0..).take(arm.geometry.covariance.len()).collect();
        arm.geometry.sums.sums().xz.subtract_transposed(&arm.mean, &places, &mut right);
    }
    Arc::clone(&shared.geometry).covariance.multiply(&right, &mut shared.mean);
    // Rounding may leave a negative remainder where the model explains everything.
    shared.scatter = (scatter - dot(&right, &shared.mean)).max(0.0);
}

/// (λI + A)⁻¹ and ln |λI + A| − ln |λI|.
fn invert(sum: &Symmetric, lambda: f64) -> Result<(Symmetric, f64)> {
    let mut precision = sum.clone();
    for i in 0..precision.len() {
        precision.set(i, i, precision.get(i, i) + lambda);
    }
    let (inverse, log_determinant) =
        invert_positive_definite(&precision).ok_or_else(|| KernelError::state("sums are not positive definite"))?;
    // Rounding may leave less than nothing where nothing has been seen.
    Ok((inverse, (log_determinant - precision.len() as f64 * libm::log(lambda)).max(0.0)))
}
