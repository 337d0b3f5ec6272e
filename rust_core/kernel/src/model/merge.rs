//! Two sidecars' learning, added up.

use std::sync::Arc;

use super::learn::rebuild_head;
use super::{HeadSums, Model, Snapshot};
use crate::error::{KernelError, Result};
use crate::names::Names;
use crate::posteriors::ArmSums;

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
        // One model's lock after the other's, never both: merging a with b while b merges with a cannot lock up.
        let ((left, left_sums), (right, right_sums)) = (self.consistent(), other.consistent());
        let mut all: Vec<&str> = left.names.sorted().into_iter().chain(right.names.sorted()).map(|(_, n)| n).collect();
        all.sort_unstable();
        all.dedup();
        let mut names = Names::default();
        for name in &all {
            names.push(name);
        }
        let mut sums = Vec::with_capacity(left_sums.len());
        let mut heads = Vec::with_capacity(left_sums.len());
        for (ours, theirs) in left_sums.iter().zip(&right_sums) {
            let mut shared = (*ours.shared).clone();
            shared.add(&theirs.shared);
            let arms = all.iter().map(|name| {
                let ours = find(&left.names, ours, name);
                let theirs = find(&right.names, theirs, name);
                match (ours, theirs) {
                    (Some(ours), Some(theirs)) => {
                        let mut sum = (**ours).clone();
                        sum.add(theirs);
                        Some(Arc::new(sum))
                    }
                    (one, other) => one.or(other).cloned(),
                }
            });
            let joined = HeadSums { arms: arms.collect(), shared: Arc::new(shared) };
            heads.push(Arc::new(rebuild_head(self.prior, &self.spec.learner, &names, &joined)?));
            sums.push(joined);
        }
        Ok(Self::assemble(self.spec.clone(), Snapshot { names: Arc::new(names), heads }, sums))
    }
}

fn find<'a>(names: &Names, sums: &'a HeadSums, name: &str) -> Option<&'a Arc<ArmSums>> {
    sums.arms.get(names.find(Names::hash(name), name)?)?.as_ref()
}
