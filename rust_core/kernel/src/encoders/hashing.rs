//! Undeclared features: signed feature hashing into two slots.
//!
//! Source: Weinberger, Dasgupta, Langford, Smola, Attenberg, "Feature Hashing for Large Scale Multitask Learning", 2009,
//! section 2 (signed hashing). Two slots with independent signs, each with value / √2, keep the norm and keep few items
//! linearly independent where one slot collides: 14 categories in 40 slots meet with probability 0.92 when each has one slot.

use std::f64::consts::FRAC_1_SQRT_2;
use std::fmt::Write;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{CLIP, Item, Value};

/// Kinds are part of the hash: the number `a`, the flag `a` and the label `a` are three features.
const NUMBER: u64 = 1;
const FLAG: u64 = 2;
const LABEL: u64 = 3;

/// |v| at which asinh(v) reaches CLIP: sinh(8), rounded up.
const ASINH_CLIP_AT: f64 = 1_490.479_161_252_179;

/// A feature by hash.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feature {
    /// Hash of kind, name and label.
    pub hash: u64,
    /// Its value.
    pub value: f64,
}

/// Hash of a number's name.
pub fn number_hash(name: &str) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), NUMBER)
}

/// Hash of a label under a name.
pub fn label_hash(name: &str, label: &str) -> u64 {
    xxh3_64_with_seed(label.as_bytes(), xxh3_64_with_seed(name.as_bytes(), LABEL))
}

/// asinh(v), clipped to ±CLIP: linear near 0, logarithmic far out, defined for both signs.
pub fn squash(value: f64) -> f64 {
    if value.abs() >= ASINH_CLIP_AT { CLIP.copysign(value) } else { libm::asinh(value) }
}

/// Appends what an undeclared item says; `name` is scratch.
pub fn undeclared(item: &Item<'_>, name: &mut String, features: &mut Vec<Feature>) {
    match item.value {
        Value::Number(number) => features.push(Feature { hash: number_hash(item.name), value: squash(number) }),
        Value::Flag(flag) => features.push(Feature {
            hash: xxh3_64_with_seed(item.name.as_bytes(), FLAG),
            value: if flag { 1.0 } else { -1.0 },
        }),
        Value::Label(label) => features.push(Feature { hash: label_hash(item.name, label), value: 1.0 }),
        Value::Vector(values) => {
            for (i, value) in values.iter().enumerate() {
                name.clear();
                // Writing to a String cannot fail.
                let _ = write!(name, "{}[{i}]", item.name);
                features.push(Feature { hash: number_hash(name), value: squash(*value) });
            }
        }
    }
}

/// Puts features into the one order in which they are added up.
pub fn sort(features: &mut [Feature]) {
    features.sort_unstable_by_key(|feature| (feature.hash, feature.value.to_bits()));
}

/// The hash of "this task feature with this module feature".
#[inline(always)]
pub fn cross(task: u64, module: u64) -> u64 {
    // The finaliser of MurmurHash3 (Appleby, 2011) over an asymmetric mix of the two.
    let mut hash = task.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ module.rotate_left(32);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ (hash >> 33)
}

/// A value with the sign that one bit of the hash gives it.
#[inline(always)]
fn signed(hash: u64, bit: u64, size: f64) -> f64 {
    f64::from_bits(size.to_bits() ^ (((hash >> bit) & 1) << 63))
}

/// The two places of a feature among n >= 2 slots.
// Both are below n, which came from a usize.
#[allow(clippy::cast_possible_truncation)]
#[inline(always)]
fn places(hash: u64, n: u64) -> (usize, usize) {
    // 31 bits each, scaled to the range: no slot is favoured by more than n / 2^31.
    let first = ((hash & 0x7FFF_FFFF) * n) >> 31;
    let step = 1 + ((((hash >> 31) & 0x7FFF_FFFF) * (n - 1)) >> 31);
    let second = if first + step < n { first + step } else { first + step - n };
    (first as usize, second as usize)
}

/// Adds a feature to its two slots; nothing if there are no slots.
#[inline(always)]
pub fn scatter(hash: u64, value: f64, slots: &mut [f64]) {
    match slots.len() as u64 {
        0 => {}
        1 => slots[0] += signed(hash, 63, value),
        n => {
            let size = value * FRAC_1_SQRT_2;
            let (first, second) = places(hash, n);
            slots[first] += signed(hash, 63, size);
            slots[second] += signed(hash, 62, size);
        }
    }
}

/// What a feature adds to the inner product of its slots with `weights`: the transpose of [`scatter`].
#[must_use]
pub fn gather(hash: u64, value: f64, weights: &[f64]) -> f64 {
    match weights.len() as u64 {
        0 => 0.0,
        1 => signed(hash, 63, value) * weights[0],
        n => {
            let size = value * FRAC_1_SQRT_2;
            let (first, second) = places(hash, n);
            signed(hash, 63, size) * weights[first] + signed(hash, 62, size) * weights[second]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_takes_two_different_slots_and_keeps_its_norm() {
        for n in 2..50 {
            for i in 0..200_u64 {
                let mut slots = vec![0.0; n];
                scatter(cross(i, 7), 3.0, &mut slots);
                assert_eq!(slots.iter().filter(|v| **v != 0.0).count(), 2);
                assert!((slots.iter().map(|v| v * v).sum::<f64>() - 9.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn one_slot_takes_the_whole_value_and_no_slot_takes_nothing() {
        let mut slots = [0.0];
        scatter(12345, 3.0, &mut slots);
        assert!((slots[0].abs() - 3.0).abs() < 1e-15);
        scatter(12345, 3.0, &mut []);
    }

    #[test]
    fn gathering_is_the_inner_product_with_what_was_scattered() {
        for n in 0..40 {
            let weights: Vec<f64> = (0..n).map(|i| f64::from(i) - 7.5).collect();
            for i in 0..50_u64 {
                let mut slots = vec![0.0; weights.len()];
                scatter(cross(i, 7), 3.0, &mut slots);
                let product: f64 = slots.iter().zip(&weights).map(|(slot, weight)| slot * weight).sum();
                assert!((gather(cross(i, 7), 3.0, &weights) - product).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn kinds_names_and_labels_are_told_apart() {
        let (mut name, mut features) = (String::new(), Vec::new());
        for value in
            [Value::Number(1.0), Value::Flag(true), Value::Label("x"), Value::Label("y"), Value::Vector(&[1.0])]
        {
            undeclared(&Item { name: "a", value }, &mut name, &mut features);
        }
        undeclared(&Item { name: "ax", value: Value::Label("") }, &mut name, &mut features);
        let mut hashes: Vec<u64> = features.iter().map(|f| f.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 6);
    }

    #[test]
    fn a_vector_is_its_numbers_by_index() {
        let (mut name, mut features) = (String::new(), Vec::new());
        undeclared(&Item { name: "v", value: Value::Vector(&[0.0, 2.0]) }, &mut name, &mut features);
        assert_eq!(features[1], Feature { hash: number_hash("v[1]"), value: libm::asinh(2.0) });
    }

    #[test]
    fn large_numbers_are_clipped_with_their_sign() {
        assert_eq!([squash(1e300), squash(-1e9), squash(0.0)], [8.0, -8.0, 0.0]);
        assert!((squash(1490.0) - 8.0).abs() < 1e-3);
    }

    #[test]
    fn crosses_are_not_symmetric() {
        assert_ne!(cross(1, 2), cross(2, 1));
    }
}
