//! Two sidecars' learning, added up.

use std::sync::Arc;

use super::{Head, Model, Snapshot};
use crate::error::{KernelError, Result};
use crate::linalg::add_scaled;
use crate::names::Names;
use crate::posteriors::{Arm, Shared};

impl Model {
    /// A model that has learned what both have: sums add up, derived quantities are rebuilt from them.
    ///
    /// The two must have seen different outcomes: what both have seen counts twice. Equal to learning everything in one
    /// model within rounding (1e-9), and `a.merge(b)` has the same bits as `b.merge(a)`.
    ///
    /// # Errors
    /// `State` if the specs differ.
    pub fn merge(&self, other: &Self) -> Result<Self> {
        if self.version != other.version {
            let reason = format!("model version == {}, must be {}: specs differ", other.version, self.version);
            return Err(KernelError::state(reason));
        }
        let (left, right) = (self.snapshot.load_full(), other.snapshot.load_full());
        let mut all: Vec<&str> = left.names.sorted().into_iter().chain(right.names.sorted()).map(|(_, n)| n).collect();
        all.sort_unstable();
        all.dedup();
        let mut names = Names::default();
        for name in &all {
            names.push(name);
        }
        let mut heads = Vec::with_capacity(left.heads.len());
        for (ours, theirs) in left.heads.iter().zip(&right.heads) {
            let arms = all.iter().map(|name| {
                let (ours, theirs) = (find(&left.names, ours, name), find(&right.names, theirs, name));
                match (ours, theirs) {
                    (Some(ours), Some(theirs)) => Some(Arc::new(add_arms(ours, theirs))),
                    (one, other) => one.or(other).cloned(),
                }
            });
            let shared = add_shared(&ours.shared, &theirs.shared);
            let mut head = Head { arms: arms.collect(), shared, noise_variance: 0.0 };
            self.rebuild_head(&names, &mut head)?;
            heads.push(Arc::new(head));
        }
        let mut snapshot = Snapshot { names: Arc::new(names), heads };
        snapshot.share_geometry();
        Ok(Self::assemble(self.spec.clone(), Arc::clone(&self.encoder), snapshot))
    }
}

fn find<'a>(names: &Names, head: &'a Head, name: &str) -> Option<&'a Arc<Arm>> {
    head.arms.get(names.find(Names::hash(name), name)?)?.as_ref()
}

/// Adds the sums; what is derived from them is stale.
fn add_arms(ours: &Arm, theirs: &Arm) -> Arm {
    let mut sum = ours.clone();
    let geometry = Arc::make_mut(&mut sum.geometry);
    let (sums, others) = (geometry.sums.settled(), theirs.geometry.sums.sums());
    sums.xx.add(&others.xx);
    sums.xz.add(&others.xz);
    add_scaled(&mut sum.sum_xr, 1.0, &theirs.sum_xr);
    sum.moments.add(&theirs.moments);
    sum
}

/// Adds the sums; what is derived from them is stale.
fn add_shared(ours: &Shared, theirs: &Shared) -> Shared {
    let mut sum = ours.clone();
    Arc::make_mut(&mut sum.geometry).sum_zz.add(&theirs.geometry.sum_zz);
    add_scaled(&mut sum.sum_zr, 1.0, &theirs.sum_zr);
    sum.moments.add(&theirs.moments);
    sum
}
