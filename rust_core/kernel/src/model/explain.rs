//! Why a module scores what it does: the score as a sum over what was given.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decide::find_active;
use super::{Head, Model, Scratch};
use crate::encoders::{
    Feature, Item, Module, Task, gather, label_hash, scatter, shortening, undeclared, visit_module, visit_words,
};
use crate::error::{KernelError, Result};
use crate::linalg::{Lane, add_scaled, zeros};
use crate::names::Names;

impl Model {
    /// The score that `decide` gives `module` for `task`, split into what each part of the input adds to it; the sum is the
    /// score within 1e-9. Largest first by absolute value, ties by name.
    ///
    /// score = Σ_s share_s · (xᵀc_a + (z − M_aᵀx)ᵀβ) = xᵀθ + zᵀβ̄ with θ = Σ_s share_s · (c_a − M_a β), β̄ = Σ_s share_s · β,
    /// share_s = w_s / Σ w over the signals that count. θ is what is known of the module by itself, β̄ what all modules share.
    /// Both are linear in x and z, and these in their features, up to the lengths that text and z are divided by, which are
    /// common factors. Source: Lundberg and Lee, "A unified approach to interpreting model predictions", 2017, corollary 1
    /// (additive attribution of a linear model), with the baseline at 0: what is added is x_i θ_i and not a difference from
    /// a mean, which would depend on the traffic.
    ///
    /// | part | what adds to the score |
    /// | --- | --- |
    /// | `bias` | the module itself, whatever the task |
    /// | `feature:NAME` | a feature of the task, declared or hashed; a declared number that is missing, by its indicator |
    /// | `text:WORD` | a word of the text, in lower case, all its occurrences |
    /// | `interplay` | what is not linear in the declared features (the random features; no sum over features) |
    /// | `clipped` | what was cut off where features pile up in one slot beyond ±1000; rare |
    /// | `shared:bias` | what all modules have in common, whatever the task |
    /// | `shared:feature:NAME` | a feature of the task, for all modules alike |
    /// | `shared:module:NAME`, `shared:capability:TAG` | a feature or a capability of the module |
    /// | `shared:feature:NAME × module:NAME` | the two together; `capability:TAG` likewise |
    ///
    /// Which parts there are follows from the input and the spec alone; one without influence has 0. Features whose hashes
    /// are equal are one for the model and stand under the first name. While no signal with a weight has been learned every
    /// part is 0. Cost: signals · d · k, and task features × module features.
    ///
    /// # Errors
    /// `InvalidInput` if the module's name is empty, a feature is not finite, or the weights are not one per signal, finite
    /// and not negative.
    pub fn contributions(
        &self,
        task: &Task<'_>,
        module: &Module<'_>,
        weights: &[f64],
        scratch: &mut Scratch,
    ) -> Result<Vec<(String, f64)>> {
        self.check_weights(weights)?;
        if module.name.is_empty() {
            return Err(KernelError::invalid("module.name", "\"\"", "a text that is not empty"));
        }
        scratch.encode_task(self, task)?;
        scratch.encode_modules(self, std::slice::from_ref(module))?;
        let snapshot = self.snapshot.load();
        let total = find_active(&snapshot.heads, weights, &mut scratch.active);
        let place = snapshot.names.find(Names::hash(module.name), module.name);
        let (own, shared) = self.effects(&snapshot.heads, place, &scratch.active, total);
        let mut parts = Vec::new();
        let task_names = name_features(task.items, "feature:");
        self.split_own(task, scratch, own.as_flattened(), &task_names, &mut parts);
        self.split_shared(module, scratch, shared.as_flattened(), &task_names, &mut parts);
        Ok(ranked(parts))
    }

    /// θ `[d]` and β̄ `[k]`.
    fn effects(
        &self,
        heads: &[Arc<Head>],
        place: Option<usize>,
        active: &[(usize, f64)],
        total: f64,
    ) -> (Vec<Lane>, Vec<Lane>) {
        let (mut own, mut shared) = (zeros(self.n_context()), zeros(self.n_shared()));
        for (signal, weight) in active {
            let Some(head) = heads.get(*signal) else { continue };
            let share = weight / total;
            add_scaled(&mut shared, share, &head.shared.mean);
            let Some(arm) = head.arm(place) else { continue };
            add_scaled(&mut own, share, &arm.mean);
            arm.geometry.coupling.subtract_product(share, &head.shared.mean, &mut own);
        }
        (own, shared)
    }

