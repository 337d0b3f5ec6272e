//! The model: convert, call, convert.

use pilotfish_kernel::encoders::Task;
use pilotfish_kernel::{Happened, Residual, Result as KernelResult};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::buffers::{read_numbers, read_vector, to_bytes, type_name};
use crate::choice::Choice;
use crate::errors::{invalid, to_py};
use crate::explain;
use crate::features::{HeldItems, HeldModule, as_text, borrow, with_modules};
use crate::history::History;
use crate::space::{self, Space};

/// A handle; its methods are documented in `_core.pyi`.
#[pyclass(frozen, module = "pilotfish._core")]
pub struct Model {
    inner: pilotfish_kernel::Model,
}

#[pymethods]
impl Model {
    #[new]
    fn new(py: Python<'_>, spec: &[u8]) -> PyResult<Self> {
        raise(py, pilotfish_kernel::Model::new(spec)).map(|inner| Self { inner })
    }

    #[staticmethod]
    fn from_state(py: Python<'_>, state: &[u8], spec: &[u8]) -> PyResult<Self> {
        raise(py, py.detach(|| pilotfish_kernel::Model::from_state(state, spec))).map(|inner| Self { inner })
    }

    #[staticmethod]
    fn trained(py: Python<'_>, spec: &[u8], history: &Bound<'_, History>) -> PyResult<Self> {
        let rows = history.get().rows();
        let trained = py.detach(|| pilotfish_kernel::Model::trained(spec, &rows));
        raise(py, trained).map(|inner| Self { inner })
    }

    #[getter]
    fn evidence(&self) -> f64 {
        self.inner.evidence()
    }

    #[getter]
    fn version(&self) -> &str {
        self.inner.version()
    }

    #[getter]
    fn specification<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.spec().canonical().as_bytes())
    }

    #[getter]
    fn n_context(&self) -> usize {
        self.inner.n_context()
    }

    #[getter]
    fn n_shared(&self) -> usize {
        self.inner.n_shared()
    }

    #[getter]
    fn n_signals(&self) -> usize {
        self.inner.n_signals()
    }

    #[getter]
    fn learned_count(&self) -> u64 {
        self.inner.learned_count()
    }

    #[getter]
    fn explorer(&self) -> &'static str {
        self.inner.spec().explorer.name()
    }

    #[getter]
    fn explores(&self) -> bool {
        self.inner.spec().explorer.explores()
    }

    fn decide(
        &self,
        seed: &Bound<'_, PyBytes>,
        task: &Bound<'_, PyAny>,
        text: &Bound<'_, PyString>,
        modules: &Bound<'_, PyAny>,
        weights: &Bound<'_, PyAny>,
    ) -> PyResult<Choice> {
        let py = seed.py();
        let task = HeldItems::read("task", task)?;
        let held = collect(as_tuple(modules)?.iter_borrowed().map(|module| HeldModule::read(&module)))?;
        space::with(|space| {
            let Space { scratch, weights: weight_values, .. } = space;
            read_numbers("weights", weights, weight_values)?;
            let mut items = Vec::new();
            let task = view_task(&task, text, &mut items)?;
            let chosen = with_modules(&held, |modules| {
                self.inner.decide(seed.as_bytes(), &task, modules, weight_values, scratch)
            })?;
            Ok(Choice::new(raise(py, chosen)?, scratch))
        })
    }

    #[pyo3(signature = (seed, context, shared, modules, weights))]
    fn decide_encoded(
        &self,
        seed: &Bound<'_, PyBytes>,
        context: &Bound<'_, PyAny>,
        shared: Option<&Bound<'_, PyAny>>,
        modules: &Bound<'_, PyAny>,
        weights: &Bound<'_, PyAny>,
    ) -> PyResult<Choice> {
        let py = seed.py();
        let modules = as_tuple(modules)?;
        let held = collect(modules.iter_borrowed().map(|name| as_text("module name", name)))?;
        let names = collect(held.iter().map(|name| borrow("module name", name)))?;
        space::with(|space| {
            let Space { scratch, context: context_values, shared: shared_values, weights: weight_values } = space;
            read_vector("context", context, context_values)?;
            read_numbers("weights", weights, weight_values)?;
            let shared = read_shared(shared, shared_values)?;
            let chosen =
                self.inner.decide_encoded(seed.as_bytes(), context_values, shared, &names, weight_values, scratch);
            Ok(Choice::new(raise(py, chosen)?, scratch))
        })
    }

    fn encode_task<'py>(&self, task: &Bound<'py, PyAny>, text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
        let py = task.py();
        let task = HeldItems::read("task", task)?;
        let mut items = Vec::new();
        let task = view_task(&task, text, &mut items)?;
        let x = space::with(|space| self.inner.encode_task(&task, &mut space.scratch));
        to_bytes(py, &raise(py, x)?)
    }

    fn encode_module<'py>(
        &self,
        task: &Bound<'py, PyAny>,
        module: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let py = task.py();
        let task = HeldItems::read("task", task)?;
        let held = [HeldModule::read(module)?];
        let mut items = Vec::new();
        task.view(&mut items)?;
        let task = Task { items: &items, text: "" };
        let z = with_modules(&held, |modules| match modules {
            [module] => space::with(|space| self.inner.encode_module(&task, module, &mut space.scratch)),
            _ => Ok(Vec::new()),
        })?;
        to_bytes(py, &raise(py, z)?)
    }

    fn contributions(
        &self,
        task: &Bound<'_, PyAny>,
        text: &Bound<'_, PyString>,
        module: &Bound<'_, PyAny>,
        weights: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<(String, f64)>> {
        explain::contributions(&self.inner, task, text, module, weights)
    }

    #[pyo3(signature = (task, text, module, signal, utility, weight = 1.0))]
    fn learn(
        &self,
        task: &Bound<'_, PyAny>,
        text: &Bound<'_, PyString>,
        module: &Bound<'_, PyAny>,
        signal: &Bound<'_, PyAny>,
        utility: f64,
        weight: f64,
    ) -> PyResult<(f64, f64)> {
        let py = task.py();
        let happened = Happened { signal: read_signal(signal)?, utility, weight };
        let task = HeldItems::read("task", task)?;
        let held = [HeldModule::read(module)?];
        let mut items = Vec::new();
        let task = view_task(&task, text, &mut items)?;
        let learned = with_modules(&held, |modules| match modules {
            [module] => space::with(|space| self.inner.learn(&task, module, happened, &mut space.scratch)),
            _ => Ok(Residual::default()),
        })?;
        raise(py, learned).map(|learned| (learned.residual, learned.uncertainty))
    }

    #[pyo3(signature = (context, shared, module, signal, utility, weight = 1.0))]
    fn learn_encoded(
        &self,
        context: &Bound<'_, PyAny>,
        shared: Option<&Bound<'_, PyAny>>,
        module: &Bound<'_, PyString>,
        signal: &Bound<'_, PyAny>,
        utility: f64,
        weight: f64,
    ) -> PyResult<(f64, f64)> {
        let py = context.py();
        let happened = Happened { signal: read_signal(signal)?, utility, weight };
        let module = borrow("module name", module)?;
        space::with(|space| {
            let Space { scratch, context: context_values, shared: shared_values, .. } = space;
            read_vector("context", context, context_values)?;
            let shared = read_shared(shared, shared_values)?;
            let learned = self.inner.learn_encoded(context_values, shared, module, happened, scratch);
            raise(py, learned).map(|learned| (learned.residual, learned.uncertainty))
        })
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &raise(py, py.detach(|| self.inner.state()))?))
    }

    fn frozen(&self) -> Self {
        Self { inner: self.inner.frozen() }
    }

    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        raise(py, py.detach(|| self.inner.merge(&other.inner))).map(|inner| Self { inner })
    }

    fn arrays<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let arrays = PyDict::new(py);
        for (key, values) in self.inner.arrays() {
            arrays.set_item(key, to_bytes(py, &values)?)?;
        }
        Ok(arrays)
    }

    fn __repr__(&self) -> String {
        format!("Model(version={:.12}, learned_count={})", self.inner.version(), self.inner.learned_count())
    }
}

