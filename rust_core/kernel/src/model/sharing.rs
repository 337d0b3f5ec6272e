//! Signals that have seen the same tasks and modules have the same geometry; here they come to hold one object.
//!
//! Learning shares by itself. This restores what a state, a merge or a rebuild has taken apart.

use std::sync::Arc;

use super::{Head, Snapshot};

impl Snapshot {
    /// Lets every signal use the geometry of an earlier one that has the same bits.
    pub(super) fn share_geometry(&mut self) {
        for signal in 1..self.heads.len() {
            let (earlier, rest) = self.heads.split_at_mut(signal);
            if let Some(head) = rest.first_mut() {
                let head = Arc::make_mut(head);
                for other in earlier.iter() {
                    head.share_with(other);
                }
            }
        }
    }
}

impl Head {
    fn share_with(&mut self, other: &Self) {
        if self.shared.geometry.same_bits(&other.shared.geometry) {
            self.shared.geometry = Arc::clone(&other.shared.geometry);
        }
        for (ours, theirs) in self.arms.iter_mut().zip(&other.arms) {
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                let same = Arc::ptr_eq(&ours.geometry, &theirs.geometry);
                if !same && ours.geometry.same_bits(&theirs.geometry) {
                    Arc::make_mut(ours).geometry = Arc::clone(&theirs.geometry);
                }
            }
        }
    }
}
