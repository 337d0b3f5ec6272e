//! The same arithmetic in the widest registers that the machine has.

/// Runs `work` as compiled for AVX2 where there is AVX2, else as it stands.
///
/// The result has the same bits: lanes are explicit, so wider registers only hold more of them, and a fused multiply-add is
/// never asked for. Only what is inlined into `work` is compiled twice, hence `inline(always)` on the arithmetic.
#[inline]
pub fn widest<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

#[cfg(test)]
mod tests {
    use super::super::{Symmetric, pack};
    use super::*;

    #[test]
    fn wide_registers_give_the_same_bits() {
        let n = 37;
        let x: Vec<f64> = (0..n).map(|i| libm::sin(i as f64 * 1.7)).collect();
        let (x, places) = (pack(&x), (0..37).collect::<Vec<u32>>());
        let mut matrix = Symmetric::scaled_identity(n, 0.3);
        matrix.add_outer(0.1, &x);
        let work = || {
            let (mut matrix, mut product) = (matrix.clone(), x.clone());
            matrix.multiply(&x, &mut product);
            matrix.add_outer(-0.01, &product);
            (matrix.quadratic(&x, &places).to_bits(), matrix)
        };
        assert_eq!(widest(work), work());
    }
}