fn raise<T>(py: Python<'_>, result: KernelResult<T>) -> PyResult<T> {
    result.map_err(|error| to_py(py, &error))
}

fn view_task<'a>(
    held: &'a HeldItems<'_>,
    text: &'a Bound<'_, PyString>,
    items: &'a mut Vec<pilotfish_kernel::encoders::Item<'a>>,
) -> PyResult<Task<'a>> {
    held.view(items)?;
    Ok(Task { items, text: borrow("text", text)? })
}

fn read_shared<'a>(shared: Option<&Bound<'_, PyAny>>, values: &'a mut Vec<f64>) -> PyResult<Option<&'a [f64]>> {
    match shared {
        None => Ok(None),
        Some(buffer) => {
            read_vector("shared", buffer, values)?;
            Ok(Some(values))
        }
    }
}

/// A signal's index; what is negative or no whole number is refused like any index out of range.
pub fn read_signal(signal: &Bound<'_, PyAny>) -> PyResult<usize> {
    signal.extract().map_err(|_| invalid(signal.py(), "signal", signal, "a whole number >= 0"))
}

/// A list or a tuple as a tuple, which holds its items for the call: they need not be counted up and down one by one.
fn as_tuple<'py>(modules: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    if let Ok(list) = modules.cast::<PyList>() {
        Ok(list.to_tuple())
    } else if let Ok(tuple) = modules.cast::<PyTuple>() {
        Ok(tuple.clone())
    } else {
        Err(invalid(modules.py(), "modules", type_name(modules), "a list or a tuple"))
    }
}

/// As `collect`, which does not know how many will come when one may be an error, and grows its vector step by step.
fn collect<T>(items: impl ExactSizeIterator<Item = PyResult<T>>) -> PyResult<Vec<T>> {
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        all.push(item?);
    }
    Ok(all)
}
