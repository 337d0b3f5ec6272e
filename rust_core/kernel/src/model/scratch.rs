//! Space that is kept from one call to the next, so that a decision allocates nothing once it is warm.

use super::Model;
use crate::encoders::{MAGNITUDE_MAX, Module, Task, TaskFeatures, encode_common, encode_module};
use crate::error::{KernelError, Result};
use crate::explorers::ExplorerScratch;
use crate::linalg::{LANES, Lane, lanes_for};

/// Working space of decisions; any model may use any scratch, one call at a time.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pub(super) x: Vec<Lane>,
    pub(super) nonzero: Vec<u32>,
    /// One z per candidate, each in whole lanes.
    pub(super) z: Vec<Lane>,
    /// One bit per known name: whether this decision has met it.
    pub(super) met: Vec<u64>,
    /// Hash and place in the decision of names that are not known.
    pub(super) unknown: Vec<(u64, usize)>,
    pub(super) places: Vec<Option<usize>>,
    pub(super) u: Vec<Lane>,
    /// Signals that count in this decision: place and share of the weights.
    pub(super) active: Vec<(usize, f64)>,
    pub(super) explorer: ExplorerScratch,
    pub(super) observed: Vec<f64>,
    pub(super) n_observed: f64,
    pub(super) scores: Vec<f64>,
    pub(super) uncertainties: Vec<f64>,
    pub(super) pmf: Vec<f64>,
    pub(super) task: TaskFeatures,
    common: Vec<Lane>,
    pub(super) module: Vec<crate::encoders::Feature>,
    name: String,
}

impl Scratch {
    /// Scores of the last decision, one per candidate.
    #[must_use]
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// Uncertainties of the last decision, one per candidate; empty if its explorer needs none, see
    /// [`Explorer::needs_uncertainties`](crate::explorers::Explorer::needs_uncertainties).
    #[must_use]
    pub fn uncertainties(&self) -> &[f64] {
        &self.uncertainties
    }

    /// Probabilities of the last decision, one per candidate.
    #[must_use]
    pub fn pmf(&self) -> &[f64] {
        &self.pmf
    }

    /// Notes where x is not zero; every quadratic form then skips the rest.
    fn find_nonzero(&mut self) {
        self.nonzero.clear();
        let flat = self.x.as_flattened();
        self.nonzero.extend((0_u32..).zip(flat).filter(|(_, value)| **value != 0.0).map(|(place, _)| place));
    }

    /// Multiplies x and z by √weight: the observation then counts for that much.
    pub(super) fn weigh(&mut self, weight: f64) {
        if weight.to_bits() == 1.0_f64.to_bits() {
            return;
        }
        let root = weight.sqrt();
        for lanes in [&mut self.x, &mut self.z] {
            lanes.as_flattened_mut().iter_mut().for_each(|value| *value *= root);
        }
    }

    /// Encodes the task into x.
    pub(super) fn encode_task(&mut self, model: &Model, task: &Task<'_>) -> Result<()> {
        self.x.resize(lanes_for(model.n_context()), [0.0; LANES]);
        model.encoder.encode(task, &mut self.task, &mut self.x)?;
        self.find_nonzero();
        Ok(())
    }

    /// Encodes modules into z, after the task.
    pub(super) fn encode_modules(&mut self, model: &Model, modules: &[Module<'_>]) -> Result<()> {
        let k = model.n_shared();
        let stride = lanes_for(k);
        self.z.resize(modules.len() * stride, [0.0; LANES]);
        self.common.resize(stride, [0.0; LANES]);
        let Self { z, common, task, module: features, name, .. } = self;
        let own: &[_] = if model.spec.encoder.shared_task { &task.crossed } else { &[] };
        encode_common(own, common, k);
        for (module, z) in modules.iter().zip(z.chunks_exact_mut(stride)) {
            encode_module(module, &task.crossed, common, (features, name), z, k)?;
        }
        Ok(())
    }

    /// Takes an encoded context.
    pub(super) fn take_context(&mut self, model: &Model, context: &[f64]) -> Result<()> {
        check_vector("context", context, model.n_context())?;
        self.x.clear();
        self.x.resize(lanes_for(model.n_context()), [0.0; LANES]);
        self.x.as_flattened_mut().iter_mut().zip(context).for_each(|(slot, value)| *slot = *value);
        self.find_nonzero();
        Ok(())
    }

    /// Takes encoded modules, or [1, 0, …] for each.
    pub(super) fn take_shared(&mut self, model: &Model, shared: Option<&[f64]>, n_modules: usize) -> Result<()> {
        let k = model.n_shared();
        let stride = lanes_for(k);
        self.z.clear();
        self.z.resize(n_modules * stride, [0.0; LANES]);
        let rows = self.z.chunks_exact_mut(stride).map(<[Lane]>::as_flattened_mut);
        match shared {
            None => rows.for_each(|row| row[0] = 1.0),
            Some(values) => {
                check_vector("shared", values, n_modules * k)?;
                for (row, source) in rows.zip(values.chunks_exact(k)) {
                    row.iter_mut().zip(source).for_each(|(slot, value)| *slot = *value);
                }
            }
        }
        Ok(())
    }
}

fn check_vector(name: &str, values: &[f64], expected: usize) -> Result<()> {
    if values.len() != expected {
        return Err(KernelError::invalid(format!("len({name})"), values.len(), format!("{expected}")));
    }
    match values.iter().position(|value| value.is_nan() || value.abs() > MAGNITUDE_MAX) {
        None => Ok(()),
        Some(i) => {
            Err(KernelError::invalid(format!("{name}[{i}]"), values[i], format!("finite and within ±{MAGNITUDE_MAX}")))
        }
    }
}
