//! Random features: what is not linear in the declared block, made linear.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::spec::EncoderSpec;

/// m cosines of random projections of the declared block: s · √(2 / m) · cos(ωᵀv / (ℓ √n) + φ), ω ~ N(0, I), φ ~ U(0, 2π).
///
/// A linear model on them is a Gaussian process with the kernel s² · exp(−‖v − v'‖² / (2 n ℓ²)), approximated: statistics of
/// vectors of fixed length, so they still add up. n counts the declared features, so that ℓ means the same whatever their
/// number. The same spec gives the same projections everywhere.
///
/// Source: Rahimi and Recht, "Random features for large-scale kernel machines", 2007, algorithm 1.
#[derive(Clone, Debug)]
pub struct RandomFeatures {
    /// One row per slot of the declared block `[n, m]`.
    projections: Vec<Vec<f64>>,
    phases: Vec<f64>,
    amplitude: f64,
}

impl RandomFeatures {
    /// Draws the projections of a block of `n_slots`.
    #[must_use]
    pub fn new(spec: &EncoderSpec, n_slots: usize) -> Self {
        let m = spec.random_dims;
        let n_features: usize = spec.declared.iter().map(crate::encoders::Declared::weight).sum();
        let inverse_length = 1.0 / (spec.random_length * (n_features.max(1) as f64).sqrt());
        let mut rng = ChaCha8Rng::from_seed([0x9f; 32]);
        // Phases first: with more slots the projections of the slots before stay what they were.
        let phases = (0..m).map(|_| std::f64::consts::TAU * uniform(&mut rng)).collect();
        let slots = if m == 0 { 0 } else { n_slots };
        let projections = (0..slots).map(|_| (0..m).map(|_| inverse_length * normal(&mut rng)).collect()).collect();
        Self { projections, phases, amplitude: spec.random_scale * (2.0 / m.max(1) as f64).sqrt() }
    }

    /// Number of features m.
    #[must_use]
    pub fn len(&self) -> usize {
        self.phases.len()
    }

    /// Writes the features of the declared block `[n_slots]` into `out` `[m]`.
    pub fn fill(&self, declared: &[f64], out: &mut [f64]) {
        out.copy_from_slice(&self.phases);
        for (value, row) in declared.iter().zip(&self.projections) {
            if *value != 0.0 {
                out.iter_mut().zip(row).for_each(|(slot, weight)| *slot += value * weight);
            }
        }
        for slot in out {
            *slot = self.amplitude * libm::cos(*slot);
        }
    }
}

/// In (0, 1].
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) + 1) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// Standard normal (Box and Muller, 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * libm::log(uniform(rng))).sqrt();
    radius * libm::cos(std::f64::consts::TAU * uniform(rng))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoders::Declared;

    fn number(name: usize) -> Declared {
        Declared::Number { name: format!("{name}"), center: 0.0, scale: 1.0, log: false, indicator: false }
    }

    fn spec(n: usize, m: usize) -> EncoderSpec {
        EncoderSpec {
            declared: (0..n).map(number).collect(),
            declared_scale: 1.0,
            random_dims: m,
            random_length: 1.5,
            random_scale: 2.0,
            hashed_dims: 0,
            text_dims: 0,
            text_scale: 1.0,
            shared_dims: 1,
            shared_task: false,
        }
    }

    #[test]
    fn inner_products_approach_the_gaussian_kernel() {
        let features = RandomFeatures::new(&spec(3, 1024), 3);
        let fill = |v: &[f64]| {
            let mut out = vec![0.0; 1024];
            features.fill(v, &mut out);
            out
        };
        for (v, w) in [
            ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
            ([1.0, -1.0, 0.5], [0.0, 1.0, 2.0]),
            ([3.0, 0.0, 0.0], [-3.0, 4.0, 0.0]),
        ] {
            let distance: f64 = v.iter().zip(&w).map(|(a, b)| (a - b) * (a - b)).sum();
            let kernel = 4.0 * libm::exp(-distance / (2.0 * 3.0 * 1.5 * 1.5));
            let product: f64 = fill(&v).iter().zip(fill(&w)).map(|(a, b)| a * b).sum();
            // Standard error s² / √m = 0.125.
            assert!((product - kernel).abs() < 0.4, "{product} {kernel}");
        }
    }

    #[test]
    fn none_are_none() {
        let features = RandomFeatures::new(&spec(3, 0), 3);
        features.fill(&[1.0, 2.0, 3.0], &mut []);
        assert_eq!(features.len(), 0);
    }
}
