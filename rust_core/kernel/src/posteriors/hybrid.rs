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
//! β += g (e − uᵀβ) / q. Prediction: the mean is xᵀc_a + uᵀβ and its variance s + uᵀ P_0 u.
//!
//! What x and z alone decide ([`ArmGeometry`], [`SharedGeometry`]) is kept apart from what r adds: the signals of one outcome
//! come one after the other with the same x and z, and then take one step together, by sharing its result ([`Step`]).

use std::sync::Arc;

use super::moments::Moments;
use super::products::Products;
use super::step::Step;
use crate::linalg::{Lane, Rectangular, Symmetric, add_scaled, dot, dot_pair, zeros};

/// Precisions of the prior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// λ_module.
    pub module_precision: f64,
    /// λ_shared.
    pub shared_precision: f64,
}

/// One observation, in lanes.
///
/// One of weight w is one of weight 1 whose x, z and utility are all multiplied by √w: the same sums, the same posterior
/// (weighted least squares; Bishop, Pattern Recognition and Machine Learning, 2006, exercise 3.3).
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// √w · the task `[d]`.
    pub x: &'a [Lane],
    /// Places of x that are not zero, ascending.
    pub nonzero: &'a [u32],
    /// √w · the module `[k]`.
    pub z: &'a [Lane],
    /// What happened, in [0, 1].
    pub utility: f64,
    /// w > 0.
    pub weight: f64,
}

/// What the x and z of one module decide.
#[derive(Clone, Debug)]
pub struct ArmGeometry {
    /// P_a `[d, d]`.
    pub covariance: Symmetric,
    /// M_a `[d, k]`.
    pub coupling: Rectangular,
    /// Σ x xᵀ `[d, d]` and Σ x zᵀ `[d, k]`.
    pub sums: Products,
    /// ln |A_a| − ln |λ_module I|: how far the observations have narrowed the posterior.
    pub volume: f64,
}

/// One module under one signal.
#[derive(Clone, Debug)]
pub struct Arm {
    /// What x and z decide; shared with signals that have seen the same.
    pub geometry: Arc<ArmGeometry>,
    /// c_a `[d]`.
    pub mean: Vec<Lane>,
    /// Σ x r `[d]`.
    pub sum_xr: Vec<Lane>,
    /// Count and moments of r.
    pub moments: Moments,
}

/// What the x and z of all modules decide about the part that they share.
#[derive(Clone, Debug)]
pub struct SharedGeometry {
    /// P_0 `[k, k]`.
    pub covariance: Symmetric,
    /// Σ z zᵀ `[k, k]`.
    pub sum_zz: Symmetric,
    /// ln |joint precision| − ln |its prior| over all modules and what they share: Σ ln q.
    pub volume: f64,
}

/// What all modules of one signal share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// What x and z decide; shared with signals that have seen the same.
    pub geometry: Arc<SharedGeometry>,
    /// β `[k]`.
    pub mean: Vec<Lane>,
    /// Σ z r `[k]`.
    pub sum_zr: Vec<Lane>,
    /// Count and moments of r.
    pub moments: Moments,
    /// Σ (r − predicted)² / q over the observations, each predicted before it was seen: what the model does not explain.
    pub scatter: f64,
}

impl ArmGeometry {
    /// Before any observation.
    #[must_use]
    pub fn prior(prior: Prior, d: usize, k: usize) -> Self {
        Self {
            covariance: Symmetric::scaled_identity(d, 1.0 / prior.module_precision),
            coupling: Rectangular::zeros(d, k),
            sums: Products::zeros(d, k),
            volume: 0.0,
        }
    }

    /// Whether two have the same bits.
    #[must_use]
    pub fn same_bits(&self, other: &Self) -> bool {
        // The volumes of different streams differ, so most comparisons end there.
        self.volume.to_bits() == other.volume.to_bits()
            && self.covariance.same_bits(&other.covariance)
            && self.coupling.same_bits(&other.coupling)
            && self.sums.same_bits(&other.sums)
    }
}

impl Arm {
    /// Before any observation.
    #[must_use]
    pub fn prior(geometry: Arc<ArmGeometry>, d: usize) -> Self {
        Self { geometry, mean: zeros(d), sum_xr: zeros(d), moments: Moments::default() }
    }
}

