//! Vectors as whole lanes, padded with zeros.

/// Number of explicit accumulators in each sum.
pub const LANES: usize = 8;

/// One lane group: eight neighbouring elements.
pub type Lane = [f64; LANES];

/// Number of lane groups that hold `n` elements.
#[must_use]
pub const fn lanes_for(n: usize) -> usize {
    n.div_ceil(LANES)
}

/// A zero vector with room for `n` elements.
#[must_use]
pub fn zeros(n: usize) -> Vec<Lane> {
    vec![[0.0; LANES]; lanes_for(n)]
}

/// Copies `values` into lanes; the padding is zero.
#[must_use]
pub fn pack(values: &[f64]) -> Vec<Lane> {
    let mut packed = zeros(values.len());
    for (slot, value) in packed.as_flattened_mut().iter_mut().zip(values) {
        *slot = *value;
    }
    packed
}

/// Folds the eight accumulators in the one order that is used everywhere.
#[inline(always)]
pub(super) fn fold(sum: Lane) -> f64 {
    let mut halves = [0.0; LANES / 2];
    for lane in 0..LANES / 2 {
        halves[lane] = sum[lane] + sum[lane + LANES / 2];
    }
    // Through memory: else the compiler carries this sum's pairs back into the loops and fills wide registers by half.
    let halves = std::hint::black_box(halves);
    (halves[0] + halves[2]) + (halves[1] + halves[3])
}

/// Inner product of two vectors of the same number of lanes.
#[inline(always)]
#[must_use]
pub fn dot(left: &[Lane], right: &[Lane]) -> f64 {
    let mut sum = [0.0; LANES];
    for (a, b) in left.iter().zip(right) {
        for lane in 0..LANES {
            sum[lane] += a[lane] * b[lane];
        }
    }
    fold(sum)
}

/// Inner products of one vector with two others, with the bits of `dot`: a sum waits for each of its additions, and two sums
/// that go side by side wait together.
#[inline(always)]
#[must_use]
pub fn dot_pair(left: &[Lane], first: &[Lane], second: &[Lane]) -> (f64, f64) {
    let (mut one, mut other) = ([0.0; LANES], [0.0; LANES]);
    for ((a, b), c) in left.iter().zip(first).zip(second) {
        for lane in 0..LANES {
            one[lane] += a[lane] * b[lane];
            other[lane] += a[lane] * c[lane];
        }
    }
    (fold(one), fold(other))
}

/// `target += factor · vector`.
#[inline(always)]
pub fn add_scaled(target: &mut [Lane], factor: f64, vector: &[Lane]) {
    for (t, v) in target.iter_mut().zip(vector) {
        for lane in 0..LANES {
            t[lane] += factor * v[lane];
        }
    }
}

/// Whether two vectors have the same bits; −0 and 0 differ.
#[must_use]
pub fn same_bits(left: &[Lane], right: &[Lane]) -> bool {
    let (left, right) = (left.as_flattened(), right.as_flattened());
    left.len() == right.len() && left.iter().zip(right).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_does_not_change_an_inner_product() {
        let left: Vec<f64> = (1..=11).map(f64::from).collect();
        let packed = pack(&left);
        assert_eq!(packed.len(), 2);
        assert!((dot(&packed, &packed) - 506.0).abs() < 1e-12);
    }

    #[test]
    fn two_inner_products_at_once_have_the_bits_of_one_after_the_other() {
        let vector = |k: f64| pack(&(0..37).map(|i| libm::sin(k * f64::from(i))).collect::<Vec<_>>());
        let (x, a, b) = (vector(1.3), vector(0.7), vector(2.9));
        assert_eq!(dot_pair(&x, &a, &b), (dot(&x, &a), dot(&x, &b)));
    }

    #[test]
    fn the_empty_vector_has_inner_product_zero() {
        assert!(dot(&[], &[]).abs() < f64::MIN_POSITIVE);
    }

    #[test]
    fn scaled_vectors_add_up() {
        let mut target = pack(&[1.0, 2.0]);
        add_scaled(&mut target, -0.5, &pack(&[2.0, 2.0]));
        assert_eq!(target.as_flattened()[..3], [0.0, 1.0, 0.0]);
    }
}
