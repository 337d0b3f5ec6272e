//! Σ x xᵀ and Σ x zᵀ of one module, added up a few at a time.

use std::sync::Arc;

use crate::linalg::{Lane, Rectangular, Symmetric, lanes_for, same_bits};

/// Observations that wait before they are added. Each learn publishes new sums beside the old ones, and a copy of d² / 2
/// numbers for every observation costs more than the addition.
const WAITING_MAX: usize = 8;

/// The sums of one module's observations; additions have the same order, and so the same bits, whenever they are carried out.
#[derive(Debug)]
pub struct Products {
    sums: Arc<Sums>,
    /// The latest x and z, each in whole lanes, oldest first.
    waiting_x: Vec<Lane>,
    waiting_z: Vec<Lane>,
    d: usize,
    k: usize,
}

/// Σ x xᵀ `[d, d]` and Σ x zᵀ `[d, k]`.
#[derive(Clone, Debug)]
pub struct Sums {
    /// Σ x xᵀ.
    pub xx: Symmetric,
    /// Σ x zᵀ.
    pub xz: Rectangular,
}

impl Products {
    /// Before any observation.
    #[must_use]
    pub fn zeros(d: usize, k: usize) -> Self {
        Self::new(d, k, Sums { xx: Symmetric::zeros(d), xz: Rectangular::zeros(d, k) })
    }

    /// Of known sums.
    #[must_use]
    pub fn new(d: usize, k: usize, sums: Sums) -> Self {
        Self { sums: Arc::new(sums), waiting_x: Vec::new(), waiting_z: Vec::new(), d, k }
    }

    /// Takes in one observation, in lanes.
    #[inline(always)]
    pub fn add(&mut self, x: &[Lane], z: &[Lane]) {
        self.waiting_x.extend_from_slice(x);
        self.waiting_z.extend_from_slice(z);
        if self.waiting_x.len() >= WAITING_MAX * lanes_for(self.d) {
            self.settled();
        }
    }

    /// The sums, to be changed; nothing waits any more.
    #[inline(always)]
    pub fn settled(&mut self) -> &mut Sums {
        let sums = Arc::make_mut(&mut self.sums);
        sums.add_all(&self.waiting_x, &self.waiting_z, (self.d, self.k));
        self.waiting_x.clear();
        self.waiting_z.clear();
        sums
    }

    /// The sums.
    #[must_use]
    pub fn sums(&self) -> Sums {
        let mut sums = Sums::clone(&self.sums);
        sums.add_all(&self.waiting_x, &self.waiting_z, (self.d, self.k));
        sums
    }

    /// Whether two have the same bits.
    #[must_use]
    pub fn same_bits(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.sums, &other.sums) {
            return same_bits(&self.waiting_x, &other.waiting_x) && same_bits(&self.waiting_z, &other.waiting_z);
        }
        let (ours, theirs) = (self.sums(), other.sums());
        ours.xx.same_bits(&theirs.xx) && ours.xz.same_bits(&theirs.xz)
    }
}

impl Clone for Products {
    fn clone(&self) -> Self {
        let Self { sums, waiting_x, waiting_z, d, k } = self;
        let (waiting_x, waiting_z) = (waiting_x.clone(), waiting_z.clone());
        Self { sums: Arc::clone(sums), waiting_x, waiting_z, d: *d, k: *k }
    }

    /// Keeps its own memory.
    fn clone_from(&mut self, other: &Self) {
        self.sums.clone_from(&other.sums);
        self.waiting_x.clone_from(&other.waiting_x);
        self.waiting_z.clone_from(&other.waiting_z);
        (self.d, self.k) = (other.d, other.k);
    }
}

impl Sums {
    #[inline(always)]
    fn add_all(&mut self, xs: &[Lane], zs: &[Lane], (d, k): (usize, usize)) {
        self.xx.add_outers(xs);
        for (x, z) in xs.chunks_exact(lanes_for(d)).zip(zs.chunks_exact(lanes_for(k))) {
            self.xz.add_outer(1.0, x, z);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::pack;

    fn observation(i: u32, d: usize, k: usize) -> (Vec<Lane>, Vec<Lane>) {
        let vector =
            |n: usize, f: f64| pack(&(0..n).map(|j| libm::sin(f * (j as f64 + f64::from(i)))).collect::<Vec<_>>());
        (vector(d, 1.7), vector(k, 0.9))
    }

    #[test]
    fn sums_that_wait_have_the_bits_of_sums_that_do_not() {
        for (d, k) in [(1, 1), (9, 1), (20, 3), (13, 9)] {
            let (mut waiting, mut at_once) = (Products::zeros(d, k), Products::zeros(d, k));
            for i in 0..3 * u32::try_from(WAITING_MAX).unwrap() + 3 {
                let (x, z) = observation(i, d, k);
                waiting.add(&x, &z);
                at_once.add(&x, &z);
                at_once.settled();
                assert!(at_once.waiting_x.is_empty() && waiting.waiting_x.len() < WAITING_MAX * lanes_for(d));
                assert!(waiting.same_bits(&at_once), "{d} × {k} after {i}");
            }
            assert_eq!(waiting.sums().xx.to_packed(), at_once.sums.xx.to_packed());
        }
    }

    #[test]
    fn what_was_published_does_not_change() {
        let (x, z) = observation(1, 5, 2);
        let mut products = Products::zeros(5, 2);
        products.add(&x, &z);
        let (published, then) = (products.clone(), products.sums());
        (0..20).for_each(|_| products.add(&x, &z));
        assert!(published.sums().xx.same_bits(&then.xx) && published.sums().xz.same_bits(&then.xz));
        let mut reused = Products::zeros(5, 2);
        reused.add(&z, &z);
        reused.clone_from(&published);
        assert!(reused.same_bits(&published) && !products.same_bits(&published));
    }
}
