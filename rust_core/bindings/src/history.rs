//! Histories: convert, call, convert.

use std::sync::{Arc, Mutex, PoisonError};

use pilotfish_kernel::encoders::Task;
use pilotfish_kernel::{Described, History as Rows};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::features::{HeldItems, HeldModule, borrow, with_modules};
use crate::model::read_signal;

/// A handle; its methods are documented in `_core.pyi`.
#[pyclass(frozen, module = "pilotfish._core")]
#[derive(Default)]
pub struct History {
    rows: Mutex<Arc<Rows>>,
}

impl History {
    /// The rows of this moment. Appending while they are held copies them once instead of waiting: it holds the
    /// interpreter's lock.
    pub fn rows(&self) -> Arc<Rows> {
        Arc::clone(&self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl History {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn __len__(&self) -> usize {
        self.rows().len()
    }

    #[pyo3(signature = (task, text, module, values, weight = 1.0))]
    fn append(
        &self,
        task: &Bound<'_, PyAny>,
        text: &Bound<'_, PyString>,
        module: &Bound<'_, PyAny>,
        values: Vec<(Bound<'_, PyAny>, f64)>,
        weight: f64,
    ) -> PyResult<()> {
        let values = values.into_iter().map(|(signal, utility)| Ok((read_signal(&signal)?, utility)));
        let values = values.collect::<PyResult<Vec<_>>>()?;
        let task = HeldItems::read("task", task)?;
        let held = [HeldModule::read(module)?];
        let mut items = Vec::new();
        task.view(&mut items)?;
        let task = Task { items: &items, text: borrow("text", text)? };
        with_modules(&held, |modules| {
            if let [module] = modules {
                let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::make_mut(&mut rows).push(&task, module, &values, weight);
            }
        })
    }

    #[getter]
    fn describes_modules(&self) -> bool {
        self.rows().describes_modules()
    }

    fn describe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = self.rows();
        let described = py.detach(|| rows.describe());
        let described = described.into_iter().map(|(name, column)| {
            let entry = PyDict::new(py);
            entry.set_item("name", name)?;
            match column {
                Described::Number { count, plain, log } => {
                    entry.set_item("kind", "number")?;
                    entry.set_item("count", count)?;
                    entry.set_item("plain", plain)?;
                    entry.set_item("log", log)?;
                }
                Described::Category { count, labels } => {
                    entry.set_item("kind", "category")?;
                    entry.set_item("count", count)?;
                    entry.set_item("labels", labels)?;
                }
                Described::Vector { count, length, scale } => {
                    entry.set_item("kind", "vector")?;
                    entry.set_item("count", count)?;
                    entry.set_item("length", length)?;
                    entry.set_item("scale", scale)?;
                }
            }
            Ok(entry)
        });
        PyList::new(py, described.collect::<PyResult<Vec<_>>>()?)
    }
}
