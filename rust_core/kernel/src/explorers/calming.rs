//! How much of its first exploration an explorer keeps, from how much has been observed.

use crate::error::Result;
use crate::fields::Fields;

/// How many observations the scores rest on.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Of all actions together.
    pub total: f64,
    /// Of each action, times the number of actions, so that it is `total` where all have as many; empty: all have.
    pub each: &'a [f64],
}

impl Observed<'_> {
    /// Observations that are shared by all actions alike.
    #[must_use]
    pub fn alike(total: f64) -> Self {
        Self { total, each: &[] }
    }

    #[inline(always)]
    pub(super) fn of(self, action: usize) -> f64 {
        self.each.get(action).copied().unwrap_or(self.total)
    }
}

/// √(c / (c + n)): how much of its first exploration an explorer keeps after n observations; 1 for c = 0.
///
/// A posterior shrinks with √n by itself, yet what remains of exploration then costs as much per decision as it ever teaches.
/// The rate is that of SquareCB's schedule γ ∝ √n (Foster and Rakhlin 2020, theorem 1), shifted so that it starts at 1.
pub(super) fn annealed(anneal_count: f64, n_observed: f64) -> f64 {
    if anneal_count > 0.0 { (anneal_count / (anneal_count + n_observed)).sqrt() } else { 1.0 }
}

pub(super) fn read_anneal_count(fields: &mut Fields) -> Result<f64> {
    fields.optional_number("anneal_count", 0.0, ">= 0", |v| v >= 0.0)
}

/// What uncertainties are multiplied by, less and less.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Scale {
    /// In the beginning, >= 0; 0 is greedy.
    pub scale: f64,
    /// Observations after which it has fallen by √2, see `annealed`; 0: it never does.
    pub anneal_count: f64,
}

impl Scale {
    pub(super) fn from_fields(fields: &mut Fields) -> Result<Self> {
        let scale = fields.number("scale", ">= 0", |v| v >= 0.0)?;
        Ok(Self { scale, anneal_count: read_anneal_count(fields)? })
    }

    #[inline(always)]
    pub(super) fn after(self, n_observed: f64) -> f64 {
        self.scale * annealed(self.anneal_count, n_observed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exploration_halves_when_observations_are_three_times_the_count() {
        assert!((annealed(100.0, 300.0) - 0.5).abs() < 1e-15);
        assert_eq!([annealed(100.0, 0.0), annealed(0.0, 1e9)], [1.0, 1.0]);
    }
}
