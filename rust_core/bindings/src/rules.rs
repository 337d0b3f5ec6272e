//! Safety rules: convert what they read, evaluate, convert.

use pilotfish_rules::{Datum, Facts, Part, RuleError, Rules, Slot};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple};

use crate::buffers::{read_numbers, type_name};
use crate::errors::invalid;

/// A handle; its methods are documented in `_core.pyi`. Nothing in it ever changes.
#[pyclass(frozen, module = "pilotfish._core")]
pub struct RuleSet {
    rules: Rules,
    /// The name of each slot as the key that finds it in a mapping.
    keys: Vec<Py<PyString>>,
}

/// One module's own mapping and fields.
struct Candidate<'py> {
    name: Bound<'py, PyAny>,
    features: Bound<'py, PyAny>,
    capabilities: Bound<'py, PyAny>,
    max_data_size_bytes: Bound<'py, PyAny>,
}

#[pymethods]
impl RuleSet {
    #[new]
    fn new(py: Python<'_>, rules: &Bound<'_, PyAny>) -> PyResult<Self> {
        let rule = "a sequence of pairs (id, expression)";
        let pairs: Vec<(String, String)> = rules.extract().map_err(|_| invalid(py, "rules", type_name(rules), rule))?;
        let rules = py.detach(|| Rules::new(&pairs)).map_err(|error| refusal(py, &error))?;
        let keys = rules.slots().iter().map(|slot| PyString::intern(py, &slot.name).unbind()).collect();
        Ok(Self { rules, keys })
    }

    #[getter]
    fn ids(&self) -> Vec<&str> {
        self.rules.ids().collect()
    }

    fn violations(
        &self,
        task: &Bound<'_, PyAny>,
        modules: &Bound<'_, PyAny>,
        decision: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<i64>> {
        let task = mapping("task", task)?;
        let decision = mapping("decision", decision)?;
        let modules = modules
            .cast::<PySequence>()
            .map_err(|_| invalid(task.py(), "modules", type_name(modules), "a sequence of tuples"))?;
        let mut facts = Facts::new(&self.rules);
        self.set_shared(&mut facts, task, decision)?;
        // What does not depend on the module is evaluated once; rules after the first broken one decide nothing.
        let broken = (0..self.rules.len()).find(|&place| !self.rules.reads_module(place) && !facts.holds(place));
        let own: Vec<usize> =
            (0..broken.unwrap_or(self.rules.len())).filter(|&place| self.rules.reads_module(place)).collect();
        let shared = broken.map_or(-1, number);
        modules
            .try_iter()?
            .map(|module| {
                let module = Candidate::read(&module?)?;
                if own.is_empty() {
                    return Ok(shared);
                }
                self.set_own(&mut facts, &module)?;
                Ok(own.iter().find(|&&place| !facts.holds(place)).map_or(shared, |&place| number(place)))
            })
            .collect()
    }

    fn __len__(&self) -> usize {
        self.rules.len()
    }

    fn __repr__(&self) -> String {
        format!("RuleSet(ids={:?})", self.ids())
    }
}

impl RuleSet {
    fn slots<'a, 'py: 'a>(
        &'a self,
        py: Python<'py>,
    ) -> impl Iterator<Item = (usize, &'a Slot, &'a Bound<'py, PyString>)> {
        let keys = self.keys.iter().map(move |key| key.bind(py));
        self.rules.slots().iter().zip(keys).enumerate().map(|(place, (slot, key))| (place, slot, key))
    }

    fn set_shared(&self, facts: &mut Facts<'_>, task: &Bound<'_, PyAny>, decision: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = task.py();
        let mut features = None;
        for (place, slot, key) in self.slots(py) {
            match slot.part {
                Part::Task => {
                    let value = look_up(task, key)?;
                    set_field(facts, place, &slot.name, value.as_ref());
                }
                Part::TaskFeature => {
                    if features.is_none() {
                        features = look_up(task, pyo3::intern!(py, "features"))?;
                    }
                    let Some(features) = &features else { continue };
                    set_feature(facts, place, look_up(mapping("task features", features)?, key)?.as_ref());
                }
                Part::Decision => match look_up(decision, key)? {
                    Some(share) if slot.name == "policy_share" && !share.is_none() => facts.set(place, double(&share)),
                    Some(value) => set_plain(facts, place, &value),
                    None => facts.set(place, Datum::Missing),
                },
                Part::Module | Part::ModuleFeature => {}
            }
        }
        Ok(())
    }

    fn set_own(&self, facts: &mut Facts<'_>, module: &Candidate<'_>) -> PyResult<()> {
        for (place, slot, key) in self.slots(module.name.py()) {
            match slot.part {
                Part::Module => {
                    let value = match slot.name.as_str() {
                        "name" => &module.name,
                        "capabilities" => &module.capabilities,
                        _ => &module.max_data_size_bytes,
                    };
                    set_field(facts, place, &slot.name, Some(value));
                }
                Part::ModuleFeature => {
                    set_feature(facts, place, look_up(mapping("module features", &module.features)?, key)?.as_ref());
                }
                Part::Task | Part::TaskFeature | Part::Decision => {}
            }
        }
        Ok(())
    }
}

impl<'py> Candidate<'py> {
    fn read(module: &Bound<'py, PyAny>) -> PyResult<Self> {
        let rule = "a tuple (name, features, capabilities, max_data_size_bytes)";
        let refuse = |value: String| invalid(module.py(), "module", value, rule);
        let parts = module.cast::<PyTuple>().map_err(|_| refuse(type_name(module)))?;
        if parts.len() != 4 {
            return Err(refuse(format!("a tuple of {}", parts.len())));
        }
        Ok(Self {
            name: parts.get_item(0)?,
            features: parts.get_item(1)?,
            capabilities: parts.get_item(2)?,
            max_data_size_bytes: parts.get_item(3)?,
        })
    }
}

