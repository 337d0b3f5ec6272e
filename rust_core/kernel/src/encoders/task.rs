//! A task as x = [1 | declared | hashed | text].

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::declared::{Declared, clip, scale_number};
use super::hashing::{Feature, label_hash, number_hash, scatter, sort, undeclared};
use super::text::encode_text;
use super::{Item, MAGNITUDE_MAX, Task, Value, check_finite};
use crate::error::{KernelError, Result};
use crate::linalg::Lane;

/// Task features that meet the features of a module; more would make a decision's cost unbounded.
const CROSSED_MAX: usize = 32;

/// Where things stand in x.
#[derive(Clone, Debug)]
pub struct TaskEncoder {
    /// Declared features with their first slot, by hash of their name.
    declared: Vec<(u64, usize, Declared)>,
    hashed: Range<usize>,
    text: Range<usize>,
    text_scale: f64,
    crossed: bool,
}

/// What the encoding of one task leaves for its modules, and scratch space.
#[derive(Clone, Debug, Default)]
pub struct TaskFeatures {
    /// Features to cross with each module's, at most 32, by hash.
    pub crossed: Vec<Feature>,
    hashed: Vec<Feature>,
    name: String,
    word: Vec<u8>,
}

impl TaskEncoder {
    /// Lays out x; `crossed` says whether modules will want the task's features.
    #[must_use]
    pub fn new(declared: &[Declared], hashed_dims: usize, text_dims: usize, text_scale: f64, crossed: bool) -> Self {
        let mut next = 1;
        let mut table: Vec<_> = declared
            .iter()
            .map(|feature| {
                let first = next;
                next += feature.slots();
                (xxh3_64(feature.name().as_bytes()), first, feature.clone())
            })
            .collect();
        table.sort_by_key(|(hash, first, _)| (*hash, *first));
        let hashed = next..next + hashed_dims;
        let text = hashed.end..hashed.end + text_dims;
        Self { declared: table, hashed, text, text_scale, crossed }
    }