    /// xᵀθ by part, along the layout x = [1 | declared | hashed | text | random].
    fn split_own(
        &self,
        task: &Task<'_>,
        scratch: &Scratch,
        effects: &[f64],
        names: &BTreeMap<u64, String>,
        parts: &mut Vec<(String, f64)>,
    ) {
        let spec = &self.spec.encoder;
        let x = scratch.x.as_flattened();
        let (mut x, mut effects) = (x.iter().copied(), effects.iter().copied());
        let mut next =
            |n: usize| -> (Vec<f64>, Vec<f64>) { (x.by_ref().take(n).collect(), effects.by_ref().take(n).collect()) };
        let mut put = |part: &str, value: f64| parts.push((part.to_owned(), value));

        let (bias, effect) = next(1);
        put("bias", product(&bias, &effect));
        for feature in &spec.declared {
            let (slots, effect) = next(feature.slots());
            put(&format!("feature:{}", feature.name()), product(&slots, &effect));
        }
        let (slots, effect) = next(spec.hashed_dims);
        let mut unclipped = vec![0.0; slots.len()];
        for Feature { hash, value } in &scratch.task.hashed {
            scatter(*hash, *value, &mut unclipped);
            put(name_of(names, *hash), gather(*hash, *value, &effect));
        }
        if unclipped != slots {
            let cut: Vec<f64> = slots.iter().zip(&unclipped).map(|(slot, all)| slot - all).collect();
            put("clipped", product(&cut, &effect));
        }
        let (_, effect) = next(spec.text_dims);
        visit_words(task.text, spec.text_scale, &effect, |word, value| put(&format!("text:{word}"), value));
        if spec.random_dims > 0 {
            let (slots, effect) = next(spec.random_dims);
            put("interplay", product(&slots, &effect));
        }
    }

    /// zᵀβ̄ by part: z = [1 | the task's features, shortened + the module's and the products, shortened].
    fn split_shared(
        &self,
        module: &Module<'_>,
        scratch: &Scratch,
        effects: &[f64],
        task_names: &BTreeMap<u64, String>,
        parts: &mut Vec<(String, f64)>,
    ) {
        let k = self.n_shared();
        let (crossed, features) = (scratch.task.crossed.as_slice(), scratch.module.as_slice());
        let mut module_names = name_features(module.items, "module:");
        for tag in module.capabilities {
            name_feature(&mut module_names, label_hash("capability", tag), format!("capability:{tag}"));
        }
        let Some((bias, effects)) = effects.get(..k).and_then(<[f64]>::split_first) else { return };
        parts.push(("shared:bias".to_owned(), *bias));
        if self.spec.encoder.shared_task {
            let shorten = shortening_of(k, |slots| {
                for feature in crossed {
                    scatter(feature.hash, feature.value, slots);
                }
            });
            for Feature { hash, value } in crossed {
                let part = format!("shared:{}", name_of(task_names, *hash));
                parts.push((part, shorten * gather(*hash, *value, effects)));
            }
        }
        let shorten =
            shortening_of(k, |slots| visit_module(features, crossed, |_, hash, value| scatter(hash, value, slots)));
        visit_module(features, crossed, |(ours, theirs), hash, value| {
            let ours = name_of(&module_names, ours.hash);
            let part = match theirs {
                None => format!("shared:{ours}"),
                Some(theirs) => format!("shared:{} × {ours}", name_of(task_names, theirs.hash)),
            };
            parts.push((part, shorten * gather(hash, value, effects)));
        });
    }
}

/// The factor that shortens what `fill` puts into the slots of z after its bias.
fn shortening_of(k: usize, fill: impl FnOnce(&mut [f64])) -> f64 {
    let mut slots = zeros(k);
    if let Some(slots) = slots.as_flattened_mut().get_mut(1..k) {
        fill(slots);
    }
    shortening(&slots)
}

/// The names of features by hash; of equal hashes the first name in order.
fn name_features(items: &[Item<'_>], kind: &str) -> BTreeMap<u64, String> {
    let (mut names, mut scratch, mut features) = (BTreeMap::new(), String::new(), Vec::new());
    for item in items {
        features.clear();
        undeclared(item, &mut scratch, &mut features);
        for feature in &features {
            name_feature(&mut names, feature.hash, format!("{kind}{}", item.name));
        }
    }
    names
}

fn name_feature(names: &mut BTreeMap<u64, String>, hash: u64, name: String) {
    let entry = names.entry(hash).or_insert_with(|| name.clone());
    if name < *entry {
        *entry = name;
    }
}

fn name_of(names: &BTreeMap<u64, String>, hash: u64) -> &str {
    // Every hash comes from an item that has been named by the same rule.
    names.get(&hash).map_or("", String::as_str)
}

fn product(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

/// Each part once, largest first. Sorted before they are added up, so that the order of the input changes no bit.
fn ranked(mut parts: Vec<(String, f64)>) -> Vec<(String, f64)> {
    parts.sort_by(|(name, value), (other, than)| name.cmp(other).then(value.total_cmp(than)));
    let mut sums: Vec<(String, f64)> = Vec::with_capacity(parts.len());
    for (name, value) in parts {
        match sums.last_mut() {
            Some((last, sum)) if *last == name => *sum += value,
            // Added to 0, so that no part is −0.
            _ => sums.push((name, 0.0 + value)),
        }
    }
    // Stable, so that ties stay in the order of their names.
    sums.sort_by(|(_, value), (_, than)| than.abs().total_cmp(&value.abs()));
    sums
}
