//! Derived quantities from the sums, by Cholesky: after a merge, and whenever rounding is to be wiped out.

use super::hybrid::{Arm, Prior, Shared};
use super::sums::{ArmSums, SharedSums};
use crate::error::{KernelError, Result};
use crate::linalg::{Rectangular, Symmetric, add_scaled, invert_positive_definite, pack};

/// A_a = λI + Σ x xᵀ, and from it P_a, M_a and c_a. Cost: d³.
///
/// # Errors
/// `State` if the sums belong to no data: the precision is not positive definite.
pub fn rebuild_arm(sums: &ArmSums, prior: Prior) -> Result<Arm> {
    let d = sums.xx.len();
    let covariance = invert(&sums.xx, prior.module_precision)?;
    let mut mean = sums.xr.clone();
    covariance.multiply(&sums.xr, &mut mean);
    let mut coupling = sums.xz.clone();
    for (i, row) in coupling.iter_rows_mut().enumerate() {
        row.fill([0.0; 8]);
        for (j, source) in sums.xz.iter_rows().enumerate().take(d) {
            add_scaled(row, covariance.get(i, j), source);
        }
    }
    Ok(Arm { covariance, coupling, mean })
}

/// S = λI + Σ z zᵀ − Σ_a B_aᵀ M_a, and from it P_0 and β. The order of `arms` decides the last bits: give them by name.
///
/// # Errors
/// `State` if the sums belong to no data.
pub fn rebuild_shared<'a>(
    sums: &SharedSums,
    arms: impl Iterator<Item = (&'a ArmSums, &'a Arm)>,
    prior: Prior,
) -> Result<Shared> {
    let k = sums.zz.len();
    let mut schur = sums.zz.clone();
    let mut right = sums.zr.clone();
    for (arm_sums, arm) in arms {
        subtract_product(&arm_sums.xz, &arm.coupling, &mut schur);
        for (row, mean) in arm_sums.xz.iter_rows().zip(arm.mean.as_flattened()) {
            add_scaled(&mut right, -mean, row);
        }
    }
    let covariance = invert(&schur, prior.shared_precision)?;
    let mut mean = pack(&vec![0.0; k]);
    covariance.multiply(&right, &mut mean);
    Ok(Shared { covariance, mean })
}

/// (λI + A)⁻¹.
fn invert(sum: &Symmetric, lambda: f64) -> Result<Symmetric> {
    let mut precision = sum.clone();
    for i in 0..precision.len() {
        precision.set(i, i, precision.get(i, i) + lambda);
    }
    invert_positive_definite(&precision).ok_or_else(|| KernelError::state("sums are not positive definite"))
}

/// target −= Bᵀ M, of which only the lower triangle is computed: the product is symmetric.
fn subtract_product(b: &Rectangular, m: &Rectangular, target: &mut Symmetric) {
    for (row_b, row_m) in b.iter_rows().zip(m.iter_rows()) {
        let (row_b, row_m) = (row_b.as_flattened(), row_m.as_flattened());
        for i in 0..target.len() {
            for j in 0..=i {
                target.set(i, j, target.get(i, j) - row_b[i] * row_m[j]);
            }
        }
    }
}