impl SharedGeometry {
    /// Before any observation.
    #[must_use]
    pub fn prior(prior: Prior, k: usize) -> Self {
        let covariance = Symmetric::scaled_identity(k, 1.0 / prior.shared_precision);
        Self { covariance, sum_zz: Symmetric::zeros(k), volume: 0.0 }
    }

    /// Whether two have the same bits.
    #[must_use]
    pub fn same_bits(&self, other: &Self) -> bool {
        self.sum_zz.same_bits(&other.sum_zz)
            && self.covariance.same_bits(&other.covariance)
            && self.volume.to_bits() == other.volume.to_bits()
    }

    /// u = z − M_aᵀx: what of the module is left to what all share; z itself for an arm that has not been seen.
    #[inline(always)]
    pub fn own_part(arm: Option<&ArmGeometry>, (x, nonzero): (&[Lane], &[u32]), z: &[Lane], u: &mut Vec<Lane>) {
        u.clear();
        u.extend_from_slice(z);
        if let Some(arm) = arm {
            arm.coupling.subtract_transposed(x, nonzero, u);
        }
    }

    /// Variance s + uᵀ P_0 u of a mean for noise variance 1, with the u of `own_part`; an arm that is `None` has not been seen.
    ///
    /// `shared_places` lists 0 … k−1. Cost: nonzero · d / 2 + k² / 2.
    #[inline(always)]
    #[must_use]
    pub fn spread(
        &self,
        arm: Option<&ArmGeometry>,
        prior: Prior,
        (x, nonzero): (&[Lane], &[u32]),
        shared_places: &[u32],
        u: &[Lane],
    ) -> f64 {
        let own = match arm {
            Some(arm) => arm.covariance.quadratic(x, nonzero),
            None => dot(x, x) / prior.module_precision,
        };
        // A variance of 1e-17 may round below zero.
        (own + self.covariance.quadratic(u, shared_places)).max(0.0)
    }
}

impl Shared {
    /// Before any observation.
    #[must_use]
    pub fn prior(geometry: Arc<SharedGeometry>, k: usize) -> Self {
        Self { geometry, mean: zeros(k), sum_zr: zeros(k), moments: Moments::default(), scatter: 0.0 }
    }

    /// (scatter + n₀ · s₀²) / (n + n₀), the noise variance after n observations; s₀² if n = 0.
    ///
    /// Source: the conjugate normal-inverse-gamma prior (Bishop, Pattern Recognition and Machine Learning, 2006, exercise
    /// 3.12). The scatter equals Σ r² − Σ_a (Σ x r)ᵀ c_a − bᵀβ, so it does not depend on the order of the observations and is
    /// rebuilt from the sums. Unlike the variance of r it leaves out what the model explains: exploration ends where the
    /// answer is known, and one scale of exploration serves easy and hard problems.
    #[must_use]
    pub fn noise_variance(&self, prior_variance: f64, prior_count: f64) -> f64 {
        if self.moments.count == 0 {
            return prior_variance;
        }
        (self.scatter + prior_count * prior_variance) / (self.moments.weight + prior_count)
    }

    /// Mean xᵀc_a + uᵀβ, with the u of `SharedGeometry::own_part`.
    #[inline(always)]
    #[must_use]
    pub fn predict(&self, arm: Option<&Arm>, x: &[Lane], u: &[Lane]) -> f64 {
        arm.map_or(0.0, |arm| dot(x, &arm.mean)) + dot(u, &self.mean)
    }

    /// u and the mean, with the bits of `own_part` and `predict`, in one pass over x where k = 1. Cost: nonzero · k + d.
    #[inline(always)]
    pub fn mean(&self, arm: Option<&Arm>, (x, nonzero): (&[Lane], &[u32]), z: &[Lane], u: &mut Vec<Lane>) -> f64 {
        let column = arm.and_then(|arm| arm.geometry.coupling.single_column());
        if let (Some(arm), Some(column), [single]) = (arm, column, z) {
            let (own, common) = dot_pair(x, &arm.mean, column);
            let mut left = *single;
            left[0] -= common;
            u.clear();
            u.push(left);
            return own + dot(u, &self.mean);
        }
        SharedGeometry::own_part(arm.map(|arm| arm.geometry.as_ref()), (x, nonzero), z, u);
        self.predict(arm, x, u)
    }

