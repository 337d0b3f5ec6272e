//! The way of many outcomes at once: sums first, then what is derived from them.

use std::sync::Arc;

use super::{Head, Model, Snapshot};
use crate::error::Result;
use crate::history::History;
use crate::linalg::{add_scaled, widest};
use crate::names::Names;
use crate::posteriors::Arm;

use super::{Happened, Scratch};

impl Model {
    /// A model that has learned a history: equal to learning its rows one by one within rounding (1e-9), at a fraction of the
    /// cost, because nothing is derived before the end. The same bits for the same spec and history.
    ///
    /// # Errors
    /// `InvalidInput` if the spec or a row breaks a rule; `State` if the sums belong to no data.
    pub fn trained(spec: &[u8], history: &History) -> Result<Self> {
        let model = Self::new(spec)?;
        let leaders = leaders(history, model.n_signals());
        let mut next = Snapshot::clone(&model.snapshot.load());
        let mut heads: Vec<Head> = next.heads.iter().map(|head| Head::clone(head)).collect();
        let mut names = Names::default();
        let mut scratch = Scratch::default();
        history.for_each(|task, module, values, weight| {
            for (signal, utility) in values {
                model.check_outcome(module.name, Happened { signal: *signal, utility: *utility, weight })?;
            }
            scratch.encode_task(&model, task)?;
            scratch.encode_modules(&model, std::slice::from_ref(module))?;
            scratch.weigh(weight);
            let place = names.find(Names::hash(module.name), module.name);
            let place = place.unwrap_or_else(|| names.push(module.name));
            for (signal, utility) in values {
                let (Some(head), Some(leader)) = (heads.get_mut(*signal), leaders.get(*signal)) else { continue };
                model.add(head, place, (*utility, weight), leader == signal, &scratch);
            }
            Ok(())
        })?;
        for signal in 0..heads.len() {
            let (earlier, rest) = heads.split_at_mut(signal);
            let Some(head) = rest.first_mut() else { continue };
            match leaders.get(signal).and_then(|leader| earlier.get(*leader)) {
                None => model.rebuild_head(&names, head)?,
                Some(leader) => model.derive_like(leader, &names, head),
            }
        }
        next.names = Arc::new(names);
        next.heads = heads.into_iter().map(Arc::new).collect();
        model.snapshot.store(Arc::new(next));
        Ok(model)
    }

    /// Adds one value to the sums; those of x and z only if `leads`.
    fn add(&self, head: &mut Head, place: usize, (utility, weight): (f64, f64), leads: bool, scratch: &Scratch) {
        let Scratch { x, z, .. } = scratch;
        if head.arms.len() <= place {
            head.arms.resize(place + 1, None);
        }
        let Some(slot) = head.arms.get_mut(place) else { return };
        let arm = slot.get_or_insert_with(|| Arc::new(Arm::prior(Arc::clone(&self.arm_prior), self.n_context())));
        let (arm, shared) = (Arc::make_mut(arm), &mut head.shared);
        widest(
            #[inline(always)]
            || {
                if leads {
                    let own = Arc::make_mut(&mut arm.geometry);
                    own.sums.add(x, z);
                    Arc::make_mut(&mut shared.geometry).sum_zz.add_outer(1.0, z);
                }
                let scaled = utility * weight.sqrt();
                add_scaled(&mut arm.sum_xr, scaled, x);
                add_scaled(&mut shared.sum_zr, scaled, z);
            },
        );
        arm.moments.observe(utility, weight);
        shared.moments.observe(utility, weight);
    }

    /// Takes the geometry of a signal that has seen the same rows, and derives the rest.
    fn derive_like(&self, leader: &Head, names: &Names, head: &mut Head) {
        head.shared.geometry = Arc::clone(&leader.shared.geometry);
        for (ours, theirs) in head.arms.iter_mut().zip(&leader.arms) {
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                Arc::make_mut(ours).geometry = Arc::clone(&theirs.geometry);
            }
        }
        self.derive_means(names, head);
    }
}

/// For each signal the first that has seen the same rows with the same weights: itself, or one that it can share with.
fn leaders(history: &History, n_signals: usize) -> Vec<usize> {
    let seen: Vec<_> = (0..n_signals).map(|signal| history.seen_by(signal)).collect();
    (0..n_signals).map(|signal| seen.iter().position(|other| *other == seen[signal]).unwrap_or(signal)).collect()
}
