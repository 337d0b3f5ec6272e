//! Randomness is an argument: one uniform number from a decision id.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::error::{KernelError, Result};

/// Length of a decision id in bytes.
pub const SEED_BYTES: usize = 16;

/// One number in [0, 1) from a 16-byte decision id: the upper 53 bits of the first output of ChaCha8.
///
/// The generator is ChaCha with 8 rounds (Bernstein, "ChaCha, a variant of Salsa20", 2008) whose key is the id followed by
/// sixteen zero bytes. A cipher, because ids made one after the other differ in few bits, and a linear generator's first
/// output would show it.
///
/// # Errors
/// `InvalidInput` if the seed is not 16 bytes long.
pub fn uniform(seed: &[u8]) -> Result<f64> {
    let mut key = [0; 32];
    let Some(id) = key.get_mut(..SEED_BYTES).filter(|id| id.len() == seed.len()) else {
        return Err(KernelError::invalid("seed", format!("{} bytes", seed.len()), "16 bytes"));
    };
    id.copy_from_slice(seed);
    let bits = ChaCha8Rng::from_seed(key).next_u64() >> 11;
    Ok(bits as f64 * (1.0 / 9_007_199_254_740_992.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_ids_give_uniform_numbers() {
        let mut counts = [0_u32; 10];
        let edges: Vec<f64> = (1..10).map(|tenth| f64::from(tenth) / 10.0).collect();
        for id in 0..10_000_u128 {
            let u = uniform(&id.to_be_bytes()).unwrap();
            assert!((0.0..1.0).contains(&u));
            counts[edges.partition_point(|edge| *edge <= u)] += 1;
        }
        // Standard deviation of each count: √(10,000 · 0.1 · 0.9) = 30; five of them.
        assert!(counts.iter().all(|count| count.abs_diff(1000) < 150), "{counts:?}");
    }

    #[test]
    fn a_seed_of_another_length_is_refused() {
        assert_eq!(uniform(&[1; 15]).unwrap_err().to_string(), "seed == 15 bytes, must be 16 bytes");
    }
}
