//! A module, in the light of the task, as z = [1 | hashed].

use super::hashing::{Feature, cross, label_hash, scatter, sort, undeclared};
use super::{Module, check_finite};
use crate::error::Result;
use crate::linalg::{Lane, dot};

/// Module features that meet the features of the task.
const CROSSED_MAX: usize = 32;

/// Writes z: the bias, the module's own features, and the product of each with each of the task's (`task`, sorted).
///
/// The part after the bias is divided by max(1, its length), so that a module cannot shout by listing many features.
/// A module without features has z = [1, 0, …]. `features` and `name` are scratch. Cost: task features × module features.
///
/// # Errors
/// `InvalidInput` naming the feature that is not finite.
pub fn encode_module(
    module: &Module<'_>,
    task: &[Feature],
    features: &mut Vec<Feature>,
    name: &mut String,
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
        for feature in features.iter() {
            scatter(feature.hash, feature.value, slots);
        }
        for ours in features.iter().take(CROSSED_MAX) {
            for theirs in task {
                scatter(cross(theirs.hash, ours.hash), theirs.value * ours.value, slots);
            }
        }
        let norm = dot(z, z).sqrt();
        if norm > 1.0 {
            let factor = 1.0 / norm;
            z.as_flattened_mut().iter_mut().for_each(|v| *v *= factor);
        }
    }
    z.as_flattened_mut()[0] = 1.0;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Item, Value};
    use super::*;
    use crate::linalg::zeros;

    fn encode(module: &Module<'_>, task: &[Feature], k: usize) -> Vec<f64> {
        let mut z = zeros(k);
        encode_module(module, task, &mut Vec::new(), &mut String::new(), &mut z, k).unwrap();
        z.as_flattened()[..k].to_vec()
    }

    #[test]
    fn a_module_without_features_is_the_bias_alone() {
        let task = [Feature { hash: 9, value: 1.0 }];
        assert_eq!(encode(&Module { name: "a", ..Module::default() }, &task, 4), [1.0, 0.0, 0.0, 0.0]);
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
