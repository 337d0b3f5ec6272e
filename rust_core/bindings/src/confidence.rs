//! Confidence sequences: convert, call, convert.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pilotfish_kernel::statistics::ConfidenceSequence as Sequence;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffers::read_vector;
use crate::errors::to_py;

/// A handle; its methods are documented in `_core_statistics.pyi`. Held only while the interpreter's lock is, so never
/// waited for.
#[pyclass(frozen, module = "pilotfish._core")]
pub struct ConfidenceSequence {
    inner: Mutex<Sequence>,
}

#[pymethods]
impl ConfidenceSequence {
    #[new]
    #[allow(clippy::too_many_arguments, reason = "those of the constructor in Python")]
    #[pyo3(signature = (low, high, mean_low, mean_high, alpha, expected_count = None, expected_deviation = None))]
    fn new(
        py: Python<'_>,
        low: f64,
        high: f64,
        mean_low: f64,
        mean_high: f64,
        alpha: f64,
        expected_count: Option<f64>,
        expected_deviation: Option<f64>,
    ) -> PyResult<Self> {
        let made = Sequence::new(low, high, mean_low, mean_high, alpha, expected_count, expected_deviation);
        made.map(Self::hold).map_err(|error| to_py(py, &error))
    }

    #[staticmethod]
    fn from_state(py: Python<'_>, state: &[u8]) -> PyResult<Self> {
        Sequence::from_state(state).map(Self::hold).map_err(|error| to_py(py, &error))
    }

    fn observe(&self, py: Python<'_>, x: f64) -> PyResult<()> {
        self.locked().observe(x).map_err(|error| to_py(py, &error))
    }

    fn first_excluding(&self, values: &Bound<'_, PyAny>, mean: f64) -> PyResult<Option<usize>> {
        let mut observations = Vec::new();
        read_vector("values", values, &mut observations)?;
        self.locked().first_excluding(&observations, mean).map_err(|error| to_py(values.py(), &error))
    }

    fn interval(&self) -> (f64, f64) {
        self.locked().interval()
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let state = self.locked().state().map_err(|error| to_py(py, &error))?;
        Ok(PyBytes::new(py, &state))
    }

    #[getter]
    fn count(&self) -> u64 {
        self.locked().count()
    }

    #[getter]
    fn mean(&self) -> f64 {
        self.locked().mean()
    }

    fn __repr__(&self) -> String {
        let held = self.locked();
        let (low, high) = held.interval();
        format!("ConfidenceSequence(interval=[{low:.4}, {high:.4}], count={})", held.count())
    }
}

impl ConfidenceSequence {
    fn hold(sequence: Sequence) -> Self {
        Self { inner: Mutex::new(sequence) }
    }

    fn locked(&self) -> MutexGuard<'_, Sequence> {
        // A call that panicked has done so before it changed anything or after it was done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
