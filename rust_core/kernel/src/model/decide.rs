//! The way of a decision: encode, score, probabilities, sample.

use std::sync::Arc;

use super::{Head, Model, Scratch};
use crate::encoders::{Module, Task};
use crate::error::{KernelError, Result};
use crate::explorers::Observed;
use crate::linalg::{dot, lanes_for, widest};
use crate::names::Names;
use crate::pmf::sample;

/// Largest number of candidates of one decision.
pub const MODULES_MAX: usize = 1000;

/// Largest weight of a signal: far above any use, and no sum of weights overflows.
pub const WEIGHT_MAX: f64 = 1e9;

/// What was chosen; the vectors of the decision are in its scratch, without uncertainties where the explorer needs none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// Place of the chosen candidate.
    pub index: usize,
    /// Probability with which it was chosen.
    pub propensity: f64,
    /// Signal values that the model had learned: with its version, this names the state that chose.
    pub learned_count: u64,
}

impl Model {
    /// Chooses among `modules` for `task`, with `seed` (16 bytes) for randomness and `weights` over the signals.
    ///
    /// # Errors
    /// `InvalidInput` if there are no modules, more than 1000, a name twice or empty; if a feature is not finite; if the
    /// weights are not one per signal, finite and not negative; if the seed is not 16 bytes.
    pub fn decide(
        &self,
        seed: &[u8],
        task: &Task<'_>,
        modules: &[Module<'_>],
        weights: &[f64],
        scratch: &mut Scratch,
    ) -> Result<Chosen> {
        check_count(modules.len())?;
        scratch.encode_task(self, task)?;
        scratch.encode_modules(self, modules)?;
        self.choose(seed, modules.len(), |i| modules[i].name, weights, scratch)
    }

    /// The same for vectors encoded beforehand: `context` is x `[d]`, `shared` the modules' z `[K, k]`, or [1, 0, …] for all.
    ///
    /// # Errors
    /// As for `decide`; also if a vector has the wrong length or an element beyond ±1000.
    pub fn decide_encoded(
        &self,
        seed: &[u8],
        context: &[f64],
        shared: Option<&[f64]>,
        modules: &[&str],
        weights: &[f64],
        scratch: &mut Scratch,
    ) -> Result<Chosen> {
        check_count(modules.len())?;
        scratch.take_context(self, context)?;
        scratch.take_shared(self, shared, modules.len())?;
        self.choose(seed, modules.len(), |i| modules[i], weights, scratch)
    }

    /// The task as x `[d]`.
    ///
    /// # Errors
    /// `InvalidInput` if a feature is not finite.
    pub fn encode_task(&self, task: &Task<'_>, scratch: &mut Scratch) -> Result<Vec<f64>> {
        scratch.encode_task(self, task)?;
        Ok(scratch.x.as_flattened().iter().copied().take(self.n_context()).collect())
    }

    /// The module, in the light of the task, as z `[k]`.
    ///
    /// # Errors
    /// `InvalidInput` if a feature is not finite.
    pub fn encode_module(&self, task: &Task<'_>, module: &Module<'_>, scratch: &mut Scratch) -> Result<Vec<f64>> {
        scratch.encode_task(self, task)?;
        scratch.encode_modules(self, std::slice::from_ref(module))?;
        Ok(scratch.z.as_flattened().iter().copied().take(self.n_shared()).collect())
    }

    fn choose<'a>(
        &self,
        seed: &[u8],
        n_modules: usize,
        name: impl Fn(usize) -> &'a str,
        weights: &[f64],
        scratch: &mut Scratch,
    ) -> Result<Chosen> {
        self.check_weights(weights)?;
        let snapshot = self.snapshot.load();
        resolve(&snapshot.names, n_modules, name, scratch)?;
        scratch.scores.clear();
        scratch.scores.resize(n_modules, 0.0);
        scratch.uncertainties.clear();
        if self.spec.explorer.needs_uncertainties() {
            scratch.uncertainties.resize(n_modules, 0.0);
        }
        let total = find_active(&snapshot.heads, weights, &mut scratch.active);
        widest(
            #[inline(always)]
            || {
                if scratch.active.is_empty() {
                    self.score_prior(scratch);
                } else {
                    self.score(&snapshot.heads, total, scratch);
                }
            },
        );
        count_observed(&snapshot.heads, total, scratch);
        let Scratch { scores, uncertainties, observed, n_observed, explorer, pmf, .. } = scratch;
        let observed = Observed { total: *n_observed, each: observed };
        self.spec.explorer.pmf(scores, uncertainties, observed, explorer, pmf)?;
        let index = sample(pmf, seed)?;
        Ok(Chosen { index, propensity: pmf[index], learned_count: snapshot.learned_count() })
    }

