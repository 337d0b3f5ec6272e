//! The way of an outcome: encode, update sums and derived quantities, publish.

use std::sync::Arc;

use super::{Head, HeadSums, Model, Scratch, Snapshot, Writer};
use crate::encoders::{Module, Task};
use crate::error::{KernelError, Result};
use crate::linalg::widest;
use crate::names::Names;
use crate::posteriors::{Arm, ArmSums, Observation, Prior, rebuild_arm, rebuild_shared};

impl Model {
    /// Takes in what happened: `utility` in [0, 1] of `signal` when `module` took `task`.
    ///
    /// # Errors
    /// `InvalidInput` if a feature is not finite, the name is empty, the signal unknown or the utility outside [0, 1].
    /// Nothing has changed then.
    pub fn learn(
        &self,
        task: &Task<'_>,
        module: &Module<'_>,
        signal: usize,
        utility: f64,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.check_outcome(module.name, signal, utility)?;
        scratch.encode_task(self, task)?;
        scratch.encode_modules(self, std::slice::from_ref(module))?;
        self.absorb(module.name, signal, utility, scratch)
    }

    /// The same for vectors encoded beforehand: `context` is x `[d]`, `shared` is z `[k]` or [1, 0, …].
    ///
    /// # Errors
    /// As for `learn`; also if a vector has the wrong length or an element beyond ±1000.
    pub fn learn_encoded(
        &self,
        context: &[f64],
        shared: Option<&[f64]>,
        module: &str,
        signal: usize,
        utility: f64,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.check_outcome(module, signal, utility)?;
        scratch.take_context(self, context)?;
        scratch.take_shared(self, shared, 1)?;
        self.absorb(module, signal, utility, scratch)
    }

    /// Recomputes all derived quantities from the sums, which wipes out the rounding of the updates.
    ///
    /// # Errors
    /// `State` if the sums belong to no data.
    pub fn rebuild(&self) -> Result<()> {
        let writer = self.writer.lock();
        let snapshot = self.snapshot.load_full();
        let heads: Result<Vec<_>> =
            writer.sums.iter().map(|sums| self.rebuild_head(&snapshot.names, sums).map(Arc::new)).collect();
        self.snapshot.store(Arc::new(Snapshot { names: Arc::clone(&snapshot.names), heads: heads? }));
        Ok(())
    }

    /// Derived quantities of one signal from its sums.
    pub(super) fn rebuild_head(&self, names: &Names, sums: &HeadSums) -> Result<Head> {
        rebuild_head(self.prior, &self.spec.learner, names, sums)
    }

    fn check_outcome(&self, module: &str, signal: usize, utility: f64) -> Result<()> {
        self.check_signal(signal)?;
        if module.is_empty() {
            return Err(KernelError::invalid("module.name", "\"\"", "a text that is not empty"));
        }
        if !(0.0..=1.0).contains(&utility) {
            return Err(KernelError::invalid("utility", utility, "in [0, 1]"));
        }
        Ok(())
    }

    /// Updates the touched arm in a copy and publishes it; all other arms are shared with the snapshot before.
    fn absorb(&self, name: &str, signal: usize, utility: f64, scratch: &Scratch) -> Result<()> {
        let seen = Observation { x: &scratch.x, nonzero: &scratch.nonzero, z: &scratch.z, utility };
        let mut guard = self.writer.lock();
        let Writer { sums, scratch: posterior } = &mut *guard;
        let old = self.snapshot.load_full();
        let (Some(old_head), Some(sums)) = (old.heads.get(signal), sums.get_mut(signal)) else {
            return self.check_signal(signal);
        };
        let mut names = Arc::clone(&old.names);
        let place = names.find(Names::hash(name), name).unwrap_or_else(|| Arc::make_mut(&mut names).push(name));
        let (d, k) = (self.n_context(), self.n_shared());

        let mut head = Head::clone(old_head);
        let mut arm = match head.arms.get(place) {
            Some(Some(arm)) => Arm::clone(arm),
            _ => Arm::prior(self.prior, d, k),
        };
        let exact = widest(|| head.shared.learn(&mut arm, &seen, posterior));
        if head.arms.len() <= place {
            head.arms.resize(place + 1, None);
        }
        if sums.arms.len() <= place {
            sums.arms.resize(place + 1, None);
        }
        if let (Some(slot), Some(arm_sums)) = (head.arms.get_mut(place), sums.arms.get_mut(place)) {
            *slot = Some(Arc::new(arm));
            let arm_sums = Arc::make_mut(arm_sums.get_or_insert_with(|| Arc::new(ArmSums::zeros(d, k))));
            let shared_sums = Arc::make_mut(&mut sums.shared);
            widest(|| {
                arm_sums.observe(&seen);
                shared_sums.observe(&seen);
            });
        }
        head.count = sums.shared.moments.count;
        head.noise_variance = self.noise_variance(sums);
        if !exact {
            head = self.rebuild_head(&names, sums)?;
        }
        let mut heads = old.heads.clone();
        if let Some(slot) = heads.get_mut(signal) {
            *slot = Arc::new(head);
        }
        self.snapshot.store(Arc::new(Snapshot { names, heads }));
        Ok(())
    }

    fn noise_variance(&self, sums: &HeadSums) -> f64 {
        let learner = &self.spec.learner;
        sums.shared.moments.noise_variance(learner.noise_variance, learner.noise_count)
    }
}

/// Derived quantities of one signal from its sums; arms in the order of their names.
pub(super) fn rebuild_head(
    prior: Prior,
    learner: &crate::spec::LearnerSpec,
    names: &Names,
    sums: &HeadSums,
) -> Result<Head> {
    let mut arms: Vec<Option<Arc<Arm>>> = vec![None; sums.arms.len()];
    for (slot, sums) in arms.iter_mut().zip(&sums.arms) {
        if let Some(sums) = sums {
            *slot = Some(Arc::new(rebuild_arm(sums, prior)?));
        }
    }
    let sorted = names.sorted();
    let in_order = sorted
        .iter()
        .filter_map(|(place, _)| Some((sums.arms.get(*place)?.as_deref()?, arms.get(*place)?.as_deref()?)));
    let shared = rebuild_shared(&sums.shared, in_order, prior)?;
    let moments = sums.shared.moments;
    let noise_variance = moments.noise_variance(learner.noise_variance, learner.noise_count);
    Ok(Head { shared, arms, count: moments.count, noise_variance })
}
