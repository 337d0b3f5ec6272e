//! The way of an outcome: encode, update sums and derived quantities, publish.

use std::sync::Arc;

use super::{Head, Model, Scratch, Snapshot};
use crate::encoders::{Module, Task};
use crate::error::{KernelError, Result};
use crate::linalg::widest;
use crate::names::Names;
use crate::posteriors::{
    Arm, Observation, Surprise, rebuild_arm, rebuild_arm_geometry, rebuild_shared, rebuild_shared_geometry,
};

/// Largest weight of one observation.
pub const OBSERVATION_WEIGHT_MAX: f64 = 1024.0;

/// What happened when a module took a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Happened {
    /// Place of the signal in the spec.
    pub signal: usize,
    /// In [0, 1]; more is better.
    pub utility: f64,
    /// What the observation counts for, in (0, 1024]: 1, or less for what is to be half forgotten.
    pub weight: f64,
}

/// How far an outcome was from what the model expected before it learned it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Residual {
    /// The utility less what was expected of it; the expectation is clipped to [0, 1].
    pub residual: f64,
    /// Standard deviation of the expectation.
    pub uncertainty: f64,
}

impl Happened {
    /// An observation that counts in full.
    #[must_use]
    pub fn now(signal: usize, utility: f64) -> Self {
        Self { signal, utility, weight: 1.0 }
    }
}

impl Model {
    /// Takes in what happened when `module` took `task`, and says how far it was from what was expected.
    ///
    /// The signals of one outcome cost little more than one if they are learned one after the other.
    ///
    /// # Errors
    /// `InvalidInput` if a feature is not finite, the name is empty, the signal unknown, the utility outside [0, 1] or the
    /// weight outside (0, 1024].
    /// Nothing has changed then.
    pub fn learn(
        &self,
        task: &Task<'_>,
        module: &Module<'_>,
        happened: Happened,
        scratch: &mut Scratch,
    ) -> Result<Residual> {
        self.check_outcome(module.name, happened)?;
        scratch.encode_task(self, task)?;
        scratch.encode_modules(self, std::slice::from_ref(module))?;
        self.absorb(module.name, happened, scratch)
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
        happened: Happened,
        scratch: &mut Scratch,
    ) -> Result<Residual> {
        self.check_outcome(module, happened)?;
        scratch.take_context(self, context)?;
        scratch.take_shared(self, shared, 1)?;
        self.absorb(module, happened, scratch)
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
            arm.geometry = Arc::new(rebuild_arm_geometry(arm.geometry.sums.clone(), self.prior)?);
        }
        let sum_zz = head.shared.geometry.sum_zz.clone();
        let arms = head.by_name(names).map(|(_, arm)| arm.as_ref());
        head.shared.geometry = Arc::new(rebuild_shared_geometry(sum_zz, arms, self.prior)?);
        self.derive_means(names, head);
        Ok(())
    }

    /// What utilities add, from its sums, to a signal whose geometry is right.
    pub(super) fn derive_means(&self, names: &Names, head: &mut Head) {
        for arm in head.arms.iter_mut().flatten() {
            rebuild_arm(Arc::make_mut(arm));
        }
        let arms: Vec<Arc<Arm>> = head.by_name(names).map(|(_, arm)| Arc::clone(arm)).collect();
        rebuild_shared(&mut head.shared, arms.iter().map(AsRef::as_ref));
        head.noise_variance = self.noise_variance(head);
    }

    /// The noise variance of a signal.
    pub(super) fn noise_variance(&self, head: &Head) -> f64 {
        let learner = &self.spec.learner;
        head.shared.noise_variance(learner.noise_variance, learner.noise_count)
    }

    pub(super) fn check_outcome(&self, module: &str, happened: Happened) -> Result<()> {
        let Happened { signal, utility, weight } = happened;
        self.check_signal(signal)?;
        if module.is_empty() {
            return Err(KernelError::invalid("module.name", "\"\"", "a text that is not empty"));
        }
        if !(0.0..=1.0).contains(&utility) {
            return Err(KernelError::invalid("utility", utility, "in [0, 1]"));
        }
        if !(weight > 0.0 && weight <= OBSERVATION_WEIGHT_MAX) {
            return Err(KernelError::invalid("weight", weight, format!("in (0, {OBSERVATION_WEIGHT_MAX}]")));
        }
        Ok(())
    }

    /// Updates the touched arm in a copy and publishes it; all other arms are shared with the snapshot before.
    fn absorb(&self, name: &str, happened: Happened, scratch: &mut Scratch) -> Result<Residual> {
        let Happened { signal, utility, weight } = happened;
        scratch.weigh(weight);
        let seen = Observation { x: &scratch.x, nonzero: &scratch.nonzero, z: &scratch.z, utility, weight };
        let mut step = self.writer.lock();
        let mut next = Snapshot::clone(&self.snapshot.load());
        let Some(slot) = next.heads.get_mut(signal) else { return Err(self.no_signal(signal)) };
        let known = next.names.find(Names::hash(name), name);
        let place = known.unwrap_or_else(|| Arc::make_mut(&mut next.names).push(name));

        let mut head = Head::clone(slot);
        let mut arm = match head.arm(Some(place)) {
            Some(arm) => arm.clone(),
            None => Arm::prior(Arc::clone(&self.arm_prior), self.n_context()),
        };
        let surprise = widest(
            #[inline(always)]
            || head.shared.learn(&mut arm, &seen, &mut step),
        );
        if head.arms.len() <= place {
            head.arms.resize(place + 1, None);
        }
        if let Some(slot) = head.arms.get_mut(place) {
            *slot = Some(Arc::new(arm));
        }
        let noise_variance = head.noise_variance;
        head.noise_variance = self.noise_variance(&head);
        if surprise.is_none() {
            self.rebuild_head(&next.names, &mut head)?;
        }
        *slot = Arc::new(head);
        self.snapshot.store(Arc::new(next));
        // Where rounding forbids to say what was expected, nothing is known against it.
        Ok(surprise.map_or(Residual::default(), |Surprise { expected, spread }| Residual {
            residual: utility - expected.clamp(0.0, 1.0),
            uncertainty: (noise_variance * spread).sqrt(),
        }))
    }
}
