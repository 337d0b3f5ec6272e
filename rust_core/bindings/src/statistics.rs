//! Statistics: convert, call, convert.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pilotfish_kernel::statistics::ChangeDetector as Detector;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::errors::to_py;
use crate::features::borrow;

/// That, where and since when something has changed.
#[pyclass(frozen, get_all, module = "pilotfish._core")]
pub struct Alarm {
    evidence: f64,
    n_after: u64,
    modules: Vec<String>,
}

#[pymethods]
impl Alarm {
    fn __repr__(&self) -> String {
        let Self { evidence, n_after, modules } = self;
        format!("Alarm(evidence={evidence:.2}, n_after={n_after}, modules={modules:?})")
    }
}

/// A handle; its methods are documented in `_core.pyi`. Held only while the interpreter's lock is, so never waited for.
#[pyclass(frozen, module = "pilotfish._core")]
pub struct ChangeDetector {
    inner: Mutex<Detector>,
}

#[pymethods]
impl ChangeDetector {
    #[new]
    #[pyo3(signature = (alpha = 1e-6, slack = 0.05))]
    fn new(py: Python<'_>, alpha: f64, slack: f64) -> PyResult<Self> {
        Detector::new(alpha, slack).map(Self::hold).map_err(|error| to_py(py, &error))
    }

    #[staticmethod]
    fn from_state(py: Python<'_>, state: &[u8]) -> PyResult<Self> {
        Detector::from_state(state).map(Self::hold).map_err(|error| to_py(py, &error))
    }

    #[pyo3(signature = (residual, module, uncertainty = 0.0, utility = None))]
    fn observe(
        &self,
        residual: f64,
        module: &Bound<'_, PyString>,
        uncertainty: f64,
        utility: Option<f64>,
    ) -> PyResult<Option<Alarm>> {
        let name = borrow("module name", module)?;
        let seen = self.locked().observe(residual, name, uncertainty, utility);
        let alarm = seen.map_err(|error| to_py(module.py(), &error))?;
        Ok(alarm.map(|alarm| Alarm { evidence: alarm.evidence, n_after: alarm.n_after, modules: alarm.modules }))
    }

    fn start_anew(&self) {
        self.locked().start_anew();
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let state = self.locked().state().map_err(|error| to_py(py, &error))?;
        Ok(PyBytes::new(py, &state))
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
    fn alpha(&self) -> f64 {
        self.locked().alpha()
    }

    #[getter]
    fn slack(&self) -> f64 {
        self.locked().slack()
    }

    #[getter]
    fn count(&self) -> u64 {
        self.locked().count()
    }

    fn __repr__(&self) -> String {
        let held = self.locked();
        format!("ChangeDetector(evidence={:.2} of {:.2}, count={})", held.evidence(), held.threshold(), held.count())
    }
}

impl ChangeDetector {
    fn hold(detector: Detector) -> Self {
        Self { inner: Mutex::new(detector) }
    }

    fn locked(&self) -> MutexGuard<'_, Detector> {
        // A call that panicked has done so before it changed anything or after it was done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