    /// score = Σ w_s · mean_s / Σ w_s, uncertainty = √(Σ w_s² · σ_s² · spread_s) / Σ w_s over the active signals. Where there is
    /// no room for uncertainties they are left out: K · d then, where they cost K · d².
    #[inline(always)]
    fn score(&self, heads: &[Arc<Head>], total: f64, scratch: &mut Scratch) {
        let Scratch { x, nonzero, z, places, u, active, scores, uncertainties, .. } = scratch;
        let task = (x.as_slice(), nonzero.as_slice());
        let mut uncertainties = uncertainties.iter_mut();
        let modules = places.iter().zip(z.chunks_exact(lanes_for(self.n_shared())));
        for ((place, z), score) in modules.zip(scores.iter_mut()) {
            let uncertainty = uncertainties.next();
            // Signals that have seen the same share their geometry, and then its spread and u.
            let (mut known, mut spread, mut variance) = (None, 0.0, 0.0);
            for (signal, weight) in active.iter() {
                let Some(head) = heads.get(*signal) else { continue };
                let arm = head.arm(*place);
                let own = arm.map(|arm| arm.geometry.as_ref());
                let common = head.shared.geometry.as_ref();
                let geometry = Some((own.map(std::ptr::from_ref), std::ptr::from_ref(common)));
                let mean = if known == geometry {
                    head.shared.predict(arm, task.0, u)
                } else {
                    let mean = head.shared.mean(arm, task, z, u);
                    if uncertainty.is_some() {
                        spread = common.spread(own, self.prior, task, &self.shared_places, u);
                    }
                    mean
                };
                known = geometry;
                let share = weight / total;
                *score += share * mean;
                variance += share * share * head.noise_variance * spread;
            }
            if let Some(uncertainty) = uncertainty {
                *uncertainty = variance.sqrt();
            }
        }
    }

    /// Nothing is known under these weights: score 0, and the prior's uncertainty s₀ · √(xᵀx / λ_module + zᵀz / λ_shared).
    #[inline(always)]
    fn score_prior(&self, scratch: &mut Scratch) {
        let own = dot(&scratch.x, &scratch.x) / self.prior.module_precision;
        let rows = scratch.z.chunks_exact(lanes_for(self.n_shared()));
        for (uncertainty, z) in scratch.uncertainties.iter_mut().zip(rows) {
            let variance = own + dot(z, z) / self.prior.shared_precision;
            *uncertainty = (self.spec.learner.noise_variance * variance).sqrt();
        }
    }

    pub(super) fn check_weights(&self, weights: &[f64]) -> Result<()> {
        if weights.len() != self.n_signals() {
            let rule = format!("{}, one per signal", self.n_signals());
            return Err(KernelError::invalid("len(weights)", weights.len(), rule));
        }
        match weights.iter().find(|weight| !(0.0..=WEIGHT_MAX).contains(*weight)) {
            None => Ok(()),
            Some(weight) => Err(KernelError::invalid("weights", weight, "in [0, 1e9]")),
        }
    }
}

/// Lists the signals that count, those with a weight that have been learned, and returns the sum of their weights.
pub(super) fn find_active(heads: &[Arc<Head>], weights: &[f64], active: &mut Vec<(usize, f64)>) -> f64 {
    active.clear();
    let heads = heads.iter().zip(weights).enumerate();
    let counting = heads.filter(|(_, (head, weight))| **weight > 0.0 && head.shared.moments.count > 0);
    active.extend(counting.map(|(signal, (_, weight))| (signal, *weight)));
    active.iter().map(|(_, weight)| weight).sum()
}

/// What the scores rest on: observations of all modules, and of each candidate times the number of candidates. A newcomer is
/// explored as at the beginning, however much is known of the others.
fn count_observed(heads: &[Arc<Head>], total: f64, scratch: &mut Scratch) {
    let Scratch { places, active, observed, n_observed, .. } = scratch;
    let n_modules = places.len() as f64;
    observed.clear();
    observed.resize(places.len(), 0.0);
    *n_observed = 0.0;
    for (signal, weight) in active.iter() {
        let Some(head) = heads.get(*signal) else { continue };
        let share = weight / total;
        *n_observed += share * head.shared.moments.weight;
        for (slot, place) in observed.iter_mut().zip(places.iter()) {
            *slot += head.arm(*place).map_or(0.0, |arm| share * n_modules * arm.moments.weight);
        }
    }
}

fn check_count(n_modules: usize) -> Result<()> {
    if (1..=MODULES_MAX).contains(&n_modules) {
        return Ok(());
    }
    Err(KernelError::invalid("len(modules)", n_modules, format!("in [1, {MODULES_MAX}]")))
}

/// Finds each candidate's arm; refuses empty names and names that come twice.
///
/// Two known names are the same if and only if their places are, and one bit per place tells that; only names that are not
/// known yet are sorted.
fn resolve<'a>(names: &Names, n_modules: usize, name: impl Fn(usize) -> &'a str, scratch: &mut Scratch) -> Result<()> {
    let Scratch { met, unknown, places, .. } = scratch;
    met.clear();
    met.resize(names.len().div_ceil(64), 0);
    unknown.clear();
    places.clear();
    for i in 0..n_modules {
        let text = name(i);
        if text.is_empty() {
            return Err(KernelError::invalid(format!("modules[{i}].name"), "\"\"", "a text that is not empty"));
        }
        let hash = Names::hash(text);
        let place = names.find(hash, text);
        match place {
            Some(place) => {
                let (word, bit) = (&mut met[place / 64], 1_u64 << (place % 64));
                if *word & bit != 0 {
                    return Err(refuse_again(i, text));
                }
                *word |= bit;
            }
            None => unknown.push((hash, i)),
        }
        places.push(place);
    }
    unknown.sort_unstable();
    // Equal names have equal hashes; different names almost never do, and then they are compared.
    for (at, (hash, i)) in unknown.iter().enumerate() {
        for (_, j) in unknown.iter().skip(at + 1).take_while(|(other, _)| other == hash) {
            if name(*i) == name(*j) {
                return Err(refuse_again(*j, name(*j)));
            }
        }
    }
    Ok(())
}

fn refuse_again(i: usize, name: &str) -> KernelError {
    KernelError::invalid(format!("modules[{i}].name"), name, "in the list once")
}
