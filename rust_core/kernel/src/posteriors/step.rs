//! One observation's step of the geometry: taken once, shared by all signals of an outcome.
//!
//! The letters are those of [`hybrid`](super::hybrid).

use std::sync::Arc;

use super::hybrid::{Arm, ArmGeometry, Observation, Shared, SharedGeometry};
use crate::linalg::{Lane, dot, same_bits};

/// The last step of the geometry, which the other signals of the same outcome take as it is.
#[derive(Debug, Default)]
pub struct Step {
    x: Vec<Lane>,
    z: Vec<Lane>,
    /// Held, not only compared: an address cannot come again while it is.
    before: Option<(Arc<ArmGeometry>, Arc<SharedGeometry>)>,
    pub(super) after: Option<(Arc<ArmGeometry>, Arc<SharedGeometry>)>,
    pub(super) u: Vec<Lane>,
    pub(super) g: Vec<Lane>,
    pub(super) v: Vec<Lane>,
    pub(super) s: f64,
    pub(super) q: f64,
    pub(super) exact: bool,
}

impl Step {
    /// Whether this is the step that `seen` takes from where the arm and what is shared stand.
    pub(super) fn fits(&self, arm: &Arm, shared: &Shared, seen: &Observation<'_>) -> bool {
        self.before.as_ref().is_some_and(|(arm_before, shared_before)| {
            Arc::ptr_eq(arm_before, &arm.geometry)
                && Arc::ptr_eq(shared_before, &shared.geometry)
                && same_bits(&self.x, seen.x)
                && same_bits(&self.z, seen.z)
        })
    }

    /// Takes the step of `seen`.
    #[inline(always)]
    pub(super) fn take(&mut self, arm: &Arm, shared: &Shared, seen: &Observation<'_>) {
        let Self { x, z, u, g, v, .. } = self;
        for (copy, original) in [(x, seen.x), (z, seen.z), (&mut *u, seen.z), (&mut *g, seen.z), (&mut *v, seen.x)] {
            copy.clear();
            copy.extend_from_slice(original);
        }
        let (arm, shared) = (&arm.geometry, &shared.geometry);
        arm.covariance.multiply(seen.x, v);
        self.s = dot(seen.x, v);
        arm.coupling.subtract_transposed(seen.x, seen.nonzero, u);
        shared.covariance.multiply(u, g);
        let ug = dot(u, g);
        self.q = 1.0 + self.s + ug;
        self.exact = self.s >= 0.0 && ug >= 0.0 && self.q.is_finite();
        let p = 1.0 + self.s;
        // Where rounding has made a variance negative everything is rebuilt from the sums, which alone must be right.
        let (by_module, by_all) = if self.exact { (1.0 / p, 1.0 / self.q) } else { (0.0, 0.0) };

        let (mut own, mut common) = self.before.take().unwrap_or_else(|| (Arc::clone(arm), Arc::clone(shared)));
        let target = writable(&mut own);
        target.sums.clone_from(&arm.sums);
        target.sums.add(seen.x, seen.z);
        target.coupling.set_sum(&arm.coupling, by_module, v, u);
        target.covariance.set_sum(&arm.covariance, -by_module, v);
        target.volume = if self.exact { arm.volume + libm::log(p) } else { arm.volume };
        let target = writable(&mut common);
        target.sum_zz.set_sum(&shared.sum_zz, 1.0, seen.z);
        target.covariance.set_sum(&shared.covariance, -by_all, g);
        target.volume = if self.exact { shared.volume + libm::log(self.q) } else { shared.volume };
        self.before = Some((Arc::clone(arm), Arc::clone(shared)));
        self.after = Some((own, common));
    }
}

/// What a step may overwrite: the geometry that the step before has replaced, where nobody holds it any more, because memory
/// that was just used is in the caches and need not be asked of the system; else a copy.
fn writable<T: Clone>(replaced: &mut Arc<T>) -> &mut T {
    Arc::make_mut(replaced)
}
