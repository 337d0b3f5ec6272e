//! The exact hybrid Bayesian linear model, one rank-one step per observation.
//!
//! Source: Li, Chu, Langford, Schapire, "A contextual-bandit approach to personalized news article recommendation", 2010,
//! algorithm 2 (hybrid linear models), written as sequential Gaussian updates.
//!
//! Model: r = xᵀθ_a + zᵀβ + noise of variance 1 (scaled afterwards), θ_a ~ N(0, I / λ_module), β ~ N(0, I / λ_shared).
//!
//! Derivation. Stack all θ_a over β; the joint precision is a bordered block-diagonal matrix with blocks
//! A_a = λ_module I + Σ x xᵀ, borders B_a = Σ x zᵀ, and corner A_0 = λ_shared I + Σ z zᵀ. Eliminating the blocks leaves for β
//! the Schur complement S = A_0 − Σ_a B_aᵀ A_a⁻¹ B_a and the right-hand side b = Σ z r − Σ_a B_aᵀ A_a⁻¹ Σ x r. Keep
//! P_a = A_a⁻¹, M_a = P_a B_a, c_a = P_a Σ x r (what θ_a would be for β = 0), P_0 = S⁻¹ and β = P_0 b. One observation
//! (x, z, r) of arm a changes A_a by x xᵀ; with v = P_a x, s = xᵀv, u = z − M_aᵀx and e = r − xᵀc_a,
//! Sherman–Morrison gives P_a −= v vᵀ / (1 + s), M_a += v uᵀ / (1 + s), c_a += v e / (1 + s), and S += u uᵀ / (1 + s),
//! b += u e / (1 + s). A second Sherman–Morrison step on S, with g = P_0 u and q = 1 + s + uᵀg, gives P_0 −= g gᵀ / q and
//! β += g (e − uᵀβ) / q. Prediction: E[r] = xᵀc_a + uᵀβ and Var[r's mean] = s + uᵀ P_0 u.

use crate::linalg::{Lane, Rectangular, Symmetric, add_scaled, dot, zeros};

/// Precisions of the prior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// λ_module.
    pub module_precision: f64,
    /// λ_shared.
    pub shared_precision: f64,
}

/// One observation, in lanes.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The task `[d]`.
    pub x: &'a [Lane],
    /// Places of x that are not zero, ascending.
    pub nonzero: &'a [u32],
    /// The module `[k]`.
    pub z: &'a [Lane],
    /// What happened, in [0, 1].
    pub utility: f64,
}

/// Derived quantities of one module under one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// P_a `[d, d]`.
    pub covariance: Symmetric,
    /// M_a `[d, k]`.
    pub coupling: Rectangular,
    /// c_a `[d]`.
    pub mean: Vec<Lane>,
}

/// Derived quantities that all modules of one signal share.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// P_0 `[k, k]`.
    pub covariance: Symmetric,
    /// β `[k]`.
    pub mean: Vec<Lane>,
}

/// Vectors that are kept from one call to the next.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    u: Vec<Lane>,
    g: Vec<Lane>,
    v: Vec<Lane>,
}

impl Arm {
    /// Before any observation.
    #[must_use]
    pub fn prior(prior: Prior, d: usize, k: usize) -> Self {
        Self {
            covariance: Symmetric::scaled_identity(d, 1.0 / prior.module_precision),
            coupling: Rectangular::zeros(d, k),
            mean: zeros(d),
        }
    }
}

impl Shared {
    /// Before any observation.
    #[must_use]
    pub fn prior(prior: Prior, k: usize) -> Self {
        Self { covariance: Symmetric::scaled_identity(k, 1.0 / prior.shared_precision), mean: zeros(k) }
    }

    /// Mean and variance (for noise variance 1) of the expected utility; an arm that is `None` has not been seen.
    ///
    /// `shared_places` lists 0 … k−1. Cost: nonzero · (d / 2 + k) + k² / 2.
    #[inline(always)]
    pub fn predict(
        &self,
        arm: Option<&Arm>,
        prior: Prior,
        (x, nonzero): (&[Lane], &[u32]),
        z: &[Lane],
        shared_places: &[u32],
        scratch: &mut Scratch,
    ) -> (f64, f64) {
        let u = &mut scratch.u;
        u.clear();
        u.extend_from_slice(z);
        let (own_mean, own_variance) = match arm {
            Some(arm) => {
                arm.coupling.subtract_transposed(x, nonzero, u);
                (dot(x, &arm.mean), arm.covariance.quadratic(x, nonzero))
            }
            None => (0.0, dot(x, x) / prior.module_precision),
        };
        let variance = own_variance + self.covariance.quadratic(u, shared_places);
        // A variance of 1e-17 may round below zero.
        (own_mean + dot(u, &self.mean), variance.max(0.0))
    }

