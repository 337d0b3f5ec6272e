//! A rectangular matrix by rows, or the one column that it has.

use super::Symmetric;
use super::lanes::{LANES, Lane, add_scaled, dot, lanes_for, same_bits};

/// A `[rows, columns]` matrix. Each row is padded to whole lanes; a single column, which is the common case, is kept as one
/// vector instead: an eighth of the memory, and its products are those of vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Rectangular {
    rows: usize,
    columns: usize,
    stride: usize,
    lanes: Vec<Lane>,
}

impl Rectangular {
    /// The zero matrix; `columns` is at least 1.
    #[must_use]
    pub fn zeros(rows: usize, columns: usize) -> Self {
        let stride = lanes_for(columns.max(1));
        let n_lanes = if columns == 1 { lanes_for(rows) } else { rows * stride };
        Self { rows, columns, stride, lanes: vec![[0.0; LANES]; n_lanes] }
    }

    /// Rebuilds a matrix from its elements, row by row; `None` if their number is not `rows · columns`.
    #[must_use]
    pub fn from_dense(rows: usize, columns: usize, values: &[f64]) -> Option<Self> {
        if values.len() != rows * columns {
            return None;
        }
        let mut matrix = Self::zeros(rows, columns);
        for (row, source) in values.chunks_exact(columns.max(1)).enumerate() {
            let first = matrix.first(row);
            matrix.lanes.as_flattened_mut()[first..first + columns].copy_from_slice(source);
        }
        Some(matrix)
    }

    /// All elements, row by row.
    #[must_use]
    pub fn to_dense(&self) -> Vec<f64> {
        (0..self.rows).flat_map(|row| self.row(row)).copied().collect()
    }

    /// Where a row starts among the elements.
    fn first(&self, row: usize) -> usize {
        if self.columns == 1 { row } else { row * self.stride * LANES }
    }

    fn row(&self, row: usize) -> &[f64] {
        let first = self.first(row);
        &self.lanes.as_flattened()[first..first + self.columns]
    }

    /// `P A` for a symmetric P `[rows, rows]`.
    #[must_use]
    pub fn multiplied_by(&self, p: &Symmetric) -> Self {
        let mut product = Self::zeros(self.rows, self.columns);
        if self.columns == 1 {
            p.multiply(&self.lanes, &mut product.lanes);
            return product;
        }
        for (i, row) in product.lanes.chunks_exact_mut(self.stride).enumerate() {
            for (j, source) in self.lanes.chunks_exact(self.stride).enumerate() {
                add_scaled(row, p.get(i, j), source);
            }
        }
        product
    }

    /// `out −= factor · A x`.
    pub fn subtract_product(&self, factor: f64, x: &[Lane], out: &mut [Lane]) {
        let x = x.as_flattened();
        for (row, slot) in (0..self.rows).zip(out.as_flattened_mut()) {
            *slot -= factor * self.row(row).iter().zip(x).map(|(a, b)| a * b).sum::<f64>();
        }
    }

    /// `target −= Aᵀ B`, of which only the lower triangle is computed: the product is symmetric.
    pub fn subtract_gram(&self, other: &Self, target: &mut Symmetric) {
        for (a, b) in (0..self.rows).map(|row| (self.row(row), other.row(row))) {
            for i in (0..target.len()).filter(|i| a[*i] != 0.0) {
                for j in 0..=i {
                    target.set(i, j, target.get(i, j) - a[i] * b[j]);
                }
            }
        }
    }

    /// The elements of the one column, if there is but one.
    #[inline(always)]
    #[must_use]
    pub fn single_column(&self) -> Option<&[Lane]> {
        (self.columns == 1).then_some(self.lanes.as_slice())
    }

