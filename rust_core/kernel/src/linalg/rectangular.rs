//! A rectangular matrix by rows.

use super::lanes::{LANES, Lane, add_scaled, lanes_for, same_bits};

/// A `[rows, columns]` matrix; each row is padded to whole lanes.
#[derive(Clone, Debug, PartialEq)]
pub struct Rectangular {
    columns: usize,
    stride: usize,
    rows: Vec<Lane>,
}

impl Rectangular {
    /// The zero matrix; `columns` is at least 1.
    #[must_use]
    pub fn zeros(rows: usize, columns: usize) -> Self {
        let stride = lanes_for(columns.max(1));
        Self { columns, stride, rows: vec![[0.0; LANES]; rows * stride] }
    }

    /// Rebuilds a matrix from its elements, row by row; `None` if their number is not `rows · columns`.
    #[must_use]
    pub fn from_dense(rows: usize, columns: usize, values: &[f64]) -> Option<Self> {
        if values.len() != rows * columns {
            return None;
        }
        let mut matrix = Self::zeros(rows, columns);
        for (row, source) in matrix.rows.chunks_exact_mut(matrix.stride).zip(values.chunks_exact(columns.max(1))) {
            for (slot, value) in row.as_flattened_mut().iter_mut().zip(source) {
                *slot = *value;
            }
        }
        Some(matrix)
    }

    /// All elements, row by row.
    #[must_use]
    pub fn to_dense(&self) -> Vec<f64> {
        self.iter_rows().flat_map(|row| row.as_flattened().iter().take(self.columns)).copied().collect()
    }

    /// The rows, each as lanes.
    #[inline(always)]
    pub fn iter_rows(&self) -> impl Iterator<Item = &[Lane]> {
        self.rows.chunks_exact(self.stride)
    }

    /// The rows, each as lanes, to be written.
    pub fn iter_rows_mut(&mut self) -> impl Iterator<Item = &mut [Lane]> {
        self.rows.chunks_exact_mut(self.stride)
    }

    /// `out −= Aᵀ x`, where `nonzero` lists the places of x that are not zero.
    #[inline(always)]
    pub fn subtract_transposed(&self, x: &[Lane], nonzero: &[u32], out: &mut [Lane]) {
        let flat = x.as_flattened();
        if let [single] = out {
            // The narrow case is the common one; its two sums stay in registers, and neither waits for the other.
            let (mut even, mut odd) = ([0.0; LANES], [0.0; LANES]);
            let mut pairs = nonzero.chunks_exact(2);
            for pair in &mut pairs {
                let (i, j) = (pair[0] as usize, pair[1] as usize);
                let (first, second) = (&self.rows[i], &self.rows[j]);
                for lane in 0..LANES {
                    even[lane] += flat[i] * first[lane];
                    odd[lane] += flat[j] * second[lane];
                }
            }
            for &i in pairs.remainder() {
                let (value, row) = (flat[i as usize], &self.rows[i as usize]);
                for lane in 0..LANES {
                    even[lane] += value * row[lane];
                }
            }
            for lane in 0..LANES {
                single[lane] -= even[lane] + odd[lane];
            }
            return;
        }
        for &i in nonzero {
            let first = i as usize * self.stride;
            add_scaled(out, -flat[i as usize], &self.rows[first..first + self.stride]);
        }
    }

    /// `A += factor · a bᵀ`.
    #[inline(always)]
    pub fn add_outer(&mut self, factor: f64, a: &[Lane], b: &[Lane]) {
        for (row, value) in self.rows.chunks_exact_mut(self.stride).zip(a.as_flattened()) {
            if *value != 0.0 {
                add_scaled(row, factor * value, b);
            }
        }
    }

    /// Whether two matrices have the same bits; −0 and 0 differ.
    #[must_use]
    pub fn same_bits(&self, other: &Self) -> bool {
        self.columns == other.columns && same_bits(&self.rows, &other.rows)
    }

    /// `A += B`, element by element; the caller has checked that the sizes agree.
    pub fn add(&mut self, other: &Self) {
        for (a, b) in self.rows.as_flattened_mut().iter_mut().zip(other.rows.as_flattened()) {
            *a += b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pack;
    use super::*;

    #[test]
    fn products_agree_with_the_definition_for_narrow_and_wide_rows() {
        for columns in [1, 3, 8, 9, 20] {
            let dense: Vec<f64> = (0..5 * columns).map(|i| (i as f64) * 0.5 - 3.0).collect();
            let matrix = Rectangular::from_dense(5, columns, &dense).unwrap();
            let x = [1.0, 0.0, -2.0, 0.5, 3.0];
            let mut out = pack(&vec![1.0; columns]);
            matrix.subtract_transposed(&pack(&x), &[0, 2, 3, 4], &mut out);
            for (j, got) in out.as_flattened().iter().take(columns).enumerate() {
                let product: f64 = (0..5).map(|i| x[i] * dense[i * columns + j]).sum();
                assert!((got - (1.0 - product)).abs() < 1e-12);
            }
            assert_eq!(matrix.to_dense(), dense);
        }
    }

    #[test]
    fn an_outer_product_is_added() {
        let mut matrix = Rectangular::zeros(2, 2);
        matrix.add_outer(1.0, &pack(&[1.0, 2.0]), &pack(&[3.0, 4.0]));
        assert_eq!(matrix.to_dense(), [3.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn a_wrong_number_of_elements_is_refused() {
        assert_eq!(Rectangular::from_dense(2, 2, &[1.0; 3]), None);
    }
}