    /// Takes in one observation of `arm`; `false` (and nothing changed) if rounding has made a variance negative.
    #[inline(always)]
    #[must_use]
    pub fn learn(&mut self, arm: &mut Arm, seen: &Observation<'_>, scratch: &mut Scratch) -> bool {
        let Scratch { u, g, v } = scratch;
        v.resize(seen.x.len(), [0.0; 8]);
        g.resize(seen.z.len(), [0.0; 8]);
        u.clear();
        u.extend_from_slice(seen.z);
        arm.covariance.multiply(seen.x, v);
        let s = dot(seen.x, v);
        arm.coupling.subtract_transposed(seen.x, seen.nonzero, u);
        let e = seen.utility - dot(seen.x, &arm.mean);
        self.covariance.multiply(u, g);
        let ug = dot(u, g);
        let q = 1.0 + s + ug;
        if !(s >= 0.0 && ug >= 0.0 && q.is_finite()) {
            return false;
        }
        let surprise = (e - dot(u, &self.mean)) / q;
        add_scaled(&mut self.mean, surprise, g);
        scale(g, 1.0 / q.sqrt());
        self.covariance.add_outer(-1.0, g);
        // M_a and c_a want v / (1 + s), P_a wants v / √(1 + s) on both sides.
        let p = 1.0 + s;
        add_scaled(&mut arm.mean, e / p, v);
        scale(u, 1.0 / p);
        arm.coupling.add_outer(v, u);
        scale(v, 1.0 / p.sqrt());
        arm.covariance.add_outer(-1.0, v);
        true
    }
}

#[inline(always)]
fn scale(vector: &mut [Lane], factor: f64) {
    vector.as_flattened_mut().iter_mut().for_each(|value| *value *= factor);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::pack;

    const PRIOR: Prior = Prior { module_precision: 2.0, shared_precision: 4.0 };

    #[test]
    fn an_unseen_arm_starts_from_what_is_shared() {
        let mut shared = Shared::prior(PRIOR, 1);
        shared.mean[0][0] = 0.5;
        let (x, z) = (pack(&[1.0, 2.0]), pack(&[1.0]));
        let (mean, variance) = shared.predict(None, PRIOR, (&x, &[0, 1]), &z, &[0], &mut Scratch::default());
        assert!((mean - 0.5).abs() < 1e-15);
        assert!((variance - (5.0 / 2.0 + 1.0 / 4.0)).abs() < 1e-15);
    }

    #[test]
    fn one_observation_by_hand() {
        // d = k = 1, x = z = 1, λ_module = 2, λ_shared = 4, r = 1. Joint precision [[3, 1], [1, 5]], right-hand side (1, 1):
        // θ = 4/14, β = 2/14, so the mean at x = z = 1 is 6/14 and its variance (5 + 3 − 2) / 14 = 6/14.
        let (mut shared, mut arm) = (Shared::prior(PRIOR, 1), Arm::prior(PRIOR, 1, 1));
        let one = pack(&[1.0]);
        let mut scratch = Scratch::default();
        let seen = Observation { x: &one, nonzero: &[0], z: &one, utility: 1.0 };
        assert!(shared.learn(&mut arm, &seen, &mut scratch));
        let (mean, variance) = shared.predict(Some(&arm), PRIOR, (&one, &[0]), &one, &[0], &mut scratch);
        assert!((shared.mean[0][0] - 2.0 / 14.0).abs() < 1e-15);
        assert!((mean - 6.0 / 14.0).abs() < 1e-15 && (variance - 6.0 / 14.0).abs() < 1e-15);
    }

    #[test]
    fn a_broken_covariance_is_noticed_and_left_alone() {
        let (mut shared, mut arm) = (Shared::prior(PRIOR, 1), Arm::prior(PRIOR, 1, 1));
        arm.covariance.set(0, 0, -1.0);
        let one = pack(&[1.0]);
        let seen = Observation { x: &one, nonzero: &[0], z: &one, utility: 1.0 };
        let before = (shared.clone(), arm.clone());
        assert!(!shared.learn(&mut arm, &seen, &mut Scratch::default()));
        assert_eq!((shared, arm), before);
    }
}
