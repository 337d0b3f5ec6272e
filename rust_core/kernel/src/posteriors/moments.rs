//! Count, weight and moments of utilities.

/// Count, weight, sum and sum of squares of the utilities.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Number of observations.
    pub count: u64,
    /// Σ w: what the observations count for; a forgotten one counts for little.
    pub weight: f64,
    /// Σ w r.
    pub sum: f64,
    /// Σ w r².
    pub squares: f64,
}

impl Moments {
    /// Adds one utility.
    pub fn observe(&mut self, utility: f64, weight: f64) {
        self.count = self.count.saturating_add(1);
        self.weight += weight;
        self.sum += weight * utility;
        self.squares += weight * (utility * utility);
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.weight += other.weight;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// Count, weight, sum and sum of squares as numbers.
    #[must_use]
    pub fn to_vec(&self) -> Vec<f64> {
        vec![self.count as f64, self.weight, self.sum, self.squares]
    }
}