    /// Takes in one observation of `arm` and returns how far it was from what was expected. `step` is kept from one call to
    /// the next.
    ///
    /// `None` if rounding has made a variance negative: the sums are right then, the rest must be rebuilt from them.
    #[must_use]
    #[inline(always)]
    pub fn learn(&mut self, arm: &mut Arm, seen: &Observation<'_>, step: &mut Step) -> Option<Surprise> {
        if !step.fits(arm, self, seen) {
            step.take(arm, self, seen);
        }
        let (arm_after, shared_after) = step.after.as_ref()?;
        arm.geometry = Arc::clone(arm_after);
        self.geometry = Arc::clone(shared_after);
        let utility = seen.utility * seen.weight.sqrt();
        add_scaled(&mut arm.sum_xr, utility, seen.x);
        add_scaled(&mut self.sum_zr, utility, seen.z);
        arm.moments.observe(seen.utility, seen.weight);
        self.moments.observe(seen.utility, seen.weight);
        if !step.exact {
            return None;
        }
        let e = utility - dot(seen.x, &arm.mean);
        let residual = e - dot(&step.u, &self.mean);
        let surprise = residual / step.q;
        self.scatter += surprise * surprise * step.q;
        add_scaled(&mut self.mean, surprise, &step.g);
        add_scaled(&mut arm.mean, e / (1.0 + step.s), &step.v);
        Some(Surprise { expected: seen.utility - residual / seen.weight.sqrt(), spread: (step.q - 1.0) / seen.weight })
    }
}

