//! A symmetric matrix of which only the lower part is kept.
//!
//! The columns are cut into panels of [`LANES`]; panel `c` keeps rows `LANES·c .. n`, each as one lane group. The first
//! rows of a panel are its diagonal block and are kept whole, so both of its triangles hold the same bits. This reads
//! memory in one stream and does half the work of the full square; a packed triangle would end each row inside a lane.

use super::lanes::{LANES, Lane, fold, lanes_for, same_bits};

/// A symmetric `[n, n]` matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Symmetric {
    n: usize,
    rows: Vec<Lane>,
}

impl Symmetric {
    /// The zero matrix.
    #[must_use]
    pub fn zeros(n: usize) -> Self {
        Self { n, rows: vec![[0.0; LANES]; Self::offset(n, lanes_for(n))] }
    }

    /// `value · I`.
    #[must_use]
    pub fn scaled_identity(n: usize, value: f64) -> Self {
        let mut matrix = Self::zeros(n);
        for i in 0..n {
            matrix.set(i, i, value);
        }
        matrix
    }

    /// Rebuilds a matrix from its packed lower triangle, row by row; `None` if the length is not `n·(n+1)/2`.
    #[must_use]
    pub fn from_packed(n: usize, packed: &[f64]) -> Option<Self> {
        if packed.len() != n * (n + 1) / 2 {
            return None;
        }
        let mut matrix = Self::zeros(n);
        let mut values = packed.iter();
        for i in 0..n {
            for (j, value) in (0..=i).zip(&mut values) {
                matrix.set(i, j, *value);
            }
        }
        Some(matrix)
    }

