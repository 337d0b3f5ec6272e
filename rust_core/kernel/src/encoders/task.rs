//! A task as x = [1 | declared | hashed | text | random].

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::declared::{Declared, clip, scale_number};
use super::hashing::{Feature, label_hash, number_hash, scatter, sort, undeclared};
use super::random::RandomFeatures;
use super::text::encode_text;
use super::{Item, MAGNITUDE_MAX, Task, Value, check_finite};
use crate::error::{KernelError, Result};
use crate::linalg::Lane;
use crate::spec::EncoderSpec;

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
    declared_scale: f64,
    random: RandomFeatures,
    crossed: bool,
}

/// What the encoding of one task leaves for its modules, and scratch space.
#[derive(Clone, Debug, Default)]
pub struct TaskFeatures {
    /// Features to cross with each module's, at most 32, by hash.
    pub crossed: Vec<Feature>,
    /// Features of the hashed block, by hash.
    pub hashed: Vec<Feature>,
    name: String,
    word: Vec<u8>,
}

impl TaskEncoder {
    /// Lays out x.
    #[must_use]
    pub fn new(spec: &EncoderSpec) -> Self {
        let EncoderSpec { declared, hashed_dims, text_dims, .. } = spec;
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
        Self {
            hashed,
            text_scale: spec.text_scale,
            declared_scale: spec.declared_scale,
            random: RandomFeatures::new(spec, next - 1),
            // With a bias alone in z nothing is crossed.
            crossed: spec.shared_dims > 1,
            declared: table,
            text,
        }
    }

    /// Length of x.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.end + self.random.len()
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
            if matches!(feature, Declared::Number { indicator: true, .. }) {
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
        let (dense, random) = x.split_at_mut(self.text.end);
        let declared = &mut dense[1..self.hashed.start];
        self.random.fill(declared, &mut random[..self.random.len()]);
        for value in declared {
            *value *= self.declared_scale;
        }
        let x = dense;
        encode_text(task.text, self.text_scale, &mut features.word, &mut x[self.text.clone()]);
        sort(&mut features.crossed);
        features.crossed.truncate(CROSSED_MAX);
        Ok(())
    }

    fn encode_item(&self, item: &Item<'_>, features: &mut TaskFeatures, x: &mut [f64]) -> Result<()> {
        let found = self.find(item.name);
        // A flag that is declared as a number is 0 or 1, as `History::describe` has it.
        let value = match (found, item.value) {
            (Some((_, Declared::Number { .. })), Value::Flag(flag)) => Value::Number(f64::from(u8::from(flag))),
            (_, value) => value,
        };
        match (found, value) {
            (Some((first, Declared::Number { center, scale, log, indicator, .. })), Value::Number(number)) => {
                let value = scale_number(number, *center, *scale, *log);
                x[first] = value;
                if *indicator {
                    x[first + 1] = 0.0;
                }
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

    fn spec() -> EncoderSpec {
        EncoderSpec {
            declared: vec![
                Declared::Number { name: "size".into(), center: 1.0, scale: 2.0, log: false, indicator: true },
                Declared::Category { name: "type".into(), values: vec!["pdf".into(), "txt".into()] },
                Declared::Vector { name: "embedding".into(), length: 2, scale: 0.5 },
            ],
            declared_scale: 1.0,
            random_dims: 0,
            random_length: 1.0,
            random_scale: 1.0,
            hashed_dims: 8,
            text_dims: 4,
            text_scale: 1.0,
            shared_dims: 2,
            shared_task: true,
        }
    }

    fn encode(items: &[Item<'_>]) -> Result<Vec<f64>> {
        encode_by(&spec(), items)
    }

    fn encode_by(spec: &EncoderSpec, items: &[Item<'_>]) -> Result<Vec<f64>> {
        let encoder = TaskEncoder::new(spec);
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
    fn a_number_without_indicator_has_one_slot() {
        let number =
            |indicator| Declared::Number { name: "size".into(), center: 1.0, scale: 2.0, log: false, indicator };
        let spec = EncoderSpec { declared: vec![number(false)], ..spec() };
        assert_eq!(encode_by(&spec, &[item("size", Value::Number(4.0))]).unwrap()[..3], [1.0, 1.5, 0.0]);
        assert_eq!(encode_by(&spec, &[]).unwrap(), [[1.0].as_slice(), &[0.0; 13]].concat());
    }

    #[test]
    fn the_scale_multiplies_the_declared_block_alone() {
        let items = [item("size", Value::Number(4.0)), item("other", Value::Number(1.0))];
        let (plain, scaled) = (encode(&items).unwrap(), EncoderSpec { declared_scale: 2.5, ..spec() });
        let scaled = encode_by(&scaled, &items).unwrap();
        assert_eq!(scaled[1..7], [3.75, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!((scaled[0], &scaled[7..]), (plain[0], &plain[7..]));
    }

    #[test]
    fn random_features_come_last_and_see_the_declared_block_before_it_is_scaled() {
        let encode = |declared_scale, size| {
            let spec = EncoderSpec { declared_scale, random_dims: 5, ..spec() };
            encode_by(&spec, &[item("size", Value::Number(size))]).unwrap()
        };
        let x = encode(1.0, 4.0);
        assert_eq!(x.len(), 19 + 5);
        assert_eq!(x[19..], encode(2.5, 4.0)[19..]);
        assert!(x[19..].iter().zip(&encode(1.0, 5.0)[19..]).all(|(a, b)| a != b));
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
    fn a_flag_declared_as_a_number_is_zero_or_one() {
        let as_number = |number| encode(&[item("size", Value::Number(number))]).unwrap();
        let as_flag = |flag| encode(&[item("size", Value::Flag(flag))]).unwrap();
        assert_eq!((as_flag(true), as_flag(false)), (as_number(1.0), as_number(0.0)));
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
