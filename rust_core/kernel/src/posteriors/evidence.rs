//! How well a model has foretold what it then saw.

use super::hybrid::Shared;

impl Shared {
    /// ln p(utilities | tasks, modules) + ½ n ln 2π: how well this representation and prior have foretold what they then saw.
    /// Two specs are compared by it on the same observations.
    ///
    /// ½ · (n₀ ln b₀ − (n₀ + n) ln b_n − volume) + ln Γ((n₀ + n) / 2) − ln Γ(n₀ / 2), b₀ = n₀ s₀² / 2, b_n = b₀ + scatter / 2; n is
    /// the weight of the observations, of which one of weight w counts like w of them.
    ///
    /// Source: the marginal likelihood of the conjugate linear model (Bishop, Pattern Recognition and Machine Learning, 2006,
    /// section 3.5.1, with the noise variance integrated out as in exercise 3.23). Both sums do not depend on the order of the
    /// observations; how actions were chosen does not matter either, because it does not depend on utilities not yet seen.
    #[must_use]
    pub fn evidence(&self, prior_variance: f64, prior_count: f64) -> f64 {
        // Without a prior on the noise the evidence is improper; one observation's worth makes it proper.
        let prior_count = prior_count.max(1.0);
        let count = prior_count + self.moments.weight;
        let before = 0.5 * prior_count * prior_variance;
        let after = before + 0.5 * self.scatter;
        0.5 * (prior_count * libm::log(before) - count * libm::log(after) - self.geometry.volume)
            + libm::lgamma(0.5 * count)
            - libm::lgamma(0.5 * prior_count)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::hybrid::{Arm, ArmGeometry, Observation, Prior, SharedGeometry};
    use super::super::step::Step;
    use super::*;
    use crate::linalg::pack;

    #[test]
    fn one_observation_by_hand() {
        // x = z = 1, λ_module = 2, λ_shared = 4: r has a Student t of n₀ degrees with scale² s₀² (1 + 1/2 + 1/4).
        let prior = Prior { module_precision: 2.0, shared_precision: 4.0 };
        let mut shared = Shared::prior(Arc::new(SharedGeometry::prior(prior, 1)), 1);
        let mut arm = Arm::prior(Arc::new(ArmGeometry::prior(prior, 1, 1)), 1);
        let one = pack(&[1.0]);
        let seen = Observation { x: &one, nonzero: &[0], z: &one, utility: 0.7, weight: 1.0 };
        assert!(shared.learn(&mut arm, &seen, &mut Step::default()).is_some());
        let (count, variance) = (3.0_f64, 0.1 * 1.75);
        let density = libm::lgamma(0.5 * (count + 1.0))
            - libm::lgamma(0.5 * count)
            - 0.5 * libm::log(std::f64::consts::PI * count * variance)
            - 0.5 * (count + 1.0) * libm::log1p(0.49 / (count * variance));
        assert!((shared.evidence(0.1, count) - 0.5 * libm::log(std::f64::consts::TAU) - density).abs() < 1e-14);
    }

    #[test]
    fn nothing_seen_is_no_evidence() {
        let prior = Prior { module_precision: 2.0, shared_precision: 4.0 };
        let shared = Shared::prior(Arc::new(SharedGeometry::prior(prior, 1)), 1);
        assert_eq!(shared.evidence(0.1, 3.0), 0.0);
        assert_eq!(shared.evidence(0.1, 0.0), 0.0);
    }
}