    /// The lower triangle, row by row.
    #[must_use]
    pub fn to_packed(&self) -> Vec<f64> {
        (0..self.n).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|(i, j)| self.get(i, j)).collect()
    }

    /// All `n · n` elements, row by row.
    #[must_use]
    pub fn to_dense(&self) -> Vec<f64> {
        (0..self.n).flat_map(|i| (0..self.n).map(move |j| (i, j))).map(|(i, j)| self.get(i, j)).collect()
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether the matrix has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Where panel `c` starts: Σ over earlier panels of (n − LANES·p).
    const fn offset(n: usize, c: usize) -> usize {
        // The last panel may be narrower than LANES, but it still has n − LANES·c > 0 rows.
        c * n - LANES * (c * c.saturating_sub(1) / 2)
    }

    fn place(&self, i: usize, j: usize) -> (usize, usize) {
        let panel = j / LANES;
        (Self::offset(self.n, panel) + i - panel * LANES, j % LANES)
    }

    /// Element `(i, j)`, both below `n`.
    #[must_use]
    pub fn get(&self, i: usize, j: usize) -> f64 {
        let (row, lane) = self.place(i.max(j), i.min(j));
        self.rows[row][lane]
    }

    /// Sets `(i, j)` and `(j, i)`.
    pub fn set(&mut self, i: usize, j: usize, value: f64) {
        let (row, lane) = self.place(i.max(j), i.min(j));
        self.rows[row][lane] = value;
        if i / LANES == j / LANES {
            let (row, lane) = self.place(i.min(j), i.max(j));
            self.rows[row][lane] = value;
        }
    }

    /// `xᵀ A x`, where `nonzero` lists the places of x that are not zero, ascending. Cost: nonzero · n / 2.
    ///
    /// Two accumulators for the rows below the diagonal block: one alone waits for each addition to finish.
    #[inline(always)]
    #[must_use]
    pub fn quadratic(&self, x: &[Lane], nonzero: &[u32]) -> f64 {
        let flat = x.as_flattened();
        let mut rest = self.rows.as_slice();
        let mut left = nonzero;
        let mut total = [0.0; LANES];
        for (c, columns) in x.iter().enumerate() {
            let first = c * LANES;
            let (panel, later) = rest.split_at(self.n - first);
            rest = later;
            let in_block = left.iter().take_while(|&&i| (i as usize) < first + LANES).count();
            let (block, below) = left.split_at(in_block);
            left = below;
            if block.is_empty() {
                continue;
            }
            let (mut diagonal, mut even, mut odd) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
            let (own, others) = panel.split_at(panel.len().min(LANES));
            if block.len() + below.len() == panel.len() {
                // No zeros: the rows follow one another. The same sums in the same order.
                let (own_values, other_values) = flat[first..self.n].split_at(own.len());
                own.iter().zip(own_values).for_each(|(row, value)| accumulate(&mut diagonal, *value, row));
                let (mut rows, mut values) = (others.chunks_exact(2), other_values.chunks_exact(2));
                for (pair, value) in (&mut rows).zip(&mut values) {
                    accumulate(&mut even, value[0], &pair[0]);
                    accumulate(&mut odd, value[1], &pair[1]);
                }
                let last = rows.remainder().iter().zip(values.remainder());
                last.for_each(|(row, value)| accumulate(&mut even, *value, row));
            } else {
                for &i in block {
                    accumulate(&mut diagonal, flat[i as usize], &panel[i as usize - first]);
                }
                let mut pairs = below.chunks_exact(2);
                for pair in &mut pairs {
                    let (i, j) = (pair[0] as usize, pair[1] as usize);
                    accumulate(&mut even, flat[i], &panel[i - first]);
                    accumulate(&mut odd, flat[j], &panel[j - first]);
                }
                for &i in pairs.remainder() {
                    accumulate(&mut even, flat[i as usize], &panel[i as usize - first]);
                }
            }
            for lane in 0..LANES {
                total[lane] += columns[lane] * (diagonal[lane] + 2.0 * (even[lane] + odd[lane]));
            }
        }
        fold(total)
    }

    /// `out = A x`.
    ///
    /// Each row is read once, for both of its products: with the elements of x that belong to its columns, and, as a column,
    /// with the one that belongs to the row.
    #[inline(always)]
    pub fn multiply(&self, x: &[Lane], out: &mut [Lane]) {
        out.fill([0.0; LANES]);
        let flat = x.as_flattened();
        let mut rest = self.rows.as_slice();
        for (c, columns) in x.iter().enumerate() {
            let first = c * LANES;
            let (panel, later) = rest.split_at(self.n - first);
            rest = later;
            let (head, tail) = out.split_at_mut(c + 1);
            let Some(head) = head.last_mut() else { continue };
            let (own, below) = panel.split_at(panel.len().min(LANES));
            let (own_values, below_values) = flat[first..self.n].split_at(own.len());
            let mut sum = *head;
            for (row, value) in own.iter().zip(own_values) {
                accumulate(&mut sum, *value, row);
            }
            if columns.iter().all(|value| *value == 0.0) {
                for (row, value) in below.iter().zip(below_values) {
                    accumulate(&mut sum, *value, row);
                }
            } else {
                for ((row, value), target) in below.iter().zip(below_values).zip(tail.as_flattened_mut()) {
                    accumulate(&mut sum, *value, row);
                    *target += fold(product(columns, row));
                }
            }
            *head = sum;
        }
    }

    /// `A += factor · w wᵀ`.
    #[inline(always)]
    pub fn add_outer(&mut self, factor: f64, w: &[Lane]) {
        let n = self.n;
        let flat = w.as_flattened();
        let mut rest = self.rows.as_mut_slice();
        for (c, columns) in w.iter().enumerate() {
            let first = c * LANES;
            let (panel, later) = rest.split_at_mut(n - first);
            rest = later;
            if columns.iter().all(|value| *value == 0.0) {
                continue;
            }
            for (row, value) in panel.iter_mut().zip(&flat[first..]) {
                *row = plus_outer(row, factor, *value, columns);
            }
        }
    }

    /// `A += Σ w wᵀ` over vectors that lie one after the other, with the bits of `add_outer` for one after the other; each row
    /// is read and written once. (That skips lanes of zeros, which add ±0 here: sums of products are never −0.)
    #[inline(always)]
    pub fn add_outers(&mut self, vectors: &[Lane]) {
        let width = lanes_for(self.n).max(1);
        let mut rest = self.rows.as_mut_slice();
        for c in 0..width {
            let first = c * LANES;
            let (panel, later) = rest.split_at_mut(self.n - first);
            rest = later;
            for (i, row) in panel.iter_mut().enumerate() {
                let mut sum = *row;
                for w in vectors.chunks_exact(width) {
                    sum = plus_outer(&sum, 1.0, w.as_flattened()[first + i], &w[c]);
                }
                *row = sum;
            }
        }
    }

    /// `A = B + factor · w wᵀ`, with the bits that `add_outer` gives a copy of B: one pass over memory, not two.
    #[inline(always)]
    pub fn set_sum(&mut self, base: &Self, factor: f64, w: &[Lane]) {
        self.n = base.n;
        self.rows.resize(base.rows.len(), [0.0; LANES]);
        let flat = w.as_flattened();
        let (mut targets, mut sources) = (self.rows.as_mut_slice(), base.rows.as_slice());
        for (c, columns) in w.iter().enumerate() {
            let height = base.n - c * LANES;
            let (target, later_targets) = targets.split_at_mut(height);
            let (source, later_sources) = sources.split_at(height);
            (targets, sources) = (later_targets, later_sources);
            if columns.iter().all(|value| *value == 0.0) {
                target.copy_from_slice(source);
                continue;
            }
            for ((row, old), value) in target.iter_mut().zip(source).zip(&flat[c * LANES..]) {
                *row = plus_outer(old, factor, *value, columns);
            }
        }
    }

    /// Whether two matrices have the same bits; −0 and 0 differ.
    #[must_use]
    pub fn same_bits(&self, other: &Self) -> bool {
        self.n == other.n && same_bits(&self.rows, &other.rows)
    }

    /// `A += B`, element by element; the caller has checked that the sizes agree.
    pub fn add(&mut self, other: &Self) {
        for (a, b) in self.rows.as_flattened_mut().iter_mut().zip(other.rows.as_flattened()) {
            *a += b;
        }
    }
}

