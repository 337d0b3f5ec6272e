//! Contributions to a score: convert, call, convert.

use pilotfish_kernel::encoders::Task;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::buffers::read_numbers;
use crate::errors::to_py;
use crate::features::{HeldItems, HeldModule, borrow, with_modules};
use crate::space::{self, Space};

/// `Model.contributions`, documented in `_core.pyi`.
pub fn contributions(
    model: &pilotfish_kernel::Model,
    task: &Bound<'_, PyAny>,
    text: &Bound<'_, PyString>,
    module: &Bound<'_, PyAny>,
    weights: &Bound<'_, PyAny>,
) -> PyResult<Vec<(String, f64)>> {
    let py = task.py();
    let task = HeldItems::read("task", task)?;
    let held = [HeldModule::read(module)?];
    let mut items = Vec::new();
    task.view(&mut items)?;
    let task = Task { items: &items, text: borrow("text", text)? };
    space::with(|space| {
        let Space { scratch, weights: weight_values, .. } = space;
        read_numbers("weights", weights, weight_values)?;
        let parts = with_modules(&held, |modules| match modules {
            [module] => model.contributions(&task, module, weight_values, scratch),
            _ => Ok(Vec::new()),
        })?;
        parts.map_err(|error| to_py(py, &error))
    })
}
