//! Count and moments of utilities.

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
}
