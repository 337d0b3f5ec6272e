//! The way of an outcome: encode, update sums and derived quantities, publish.

use std::sync::Arc;

use super::{Head, Model, Scratch, Snapshot};
use crate::encoders::{Module, Task};
use crate::error::{KernelError, Result};
use crate::linalg::widest;
use crate::names::Names;
use crate::posteriors::{Arm, Observation, rebuild_arm, rebuild_arm_geometry, rebuild_shared, rebuild_shared_geometry};

impl Model {
    /// Takes in what happened: `utility` in [0, 1] of `signal` when `module` took `task`.
    ///
    /// The signals of one outcome cost little more than one if they are learned one after the other.
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
        let _writer = self.writer.lock();
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        for head in &mut snapshot.heads {
            self.rebuild_head(&snapshot.names, Arc::make_mut(head))?;
        }
        snapshot.share_geometry();
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// Derived quantities of one signal from its sums; modules in the order of their names.
    pub(super) fn rebuild_head(&self, names: &Names, head: &mut Head) -> Result<()> {
        for arm in head.arms.iter_mut().flatten() {
            let arm = Arc::make_mut(arm);
            let (sum_xx, sum_xz) = (arm.geometry.sum_xx.clone(), arm.geometry.sum_xz.clone());
            arm.geometry = Arc::new(rebuild_arm_geometry(sum_xx, sum_xz, self.prior)?);
            rebuild_arm(arm);
        }
        let arms: Vec<Arc<Arm>> = head.by_name(names).map(|(_, arm)| Arc::clone(arm)).collect();
        let in_order = || arms.iter().map(AsRef::as_ref);
        let sum_zz = head.shared.geometry.sum_zz.clone();
        head.shared.geometry = Arc::new(rebuild_shared_geometry(sum_zz, in_order(), self.prior)?);
        rebuild_shared(&mut head.shared, in_order());
        head.noise_variance = self.noise_variance(head);
        Ok(())
    }

    /// The noise variance of a signal.
    pub(super) fn noise_variance(&self, head: &Head) -> f64 {
        let learner = &self.spec.learner;
        head.shared.noise_variance(learner.noise_variance, learner.noise_count)
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
        let mut step = self.writer.lock();
        let mut next = Snapshot::clone(&self.snapshot.load());
        let Some(slot) = next.heads.get_mut(signal) else { return self.check_signal(signal) };
        let known = next.names.find(Names::hash(name), name);
        let place = known.unwrap_or_else(|| Arc::make_mut(&mut next.names).push(name));

        let mut head = Head::clone(slot);
        let mut arm = match head.arm(Some(place)) {
            Some(arm) => arm.clone(),
            None => Arm::prior(Arc::clone(&self.arm_prior), self.n_context()),
        };
        let exact = widest(
            #[inline(always)]
            || head.shared.learn(&mut arm, &seen, &mut step),
        );
        if head.arms.len() <= place {
            head.arms.resize(place + 1, None);
        }
        if let Some(slot) = head.arms.get_mut(place) {
            *slot = Some(Arc::new(arm));
        }
        head.noise_variance = self.noise_variance(&head);
        if !exact {
            self.rebuild_head(&next.names, &mut head)?;
        }
        *slot = Arc::new(head);
        self.snapshot.store(Arc::new(next));
        Ok(())
    }
}
