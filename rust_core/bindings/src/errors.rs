//! Kernel errors to Python's, in one exhaustive match.

use pilotfish_kernel::KernelError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

static INVALID_INPUT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static STATE: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// The Python exception for a kernel error; if its class cannot be imported, the import's own error.
pub fn to_py(py: Python<'_>, error: &KernelError) -> PyErr {
    // Imported when first needed: the package imports this module, so it cannot be imported from its start.
    let class = match error {
        KernelError::InvalidInput { .. } => INVALID_INPUT.import(py, "pilotfish.exceptions", "InvalidInputError"),
        KernelError::State { .. } => STATE.import(py, "pilotfish.exceptions", "StateError"),
    };
    class.map_or_else(|error| error, |class| PyErr::from_type(class.clone(), error.to_string()))
}

/// The exception for an argument that breaks a rule of the crossing itself.
pub fn invalid(py: Python<'_>, name: &str, value: impl std::fmt::Display, rule: &str) -> PyErr {
    to_py(py, &KernelError::invalid(name, value, rule))
}