/// What was expected of an observation before it was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surprise {
    /// The mean of the prediction.
    pub expected: f64,
    /// Its variance for noise variance 1.
    pub spread: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::pack;

    const PRIOR: Prior = Prior { module_precision: 2.0, shared_precision: 4.0 };

    fn prior(d: usize, k: usize) -> (Shared, Arm) {
        let shared = Shared::prior(Arc::new(SharedGeometry::prior(PRIOR, k)), k);
        (shared, Arm::prior(Arc::new(ArmGeometry::prior(PRIOR, d, k)), d))
    }

    #[test]
    fn an_unseen_arm_starts_from_what_is_shared() {
        let (mut shared, _) = prior(2, 1);
        shared.mean[0][0] = 0.5;
        let (x, z, mut u) = (pack(&[1.0, 2.0]), pack(&[1.0]), Vec::new());
        let mean = shared.mean(None, (&x, &[0, 1]), &z, &mut u);
        let variance = shared.geometry.spread(None, PRIOR, (&x, &[0, 1]), &[0], &u);
        assert!((mean - 0.5).abs() < 1e-15);
        assert!((variance - (5.0 / 2.0 + 1.0 / 4.0)).abs() < 1e-15);
    }

    #[test]
    fn one_observation_by_hand() {
        // d = k = 1, x = z = 1, λ_module = 2, λ_shared = 4, r = 1. Joint precision [[3, 1], [1, 5]], right-hand side (1, 1):
        // θ = 4/14, β = 2/14, so the mean at x = z = 1 is 6/14 and its variance (5 + 3 − 2) / 14 = 6/14.
        let (mut shared, mut arm) = prior(1, 1);
        let (one, mut u) = (pack(&[1.0]), Vec::new());
        let seen = Observation { x: &one, nonzero: &[0], z: &one, utility: 1.0, weight: 1.0 };
        assert!(shared.learn(&mut arm, &seen, &mut Step::default()).is_some());
        let mean = shared.mean(Some(&arm), (&one, &[0]), &one, &mut u);
        let variance = shared.geometry.spread(Some(&arm.geometry), PRIOR, (&one, &[0]), &[0], &u);
        assert!((shared.mean[0][0] - 2.0 / 14.0).abs() < 1e-15);
        assert!((mean - 6.0 / 14.0).abs() < 1e-15);
        assert!((variance - 6.0 / 14.0).abs() < 1e-15);
    }

    #[test]
    fn signals_that_see_the_same_share_one_step_and_its_bits() {
        let ((mut one, mut one_arm), mut step) = (prior(2, 1), Step::default());
        let (mut other, mut other_arm) = (one.clone(), one_arm.clone());
        let (mut alone, mut alone_arm) = (one.clone(), one_arm.clone());
        let (x, z) = (pack(&[1.0, 0.3]), pack(&[1.0]));
        for utility in [0.2, 0.9, 0.4] {
            let seen = Observation { x: &x, nonzero: &[0, 1], z: &z, utility, weight: 1.0 };
            assert!(one.learn(&mut one_arm, &seen, &mut step).is_some());
            let seen = Observation { utility: 1.0 - utility, ..seen };
            assert!(other.learn(&mut other_arm, &seen, &mut step).is_some());
            assert!(alone.learn(&mut alone_arm, &seen, &mut Step::default()).is_some());
        }
        assert!(Arc::ptr_eq(&one_arm.geometry, &other_arm.geometry) && Arc::ptr_eq(&one.geometry, &other.geometry));
        assert!(alone_arm.geometry.same_bits(&other_arm.geometry) && alone.geometry.same_bits(&other.geometry));
        assert_eq!((alone.mean, alone_arm.mean), (other.mean, other_arm.mean));
    }

    #[test]
    fn the_mean_in_one_pass_has_the_bits_of_the_two_steps() {
        for k in [1, 2, 9] {
            let (mut shared, mut arm) = prior(5, k);
            let x = pack(&[1.0, -0.4, 0.0, 0.7, 0.2]);
            let z = pack(&(0..k).map(|i| libm::cos(i as f64)).collect::<Vec<_>>());
            for utility in [0.3, 0.9, 0.1] {
                let seen = Observation { x: &x, nonzero: &[0, 1, 3, 4], z: &z, utility, weight: 1.0 };
                assert!(shared.learn(&mut arm, &seen, &mut Step::default()).is_some());
            }
            let task = (x.as_slice(), [0, 1, 3, 4].as_slice());
            let (mut at_once, mut u) = (Vec::new(), Vec::new());
            let mean = shared.mean(Some(&arm), task, &z, &mut at_once);
            SharedGeometry::own_part(Some(&arm.geometry), task, &z, &mut u);
            assert_eq!((mean.to_bits(), at_once), (shared.predict(Some(&arm), &x, &u).to_bits(), u));
        }
    }

    #[test]
    fn a_step_over_memory_of_the_one_before_leaves_what_others_hold() {
        let ((mut shared, mut arm), mut step) = (prior(2, 1), Step::default());
        let ((mut again, mut other), x, z) = (prior(2, 1), pack(&[1.0, 0.3]), pack(&[1.0]));
        let (mut held, mut bits) = (Vec::new(), Vec::new());
        for i in 0..20 {
            let seen = Observation { x: &x, nonzero: &[0, 1], z: &z, utility: 0.5, weight: 1.0 };
            assert!(shared.learn(&mut arm, &seen, &mut step).is_some());
            assert!(again.learn(&mut other, &seen, &mut Step::default()).is_some());
            if i % 3 == 0 {
                held.push(Arc::clone(&arm.geometry));
                bits.push(ArmGeometry::clone(&arm.geometry));
            }
        }
        assert!(held.iter().zip(&bits).all(|(held, bits)| held.same_bits(bits)));
        assert!(arm.geometry.same_bits(&other.geometry) && shared.geometry.same_bits(&again.geometry));
    }

    #[test]
    fn a_broken_covariance_is_noticed() {
        let (mut shared, mut arm) = prior(1, 1);
        Arc::make_mut(&mut arm.geometry).covariance.set(0, 0, -1.0);
        let one = pack(&[1.0]);
        let seen = Observation { x: &one, nonzero: &[0], z: &one, utility: 1.0, weight: 1.0 };
        assert_eq!(shared.learn(&mut arm, &seen, &mut Step::default()), None);
        assert!((arm.geometry.sums.sums().xx.get(0, 0) - 1.0).abs() < 1e-15);
    }
}
