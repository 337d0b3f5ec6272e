//! The sums that the data leave behind. They are the truth: order-free, and two sidecars' sums add up.

use super::hybrid::Observation;
use crate::linalg::{Lane, Rectangular, Symmetric, add_scaled, zeros};

/// Count, sum and sum of squares of the utilities.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Number of observations.
    pub count: u64,
    /// Σ r.
    pub sum: f64,
    /// Σ r².
    pub squares: f64,
}

impl Moments {
    /// Adds one utility.
    pub fn observe(&mut self, utility: f64) {
        self.count = self.count.saturating_add(1);
        self.sum += utility;
        self.squares += utility * utility;
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// (n · Var(r) + n₀ · s₀²) / (n + n₀), the noise variance; s₀² if n + n₀ = 0.
    #[must_use]
    pub fn noise_variance(&self, prior_variance: f64, prior_count: f64) -> f64 {
        let n = self.count as f64;
        if self.count == 0 {
            return prior_variance;
        }
        // Rounding may leave a negative remainder when all utilities are alike.
        let scatter = (self.squares - self.sum * self.sum / n).max(0.0);
        (scatter + prior_count * prior_variance) / (n + prior_count)
    }
}

/// Sums of one module under one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmSums {
    /// Σ x xᵀ `[d, d]`.
    pub xx: Symmetric,
    /// Σ x zᵀ `[d, k]`.
    pub xz: Rectangular,
    /// Σ x r `[d]`.
    pub xr: Vec<Lane>,
    /// Count and moments of r.
    pub moments: Moments,
}

impl ArmSums {
    /// Nothing seen.
    #[must_use]
    pub fn zeros(d: usize, k: usize) -> Self {
        Self { xx: Symmetric::zeros(d), xz: Rectangular::zeros(d, k), xr: zeros(d), moments: Moments::default() }
    }

    /// Adds one observation.
    #[inline(always)]
    pub fn observe(&mut self, seen: &Observation<'_>) {
        self.xx.add_outer(1.0, seen.x);
        self.xz.add_outer(seen.x, seen.z);
        add_scaled(&mut self.xr, seen.utility, seen.x);
        self.moments.observe(seen.utility);
    }

    /// Adds another's sums; the caller has checked that the sizes agree.
    pub fn add(&mut self, other: &Self) {
        self.xx.add(&other.xx);
        self.xz.add(&other.xz);
        add_scaled(&mut self.xr, 1.0, &other.xr);
        self.moments.add(&other.moments);
    }
}

/// Sums over all modules of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedSums {
    /// Σ z zᵀ `[k, k]`.
    pub zz: Symmetric,
    /// Σ z r `[k]`.
    pub zr: Vec<Lane>,
    /// Count and moments of r.
    pub moments: Moments,
}

impl SharedSums {
    /// Nothing seen.
    #[must_use]
    pub fn zeros(k: usize) -> Self {
        Self { zz: Symmetric::zeros(k), zr: zeros(k), moments: Moments::default() }
    }

    /// Adds one observation.
    #[inline(always)]
    pub fn observe(&mut self, seen: &Observation<'_>) {
        self.zz.add_outer(1.0, seen.z);
        add_scaled(&mut self.zr, seen.utility, seen.z);
        self.moments.observe(seen.utility);
    }

    /// Adds another's sums; the caller has checked that the sizes agree.
    pub fn add(&mut self, other: &Self) {
        self.zz.add(&other.zz);
        add_scaled(&mut self.zr, 1.0, &other.zr);
        self.moments.add(&other.moments);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_variance_is_a_weighted_mean_of_data_and_prior() {
        let mut moments = Moments::default();
        assert!((moments.noise_variance(0.1, 10.0) - 0.1).abs() < 1e-15);
        for utility in [0.0, 1.0, 1.0, 0.0] {
            moments.observe(utility);
        }
        // (4 · 0.25 + 10 · 0.1) / 14
        assert!((moments.noise_variance(0.1, 10.0) - 2.0 / 14.0).abs() < 1e-15);
    }

    #[test]
    fn equal_utilities_have_no_variance_of_their_own() {
        let mut moments = Moments::default();
        for _ in 0..1000 {
            moments.observe(0.1);
        }
        assert!(moments.noise_variance(0.1, 0.0) < 1e-12);
    }
}
