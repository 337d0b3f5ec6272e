//! A module, in the light of the task, as z = [1 | hashed].
//!
//! z holds what outcomes have in common whichever module runs: the task's own features (some tasks are harder than others,
//! for everybody; without these each module would have to learn that alone), the module's, and the product of each with each.

use super::hashing::{Feature, cross, label_hash, scatter, sort, undeclared};
use super::{Module, check_finite};
use crate::error::Result;
use crate::linalg::{Lane, add_scaled, dot};

/// Module features that meet the features of the task.
const CROSSED_MAX: usize = 32;

/// Writes the part of z that all modules of one task share: the bias and the task's features (`task`, sorted).
pub fn encode_common(task: &[Feature], z: &mut [Lane], n_shared: usize) {
    z.fill([0.0; 8]);
    if n_shared > 1 {
        for feature in task {
            scatter(feature.hash, feature.value, &mut z.as_flattened_mut()[1..n_shared]);
        }
        shorten(z);
    }
    z.as_flattened_mut()[0] = 1.0;
}

/// Writes z: what is `common` to all modules, the module's own features, and the product of each with each of the task's.
///
/// The task's part and the module's are each divided by max(1, its length), so that neither can shout by listing many
/// features. Without features on either side z = [1, 0, …]. `features` and `name` are scratch. Cost: task features × module
/// features.
///
/// # Errors
/// `InvalidInput` naming the feature that is not finite.
pub fn encode_module(
    module: &Module<'_>,
    task: &[Feature],
    common: &[Lane],
    (features, name): (&mut Vec<Feature>, &mut String),
    z: &mut [Lane],
    n_shared: usize,
) -> Result<()> {
    z.fill([0.0; 8]);
    features.clear();
    features.extend(module.capabilities.iter().map(|tag| Feature { hash: label_hash("capability", tag), value: 1.0 }));
    if features.len() > 1 {
        sort(features);
        features.dedup();
    }
    for item in module.items {
        check_finite(item)?;
        undeclared(item, name, features);
    }
    if n_shared > 1 && !features.is_empty() {
        sort(features);
        let slots = &mut z.as_flattened_mut()[1..n_shared];
        visit_module(features, task, |_, hash, value| scatter(hash, value, slots));
        shorten(z);
    }
    add_scaled(z, 1.0, common);
    Ok(())
}

/// Calls `visit` for all that a module puts into z, in order: its features, sorted, then each of its first 32 with each of
/// the task's. The arguments are (the module's feature, the task's if it is a product), the hash and the value.
#[inline(always)]
pub fn visit_module<'a>(
    module: &'a [Feature],
    task: &'a [Feature],
    mut visit: impl FnMut((&'a Feature, Option<&'a Feature>), u64, f64),
) {
    for ours in module {
        visit((ours, None), ours.hash, ours.value);
    }
    for ours in module.iter().take(CROSSED_MAX) {
        for theirs in task {
            visit((ours, Some(theirs)), cross(theirs.hash, ours.hash), theirs.value * ours.value);
        }
    }
}

/// What a part of z of this length is multiplied by: 1 / max(1, length).
#[must_use]
pub fn shortening(z: &[Lane]) -> f64 {
    let norm = dot(z, z).sqrt();
    if norm > 1.0 { 1.0 / norm } else { 1.0 }
}

/// Divides by max(1, length).
fn shorten(z: &mut [Lane]) {
    let factor = shortening(z);
    if factor < 1.0 {
        z.as_flattened_mut().iter_mut().for_each(|v| *v *= factor);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Item, Value};
    use super::*;
    use crate::linalg::zeros;

    fn encode(module: &Module<'_>, task: &[Feature], k: usize) -> Vec<f64> {
        let (mut common, mut z) = (zeros(k), zeros(k));
        encode_common(task, &mut common, k);
        encode_module(module, task, &common, (&mut Vec::new(), &mut String::new()), &mut z, k).unwrap();
        z.as_flattened()[..k].to_vec()
    }

    #[test]
    fn without_features_on_either_side_there_is_the_bias_alone() {
        assert_eq!(encode(&Module { name: "a", ..Module::default() }, &[], 4), [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_module_without_features_still_shows_how_hard_the_task_is() {
        let bare = Module { name: "a", ..Module::default() };
        let (easy, hard) = (encode(&bare, &[Feature { hash: 9, value: 1.0 }], 16), encode(&bare, &[], 16));
        assert_ne!(easy, hard);
    }

    #[test]
    fn the_part_after_the_bias_is_at_most_one_long() {
        let items: Vec<_> = (0..5).map(|_| Item { name: "cost", value: Value::Number(1e6) }).collect();
        let z = encode(&Module { name: "a", items: &items, capabilities: &["ocr", "pdf"] }, &[], 16);
        let norm: f64 = z[1..].iter().map(|v| v * v).sum();
        assert!((z[0] - 1.0).abs() < 1e-15 && (norm - 1.0).abs() < 1e-12);
    }

    #[test]
    fn capability_tags_are_a_set() {
        let with = |tags| encode(&Module { name: "a", items: &[], capabilities: tags }, &[], 16);
        assert_eq!(with(&["ocr", "pdf"]), with(&["pdf", "ocr", "pdf"]));
        assert_ne!(with(&["ocr"]), with(&["pdf"]));
    }

    #[test]
    fn crosses_depend_on_the_task() {
        let module = Module { name: "a", items: &[], capabilities: &["pdf"] };
        let at = |value| encode(&module, &[Feature { hash: 77, value }], 32);
        assert_ne!(at(1.0), at(-1.0));
    }
}
