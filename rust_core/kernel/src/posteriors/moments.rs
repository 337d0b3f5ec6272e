//! Count and moments of utilities, and the noise variance that follows from them in any order.

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

    /// Count, sum and sum of squares as numbers.
    #[must_use]
    pub fn to_vec(&self) -> Vec<f64> {
        vec![self.count as f64, self.sum, self.squares]
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