/// `row + factor · value · columns`.
///
/// The product of two elements is the same either way round, so the diagonal blocks stay symmetric to the bit.
#[inline(always)]
fn plus_outer(row: &Lane, factor: f64, value: f64, columns: &Lane) -> Lane {
    // Out of the compiler's sight: else it fills registers with one lane of several rows, and shuffles more than it computes.
    let value = std::hint::black_box(value);
    let mut sum = [0.0; LANES];
    for lane in 0..LANES {
        sum[lane] = row[lane] + factor * (value * columns[lane]);
    }
    sum
}

/// The products of the elements, one by one.
#[inline(always)]
fn product(left: &Lane, right: &Lane) -> Lane {
    let mut product = [0.0; LANES];
    for lane in 0..LANES {
        product[lane] = left[lane] * right[lane];
    }
    product
}

/// `sum += value · row`.
#[inline(always)]
fn accumulate(sum: &mut Lane, value: f64, row: &Lane) {
    for lane in 0..LANES {
        sum[lane] += value * row[lane];
    }
}

#[cfg(test)]
mod tests {
    use super::super::pack;
    use super::*;

    /// A deterministic dense symmetric matrix and a vector with zeros in it.
    fn case(n: usize) -> (Symmetric, Vec<f64>) {
        let mut matrix = Symmetric::zeros(n);
        for i in 0..n {
            for j in 0..=i {
                matrix.set(i, j, f64::from(u32::try_from((i * 7 + j * 13) % 11).unwrap()) - 4.0);
            }
        }
        let x = (0..n).map(|i| if i % 3 == 1 { 0.0 } else { (i as f64) * 0.25 - 1.0 }).collect();
        (matrix, x)
    }

    fn nonzero(x: &[f64]) -> Vec<u32> {
        (0..).zip(x).filter(|(_, v)| **v != 0.0).map(|(i, _)| i).collect()
    }

    #[test]
    fn products_agree_with_the_definition_at_every_size() {
        for n in 1..=40 {
            let (matrix, x) = case(n);
            let expected: Vec<f64> = (0..n).map(|i| (0..n).map(|j| matrix.get(i, j) * x[j]).sum()).collect();
            let mut product = pack(&x);
            matrix.multiply(&pack(&x), &mut product);
            for (got, want) in product.as_flattened().iter().zip(&expected) {
                assert!((got - want).abs() < 1e-10, "n = {n}");
            }
            let quadratic: f64 = expected.iter().zip(&x).map(|(a, b)| a * b).sum();
            assert!((matrix.quadratic(&pack(&x), &nonzero(&x)) - quadratic).abs() < 1e-9, "n = {n}");
        }
    }

    #[test]
    fn an_outer_product_is_added_to_both_triangles() {
        for n in [1, 7, 8, 9, 17] {
            let (mut matrix, x) = case(n);
            let before = matrix.clone();
            matrix.add_outer(-2.0, &pack(&x));
            let mut sum = Symmetric::zeros(3);
            sum.set_sum(&before, -2.0, &pack(&x));
            assert!(sum.same_bits(&matrix));
            for i in 0..n {
                for j in 0..n {
                    assert!((matrix.get(i, j) - before.get(i, j) + 2.0 * x[i] * x[j]).abs() < 1e-12);
                }
            }
            let packed = Symmetric::from_packed(n, &matrix.to_packed());
            assert_eq!(packed, Some(matrix), "the diagonal blocks are symmetric to the bit");
        }
    }

    #[test]
    fn outer_products_at_once_have_the_bits_of_one_after_the_other() {
        for n in [1, 7, 8, 9, 17, 37] {
            let vectors = [0.3, 1.7, 2.9].map(|k| (0..n).map(|i| libm::sin(k * i as f64)).collect::<Vec<_>>());
            let (mut at_once, mut one_by_one) = (Symmetric::zeros(n), Symmetric::zeros(n));
            at_once.add_outers(&vectors.each_ref().map(|vector| pack(vector)).concat());
            for vector in &vectors {
                one_by_one.add_outer(1.0, &pack(vector));
            }
            assert!(at_once.same_bits(&one_by_one), "n = {n}");
        }
    }

    #[test]
    fn a_packed_triangle_of_the_wrong_length_is_refused() {
        assert_eq!(Symmetric::from_packed(3, &[1.0; 5]), None);
    }
}
