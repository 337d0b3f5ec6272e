//! The answer to a decision.

use pilotfish_kernel::{Chosen, Scratch};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffers::to_bytes;

/// Index, propensity and the vectors behind them.
#[pyclass(frozen, module = "pilotfish._core")]
pub struct Choice {
    #[pyo3(get)]
    index: usize,
    #[pyo3(get)]
    propensity: f64,
    #[pyo3(get)]
    learned_count: u64,
    /// Number of modules.
    n: usize,
    /// pmf, scores and, if they were computed, uncertainties, one after the other; bytes are made when asked for.
    vectors: Box<[f64]>,
}

impl Choice {
    /// Copies the vectors out of the scratch.
    pub fn new(chosen: Chosen, scratch: &Scratch) -> Self {
        let vectors = [scratch.pmf(), scratch.scores(), scratch.uncertainties()].concat();
        let Chosen { index, propensity, learned_count } = chosen;
        Self { index, propensity, learned_count, n: scratch.pmf().len(), vectors: vectors.into_boxed_slice() }
    }

    fn part(&self, which: usize) -> &[f64] {
        self.vectors.get(which * self.n..(which + 1) * self.n).unwrap_or_default()
    }
}

#[pymethods]
impl Choice {
    #[getter]
    fn pmf<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        to_bytes(py, self.part(0))
    }

    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        to_bytes(py, self.part(1))
    }

    #[getter]
    fn uncertainties<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        to_bytes(py, self.part(2))
    }

    fn __repr__(&self) -> String {
        format!("Choice(index={}, propensity={}, of {})", self.index, self.propensity, self.n)
    }
}