    /// Length of x.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.end
    }

    /// Whether x is empty: never, it starts with 1.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    fn find(&self, name: &str) -> Option<(usize, &Declared)> {
        let hash = xxh3_64(name.as_bytes());
        let start = self.declared.partition_point(|(other, _, _)| *other < hash);
        let same_hash = self.declared[start..].iter().take_while(|(other, _, _)| *other == hash);
        same_hash.map(|(_, first, feature)| (*first, feature)).find(|(_, feature)| feature.name() == name)
    }

    /// Writes x and leaves the task's features for its modules in `features`.
    ///
    /// # Errors
    /// `InvalidInput` naming the feature that is not finite, or whose vector has another length than declared.
    pub fn encode(&self, task: &Task<'_>, features: &mut TaskFeatures, x: &mut [Lane]) -> Result<()> {
        features.hashed.clear();
        features.crossed.clear();
        x.fill([0.0; 8]);
        let x = x.as_flattened_mut();
        x[0] = 1.0;
        for (_, first, feature) in &self.declared {
            if matches!(feature, Declared::Number { .. }) {
                x[first + 1] = 1.0;
            }
        }
        for item in task.items {
            check_finite(item)?;
            self.encode_item(item, features, x)?;
        }
        sort(&mut features.hashed);
        let slots = &mut x[self.hashed.clone()];
        for feature in &features.hashed {
            scatter(feature.hash, feature.value, slots);
        }
        for slot in slots {
            *slot = slot.clamp(-MAGNITUDE_MAX, MAGNITUDE_MAX);
        }
        encode_text(task.text, self.text_scale, &mut features.word, &mut x[self.text.clone()]);
        sort(&mut features.crossed);
        features.crossed.truncate(CROSSED_MAX);
        Ok(())
    }

    fn encode_item(&self, item: &Item<'_>, features: &mut TaskFeatures, x: &mut [f64]) -> Result<()> {
        match (self.find(item.name), item.value) {
            (Some((first, Declared::Number { center, scale, log, .. })), Value::Number(number)) => {
                let value = scale_number(number, *center, *scale, *log);
                x[first] = value;
                x[first + 1] = 0.0;
                if self.crossed {
                    features.crossed.push(Feature { hash: number_hash(item.name), value });
                }
                return Ok(());
            }
            (Some((first, Declared::Category { values, .. })), Value::Label(label)) => {
                if let Some(place) = values.iter().position(|value| value == label) {
                    x[first + place] = 1.0;
                    if self.crossed {
                        features.crossed.push(Feature { hash: label_hash(item.name, label), value: 1.0 });
                    }
                    return Ok(());
                }
            }
            (Some((first, Declared::Vector { length, scale, .. })), Value::Vector(values)) => {
                if values.len() != *length {
                    let rule = format!("a vector of {length} elements");
                    return Err(KernelError::invalid(item.name, format!("{} elements", values.len()), rule));
                }
                for (slot, value) in x[first..first + length].iter_mut().zip(values) {
                    *slot = clip(value / scale);
                }
                return Ok(());
            }
            _ => {}
        }
        let start = features.hashed.len();
        undeclared(item, &mut features.name, &mut features.hashed);
        // An embedding says nothing element by element, so vectors are not crossed.
        if self.crossed && !matches!(item.value, Value::Vector(_)) {
            features.crossed.extend_from_slice(&features.hashed[start..]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::zeros;

    fn encoder() -> TaskEncoder {
        let declared = [
            Declared::Number { name: "size".into(), center: 1.0, scale: 2.0, log: false },
            Declared::Category { name: "type".into(), values: vec!["pdf".into(), "txt".into()] },
            Declared::Vector { name: "embedding".into(), length: 2, scale: 0.5 },
        ];
        TaskEncoder::new(&declared, 8, 4, 1.0, true)
    }

    fn encode(items: &[Item<'_>]) -> Result<Vec<f64>> {
        let encoder = encoder();
        let mut x = zeros(encoder.len());
        encoder.encode(&Task { items, text: "" }, &mut TaskFeatures::default(), &mut x)?;
        Ok(x.as_flattened()[..encoder.len()].to_vec())
    }

    fn item<'a>(name: &'a str, value: Value<'a>) -> Item<'a> {
        Item { name, value }
    }

    #[test]
    fn declared_features_have_slots_of_their_own() {
        let items = [
            item("embedding", Value::Vector(&[0.5, -100.0])),
            item("type", Value::Label("txt")),
            item("size", Value::Number(4.0)),
        ];
        assert_eq!(encode(&items).unwrap()[..7], [1.0, 1.5, 0.0, 0.0, 1.0, 1.0, -8.0]);
    }

    #[test]
    fn a_missing_number_sets_its_indicator_and_nothing_else() {
        let mut expected = vec![0.0; 19];
        (expected[0], expected[2]) = (1.0, 1.0);
        assert_eq!(encode(&[]).unwrap(), expected);
    }

    #[test]
    fn unknown_labels_and_other_types_go_to_the_hashed_block() {
        for odd in [
            item("type", Value::Label("docx")),
            item("size", Value::Label("big")),
            item("embedding", Value::Flag(true)),
        ] {
            let x = encode(&[odd]).unwrap();
            assert_eq!(x[1..7], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
            assert_eq!(x[7..15].iter().filter(|v| **v != 0.0).count(), 2);
        }
    }

    #[test]
    fn the_order_of_items_does_not_change_a_bit() {
        let names: Vec<String> = (0..40).map(|i| format!("feature {i}")).collect();
        let mut items: Vec<_> = names.iter().map(|n| item(n, Value::Number(0.1 + n.len() as f64))).collect();
        let forward = encode(&items).unwrap();
        items.reverse();
        assert_eq!(encode(&items).unwrap(), forward);
    }

    #[test]
    fn what_is_not_finite_is_refused_by_name() {
        let message = |value| encode(&[item("a", value)]).unwrap_err().to_string();
        assert_eq!(message(Value::Number(f64::NAN)), "a == NaN, must be finite");
        assert_eq!(message(Value::Vector(&[1.0, f64::INFINITY])), "a == inf, must be finite");
    }

    #[test]
    fn a_declared_vector_of_another_length_is_refused() {
        let error = encode(&[item("embedding", Value::Vector(&[1.0]))]).unwrap_err();
        assert_eq!(error.to_string(), "embedding == 1 elements, must be a vector of 2 elements");
    }
}