fn refusal(py: Python<'_>, error: &RuleError) -> PyErr {
    invalid(py, &error.name, &error.value, &error.rule)
}

/// A place as Python's number; there are at most 64 rules.
fn number(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

fn mapping<'a, 'py>(what: &str, object: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyAny>> {
    if object.cast::<PyDict>().is_ok() || object.cast::<PyMapping>().is_ok() {
        return Ok(object);
    }
    Err(invalid(object.py(), what, type_name(object), "a mapping"))
}

fn look_up<'py>(mapping: &Bound<'py, PyAny>, key: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Ok(dict) = mapping.cast::<PyDict>() {
        return dict.get_item(key);
    }
    match mapping.get_item(key) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_instance_of::<PyKeyError>(mapping.py()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets a declared field: of another type than declared it is unreadable.
fn set_field(facts: &mut Facts<'_>, place: usize, name: &str, value: Option<&Bound<'_, PyAny>>) {
    let is_optional = matches!(name, "data_size_bytes" | "deadline_s" | "max_data_size_bytes");
    let Some(value) = value.filter(|value| !(is_optional && value.is_none())) else {
        facts.set(place, if is_optional { Datum::Null } else { Datum::Missing });
        return;
    };
    match name {
        "required_capabilities" | "capabilities" => set_texts(facts, place, value),
        "type" | "description" | "name" => match value.cast::<PyString>() {
            Ok(text) => set_text(facts, place, text),
            Err(_) => facts.set(place, Datum::Unreadable),
        },
        "idempotent" | "critical" => {
            let flag = value.cast::<PyBool>();
            facts.set(place, flag.map_or(Datum::Unreadable, |flag| Datum::Flag(flag.is_true())));
        }
        "deadline_s" => facts.set(place, double(value)),
        _ => facts.set(place, whole(value)),
    }
}

/// Sets a feature: every number is a double.
fn set_feature(facts: &mut Facts<'_>, place: usize, value: Option<&Bound<'_, PyAny>>) {
    let Some(value) = value else {
        facts.set(place, Datum::Missing);
        return;
    };
    if let Ok(float) = value.cast_exact::<PyFloat>() {
        facts.set(place, Datum::Double(float.value()));
    } else if let Ok(text) = value.cast::<PyString>() {
        set_text(facts, place, text);
    } else if let Ok(flag) = value.cast::<PyBool>() {
        facts.set(place, Datum::Flag(flag.is_true()));
    } else if value.cast::<PyList>().is_ok() || value.cast::<PyTuple>().is_ok() {
        set_numbers(facts, place, value);
    } else if value.cast::<PyMapping>().is_ok() {
        // Iterating over it would give its keys.
        facts.set(place, Datum::Unreadable);
    } else if value.hasattr(pyo3::intern!(value.py(), "__len__")).unwrap_or(false) {
        set_numbers(facts, place, value);
    } else {
        facts.set(place, double(value));
    }
}

/// Sets a field of the decision as it is: whole numbers stay whole.
fn set_plain(facts: &mut Facts<'_>, place: usize, value: &Bound<'_, PyAny>) {
    if value.is_none() {
        facts.set(place, Datum::Null);
    } else if let Ok(text) = value.cast::<PyString>() {
        set_text(facts, place, text);
    } else if let Ok(flag) = value.cast::<PyBool>() {
        facts.set(place, Datum::Flag(flag.is_true()));
    } else if value.cast::<PyInt>().is_ok() {
        facts.set(place, whole(value));
    } else {
        facts.set(place, double(value));
    }
}

fn set_text(facts: &mut Facts<'_>, place: usize, text: &Bound<'_, PyString>) {
    // Lone surrogates have no UTF-8.
    facts.set(place, text.to_str().map_or(Datum::Unreadable, Datum::Text));
}

fn set_texts(facts: &mut Facts<'_>, place: usize, value: &Bound<'_, PyAny>) {
    let held: Option<Vec<_>> = match value.cast::<PyString>() {
        // A text is a sequence of texts, but never what was meant.
        Ok(_) => None,
        Err(_) => value.try_iter().and_then(Iterator::collect).ok(),
    };
    let texts = held.as_ref().and_then(|held| {
        held.iter().map(|item| item.cast::<PyString>().ok()?.to_str().ok()).collect::<Option<Vec<_>>>()
    });
    facts.set(place, texts.map_or(Datum::Unreadable, Datum::Texts));
}

fn set_numbers(facts: &mut Facts<'_>, place: usize, value: &Bound<'_, PyAny>) {
    let mut numbers = Vec::new();
    let read = read_numbers("list", value, &mut numbers);
    facts.set(place, if read.is_ok() { Datum::Numbers(&numbers) } else { Datum::Unreadable });
}

fn double(value: &Bound<'_, PyAny>) -> Datum<'static> {
    let is_flag = value.cast::<PyBool>().is_ok();
    value.extract().map_or(Datum::Unreadable, |number| if is_flag { Datum::Unreadable } else { Datum::Double(number) })
}

fn whole(value: &Bound<'_, PyAny>) -> Datum<'static> {
    let is_flag = value.cast::<PyBool>().is_ok();
    value.extract().map_or(Datum::Unreadable, |number| if is_flag { Datum::Unreadable } else { Datum::Int(number) })
}
