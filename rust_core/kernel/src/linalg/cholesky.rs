//! Whether a matrix is positive definite, its inverse and its determinant, by Cholesky factors.

use super::lanes::fold;
use super::{LANES, Symmetric, widest};

/// A⁻¹ = L⁻ᵀ L⁻¹ and ln |A| = 2 Σ ln L_jj of a positive definite matrix A = L Lᵀ.
///
/// Source: Golub and Van Loan, "Matrix Computations", 4th edition, 2013, algorithm 4.2.1 and section 3.1.
/// Cost: n³ / 3 and n³ / 2 multiplications. Returns `None` if a pivot is not positive and finite.
#[must_use]
pub fn invert_positive_definite(matrix: &Symmetric) -> Option<(Symmetric, f64)> {
    widest(
        #[inline(always)]
        || invert(matrix),
    )
}

/// Whether A + `shift` · I is positive definite; NaN and infinity are not. The same source; n³ / 3 multiplications.
#[must_use]
pub fn is_positive_definite(matrix: &Symmetric, shift: f64) -> bool {
    let mut dense = matrix.to_dense();
    for diagonal in dense.iter_mut().step_by(matrix.len() + 1) {
        *diagonal += shift;
    }
    widest(
        #[inline(always)]
        || factorise(&mut dense, matrix.len()),
    )
    .is_some()
}

/// Puts L into the lower triangle and returns ln |A|.
#[inline(always)]
fn factorise(factor: &mut [f64], n: usize) -> Option<f64> {
    let mut log_determinant = 0.0;
    for j in 0..n {
        let pivot = factor[j * n + j] - inner(&factor[j * n..j * n + j], &factor[j * n..j * n + j]);
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        let root = pivot.sqrt();
        log_determinant += libm::log(pivot);
        factor[j * n + j] = root;
        for i in j + 1..n {
            let known = inner(&factor[i * n..i * n + j], &factor[j * n..j * n + j]);
            factor[i * n + j] = (factor[i * n + j] - known) / root;
        }
    }
    Some(log_determinant)
}

#[inline(always)]
fn invert(matrix: &Symmetric) -> Option<(Symmetric, f64)> {
    let n = matrix.len();
    let mut factor = matrix.to_dense();
    let log_determinant = factorise(&mut factor, n)?;
    // Column j of L⁻¹, by forward substitution; stored as row j so that the last product runs along rows.
    let mut inverse_factor = vec![0.0; n * n];
    for j in 0..n {
        inverse_factor[j * n + j] = 1.0 / factor[j * n + j];
        for i in j + 1..n {
            let known = inner(&factor[i * n + j..i * n + i], &inverse_factor[j * n + j..j * n + i]);
            inverse_factor[j * n + i] = -known / factor[i * n + i];
        }
    }
    let mut inverse = Symmetric::zeros(n);
    for i in 0..n {
        for j in 0..=i {
            inverse.set(i, j, inner(&inverse_factor[i * n + i..(i + 1) * n], &inverse_factor[j * n + i..(j + 1) * n]));
        }
    }
    Some((inverse, log_determinant))
}

/// Inner product in the lanes of everything else, for slices that do not begin at a lane.
#[inline(always)]
fn inner(left: &[f64], right: &[f64]) -> f64 {
    let (mut left, mut right) = (left, right);
    let mut sum = [0.0; LANES];
    while let (Some((a, left_rest)), Some((b, right_rest))) =
        (left.split_first_chunk::<LANES>(), right.split_first_chunk::<LANES>())
    {
        for lane in 0..LANES {
            sum[lane] += a[lane] * b[lane];
        }
        (left, right) = (left_rest, right_rest);
    }
    for (slot, (a, b)) in sum.iter_mut().zip(left.iter().zip(right)) {
        *slot += a * b;
    }
    fold(sum)
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
            let (inverse, _) = invert_positive_definite(&matrix).unwrap();
            for i in 0..n {
                for j in 0..n {
                    let product: f64 = (0..n).map(|p| matrix.get(i, p) * inverse.get(p, j)).sum();
                    assert!((product - f64::from(u8::from(i == j))).abs() < 1e-10);
                }
            }
        }
    }

    #[test]
    fn the_determinant_of_a_diagonal_is_the_product() {
        let (_, log_determinant) = invert_positive_definite(&Symmetric::scaled_identity(3, 2.0)).unwrap();
        assert!((log_determinant - 3.0 * libm::log(2.0)).abs() < 1e-15);
    }

    #[test]
    fn an_indefinite_matrix_has_no_factor() {
        let mut matrix = Symmetric::scaled_identity(2, 1.0);
        matrix.set(0, 1, 2.0);
        assert_eq!(invert_positive_definite(&matrix), None);
        // Its eigenvalues are −1 and 3.
        assert!(!is_positive_definite(&matrix, 0.999) && is_positive_definite(&matrix, 1.001));
    }

    #[test]
    fn a_matrix_with_nan_has_no_factor() {
        for value in [f64::NAN, f64::INFINITY] {
            assert_eq!(invert_positive_definite(&Symmetric::scaled_identity(2, value)), None);
            assert!(!is_positive_definite(&Symmetric::scaled_identity(2, value), 1.0));
        }
    }
}
