//! The inverse of a positive definite matrix by Cholesky factors.

use super::Symmetric;

/// Inverts a positive definite matrix: A = L Lᵀ, A⁻¹ = L⁻ᵀ L⁻¹.
///
/// Source: Golub and Van Loan, "Matrix Computations", 4th edition, 2013, algorithm 4.2.1 and section 3.1.
/// Cost: n³ / 3 and n³ / 2 multiplications. Returns `None` if a pivot is not positive and finite.
#[must_use]
pub fn invert_positive_definite(matrix: &Symmetric) -> Option<Symmetric> {
    let n = matrix.len();
    let mut factor = matrix.to_dense();
    for j in 0..n {
        let pivot = factor[j * n + j] - (0..j).map(|p| factor[j * n + p] * factor[j * n + p]).sum::<f64>();
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        let root = pivot.sqrt();
        factor[j * n + j] = root;
        for i in j + 1..n {
            let inner: f64 = (0..j).map(|p| factor[i * n + p] * factor[j * n + p]).sum();
            factor[i * n + j] = (factor[i * n + j] - inner) / root;
        }
    }
    // Column j of L⁻¹, by forward substitution; stored as row j so that the last product runs along rows.
    let mut inverse_factor = vec![0.0; n * n];
    for j in 0..n {
        inverse_factor[j * n + j] = 1.0 / factor[j * n + j];
        for i in j + 1..n {
            let inner: f64 = (j..i).map(|p| factor[i * n + p] * inverse_factor[j * n + p]).sum();
            inverse_factor[j * n + i] = -inner / factor[i * n + i];
        }
    }
    let mut inverse = Symmetric::zeros(n);
    for i in 0..n {
        for j in 0..=i {
            let value = (i..n).map(|p| inverse_factor[i * n + p] * inverse_factor[j * n + p]).sum();
            inverse.set(i, j, value);
        }
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::super::pack;
    use super::*;

    #[test]
    fn a_matrix_times_its_inverse_is_the_identity() {
        for n in [1, 2, 8, 9, 20] {
            let mut matrix = Symmetric::scaled_identity(n, 0.5);
            for t in 0..2 * n {
                let x: Vec<f64> = (0..n).map(|i| ((i * 5 + t * 3) % 7) as f64 - 3.0).collect();
                matrix.add_outer(1.0, &pack(&x));
            }
            let inverse = invert_positive_definite(&matrix).unwrap();
            for i in 0..n {
                for j in 0..n {
                    let product: f64 = (0..n).map(|p| matrix.get(i, p) * inverse.get(p, j)).sum();
                    assert!((product - f64::from(u8::from(i == j))).abs() < 1e-10);
                }
            }
        }
    }

    #[test]
    fn an_indefinite_matrix_has_no_factor() {
        let mut matrix = Symmetric::scaled_identity(2, 1.0);
        matrix.set(0, 1, 2.0);
        assert_eq!(invert_positive_definite(&matrix), None);
    }

    #[test]
    fn a_matrix_with_nan_has_no_factor() {
        assert_eq!(invert_positive_definite(&Symmetric::scaled_identity(2, f64::NAN)), None);
    }
}
