//! Explorers and sampling on their own: for tests, evaluation and the conformance suite.

use pilotfish_kernel::explorers::{DEFAULTS, Explorer, ExplorerScratch, Observed};
use pilotfish_kernel::{Fields, pmf};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffers::{read_vector, to_bytes};
use crate::errors::{invalid, to_py};

/// Probabilities from scores and uncertainties.
#[pyfunction]
#[pyo3(signature = (explorer, scores, uncertainties, n_observed=0.0))]
pub fn explore<'py>(
    py: Python<'py>,
    explorer: &[u8],
    scores: &Bound<'py, PyAny>,
    uncertainties: &Bound<'py, PyAny>,
    n_observed: f64,
) -> PyResult<Bound<'py, PyBytes>> {
    let (mut score_values, mut uncertainty_values, mut pmf) = (Vec::new(), Vec::new(), Vec::new());
    read_vector("scores", scores, &mut score_values)?;
    read_vector("uncertainties", uncertainties, &mut uncertainty_values)?;
    read(py, explorer)?
        .pmf(&score_values, &uncertainty_values, Observed::alike(n_observed), &mut ExplorerScratch::default(), &mut pmf)
        .map_err(|error| to_py(py, &error))?;
    to_bytes(py, &pmf)
}

/// Whether any action but the best can have a probability.
#[pyfunction]
pub fn explorer_explores(py: Python<'_>, explorer: &[u8]) -> PyResult<bool> {
    Ok(read(py, explorer)?.explores())
}

fn read(py: Python<'_>, explorer: &[u8]) -> PyResult<Explorer> {
    Fields::parse("explorer", explorer).and_then(Explorer::from_fields).map_err(|error| to_py(py, &error))
}

/// One action from a pmf and a 16-byte seed.
#[pyfunction]
pub fn sample(pmf: &Bound<'_, PyAny>, seed: &[u8]) -> PyResult<usize> {
    let mut values = Vec::new();
    read_vector("pmf", pmf, &mut values)?;
    pmf::sample(&values, seed).map_err(|error| to_py(pmf.py(), &error))
}

/// Names of all explorers.
#[pyfunction]
pub fn explorer_names() -> Vec<&'static str> {
    DEFAULTS.iter().map(|(name, _)| *name).collect()
}

/// A usable setting of an explorer, as JSON.
#[pyfunction]
pub fn explorer_default<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyBytes>> {
    match DEFAULTS.iter().find(|(known, _)| *known == name) {
        Some((_, json)) => Ok(PyBytes::new(py, json.as_bytes())),
        None => Err(invalid(py, "name", name, &format!("one of {}", explorer_names().join(", ")))),
    }
}
