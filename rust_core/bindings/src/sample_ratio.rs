//! The sample-ratio test: convert, call, convert.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pilotfish_kernel::statistics::SampleRatio as Ratio;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::to_py;

/// A handle; its methods are documented in `_core_statistics.pyi`. Held only while the interpreter's lock is, so never
/// waited for.
#[pyclass(frozen, module = "pilotfish._core")]
pub struct SampleRatio {
    inner: Mutex<Ratio>,
}

#[pymethods]
impl SampleRatio {
    #[new]
    fn new(py: Python<'_>, expected_share: f64, alpha: f64) -> PyResult<Self> {
        Ratio::new(expected_share, alpha).map(Self::hold).map_err(|error| to_py(py, &error))
    }

    #[staticmethod]
    fn from_state(py: Python<'_>, state: &[u8]) -> PyResult<Self> {
        Ratio::from_state(state).map(Self::hold).map_err(|error| to_py(py, &error))
    }

    fn observe(&self, py: Python<'_>, in_treatment: bool) -> PyResult<()> {
        self.locked().observe(in_treatment).map_err(|error| to_py(py, &error))
    }

    fn observe_counts(&self, py: Python<'_>, treatment: u64, control: u64) -> PyResult<()> {
        self.locked().observe_counts(treatment, control).map_err(|error| to_py(py, &error))
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let state = self.locked().state().map_err(|error| to_py(py, &error))?;
        Ok(PyBytes::new(py, &state))
    }

    #[getter]
    fn mismatch(&self) -> bool {
        self.locked().is_mismatch()
    }

    #[getter]
    fn evidence(&self) -> f64 {
        self.locked().evidence()
    }

    #[getter]
    fn threshold(&self) -> f64 {
        self.locked().threshold()
    }

    #[getter]
    fn expected_share(&self) -> f64 {
        self.locked().expected_share()
    }

    #[getter]
    fn alpha(&self) -> f64 {
        self.locked().alpha()
    }

    #[getter]
    fn count(&self) -> u64 {
        self.locked().count()
    }

    #[getter]
    fn treatment_count(&self) -> u64 {
        self.locked().treatment_count()
    }

    fn __repr__(&self) -> String {
        let held = self.locked();
        let (evidence, threshold) = (held.evidence(), held.threshold());
        let (treated, count) = (held.treatment_count(), held.count());
        format!("SampleRatio(evidence={evidence:.2} of {threshold:.2}, treatment={treated} of {count})")
    }
}

impl SampleRatio {
    fn hold(ratio: Ratio) -> Self {
        Self { inner: Mutex::new(ratio) }
    }

    fn locked(&self) -> MutexGuard<'_, Ratio> {
        // A call that panicked has done so before it changed anything or after it was done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