    /// `out −= Aᵀ x`, where `nonzero` lists the places of x that are not zero.
    #[inline(always)]
    pub fn subtract_transposed(&self, x: &[Lane], nonzero: &[u32], out: &mut [Lane]) {
        if self.columns == 1 {
            if let [single] = out {
                single[0] -= dot(x, &self.lanes);
            }
            return;
        }
        let flat = x.as_flattened();
        if let [single] = out {
            // Two sums that stay in registers, and neither waits for the other.
            let (mut even, mut odd) = ([0.0; LANES], [0.0; LANES]);
            let mut pairs = nonzero.chunks_exact(2);
            for pair in &mut pairs {
                let (i, j) = (pair[0] as usize, pair[1] as usize);
                let (first, second) = (&self.lanes[i], &self.lanes[j]);
                for lane in 0..LANES {
                    even[lane] += flat[i] * first[lane];
                    odd[lane] += flat[j] * second[lane];
                }
            }
            for &i in pairs.remainder() {
                let (value, row) = (flat[i as usize], &self.lanes[i as usize]);
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
            add_scaled(out, -flat[i as usize], &self.lanes[first..first + self.stride]);
        }
    }

    /// `A += factor · a bᵀ`.
    #[inline(always)]
    pub fn add_outer(&mut self, factor: f64, a: &[Lane], b: &[Lane]) {
        if self.columns == 1 {
            if let [single] = b {
                add_scaled(&mut self.lanes, factor * single[0], a);
            }
            return;
        }
        for (row, value) in self.lanes.chunks_exact_mut(self.stride).zip(a.as_flattened()) {
            if *value != 0.0 {
                add_scaled(row, factor * value, b);
            }
        }
    }

    /// `A = B + factor · a bᵀ`, with the bits that `add_outer` gives a copy of B, in memory that is there.
    #[inline(always)]
    pub fn set_sum(&mut self, base: &Self, factor: f64, a: &[Lane], b: &[Lane]) {
        (self.rows, self.columns, self.stride) = (base.rows, base.columns, base.stride);
        self.lanes.clear();
        self.lanes.extend_from_slice(&base.lanes);
        self.add_outer(factor, a, b);
    }

    /// Whether two matrices have the same bits; −0 and 0 differ.
    #[must_use]
    pub fn same_bits(&self, other: &Self) -> bool {
        self.columns == other.columns && same_bits(&self.lanes, &other.lanes)
    }

    /// `A += B`, element by element; the caller has checked that the sizes agree.
    pub fn add(&mut self, other: &Self) {
        for (a, b) in self.lanes.as_flattened_mut().iter_mut().zip(other.lanes.as_flattened()) {
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
        let mut column = Rectangular::zeros(9, 1);
        let a: Vec<f64> = (0..9).map(f64::from).collect();
        column.add_outer(2.0, &pack(&a), &pack(&[3.0]));
        assert_eq!(column.to_dense(), a.iter().map(|value| 6.0 * value).collect::<Vec<_>>());
    }

    #[test]
    fn products_with_matrices_agree_with_the_definition() {
        for (rows, columns) in [(3, 1), (11, 1), (3, 2), (11, 9)] {
            // Whole numbers, so that no order of the sums rounds.
            let a: Vec<f64> = (0..rows * columns).map(|i| (i % 7) as f64 - 3.0).collect();
            let matrix = Rectangular::from_dense(rows, columns, &a).unwrap();
            let packed: Vec<f64> = (0..rows * (rows + 1) / 2).map(|i| (i % 5) as f64 - 1.0).collect();
            let p = Symmetric::from_packed(rows, &packed).unwrap();
            let sum = |n: usize, term: &dyn Fn(usize) -> f64| (0..n).map(term).sum::<f64>();

            let product = matrix.multiplied_by(&p).to_dense();
            let (mut gram, mut out) = (Symmetric::zeros(columns), pack(&vec![1.0; rows]));
            matrix.subtract_gram(&matrix, &mut gram);
            matrix.subtract_product(2.0, &pack(&a[..columns]), &mut out);
            for i in 0..rows {
                for j in 0..columns {
                    assert!(
                        (product[i * columns + j] - sum(rows, &|l| p.get(i, l) * a[l * columns + j])).abs() < 1e-12
                    );
                }
                let row = sum(columns, &|j| a[i * columns + j] * a[j]);
                assert!((out.as_flattened()[i] - (1.0 - 2.0 * row)).abs() < 1e-12);
            }
            for (i, j) in (0..columns).flat_map(|i| (0..columns).map(move |j| (i, j))) {
                assert!((gram.get(i, j) + sum(rows, &|l| a[l * columns + i] * a[l * columns + j])).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_wrong_number_of_elements_is_refused() {
        assert_eq!(Rectangular::from_dense(2, 2, &[1.0; 3]), None);
    }
}
