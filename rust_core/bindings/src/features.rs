//! Python's feature maps as the kernel's items.

use pilotfish_kernel::encoders::{Item, Module, Value};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyList, PyMapping, PyString, PyTuple};

use crate::buffers::{read_number, read_numbers, type_name};
use crate::errors::invalid;

/// A feature whose texts stay owned by Python; the kernel borrows them for one call.
struct Held<'py> {
    name: Bound<'py, PyString>,
    value: HeldValue<'py>,
}

enum HeldValue<'py> {
    Number(f64),
    Flag(bool),
    Label(Bound<'py, PyString>),
    Vector(Vec<f64>),
}

/// The features of one mapping.
#[derive(Default)]
pub struct HeldItems<'py>(Vec<Held<'py>>);

/// A module: name, features, capability tags.
pub struct HeldModule<'py> {
    name: Bound<'py, PyString>,
    items: HeldItems<'py>,
    tags: Vec<Bound<'py, PyString>>,
}

impl<'py> HeldItems<'py> {
    /// Reads a mapping; `what` names it in messages.
    pub fn read(what: &str, features: &Bound<'py, PyAny>) -> PyResult<Self> {
        let copied;
        let features = if let Ok(features) = features.cast::<PyDict>() {
            features
        } else {
            let mapping = features
                .cast::<PyMapping>()
                .map_err(|_| invalid(features.py(), what, type_name(features), "a mapping"))?;
            copied = PyDict::from_sequence(mapping.items()?.as_any())?;
            &copied
        };
        let mut held = Vec::with_capacity(features.len());
        for (name, value) in features.iter() {
            let name = text("feature name", name)?;
            let value = read_value(&name, value)?;
            held.push(Held { name, value });
        }
        Ok(Self(held))
    }

    /// The kernel's view, appended to `items`.
    pub fn view<'a>(&'a self, items: &mut Vec<Item<'a>>) -> PyResult<()> {
        for held in &self.0 {
            let value = match &held.value {
                HeldValue::Number(number) => Value::Number(*number),
                HeldValue::Flag(flag) => Value::Flag(*flag),
                HeldValue::Label(label) => Value::Label(borrow("feature value", label)?),
                HeldValue::Vector(values) => Value::Vector(values),
            };
            items.push(Item { name: borrow("feature name", &held.name)?, value });
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'py> HeldModule<'py> {
    /// Reads `(name, features, capabilities)`.
    pub fn read(module: &Bound<'py, PyAny>) -> PyResult<Self> {
        let rule = "a tuple (name, features, capabilities)";
        let refuse = || invalid(module.py(), "module", type_name(module), rule);
        let parts = module.cast::<PyTuple>().map_err(|_| refuse())?;
        if parts.len() != 3 {
            return Err(invalid(module.py(), "module", format!("a tuple of {}", parts.len()), rule));
        }
        let name = text("module name", parts.get_item(0)?)?;
        let items = HeldItems::read("module features", &parts.get_item(1)?)?;
        let tags = read_tags(&parts.get_item(2)?)?;
        Ok(Self { name, items, tags })
    }

    /// The module's name.
    pub fn name(&self) -> PyResult<&str> {
        borrow("module name", &self.name)
    }
}

/// Calls `call` with the kernel's view of all modules: two allocations, however many modules there are.
pub fn with_modules<T>(held: &[HeldModule<'_>], call: impl FnOnce(&[Module<'_>]) -> T) -> PyResult<T> {
    let mut items = Vec::with_capacity(held.iter().map(|module| module.items.len()).sum());
    let mut tags = Vec::with_capacity(held.iter().map(|module| module.tags.len()).sum());
    for module in held {
        module.items.view(&mut items)?;
        for tag in &module.tags {
            tags.push(borrow("capability", tag)?);
        }
    }
    let (mut items, mut tags) = (items.as_slice(), tags.as_slice());
    let mut modules = Vec::with_capacity(held.len());
    for module in held {
        let (own_items, other_items) = items.split_at(module.items.len());
        let (own_tags, other_tags) = tags.split_at(module.tags.len());
        (items, tags) = (other_items, other_tags);
        modules.push(Module { name: module.name()?, items: own_items, capabilities: own_tags });
    }
    Ok(call(&modules))
}

fn read_value<'py>(name: &Bound<'py, PyString>, value: Bound<'py, PyAny>) -> PyResult<HeldValue<'py>> {
    if let Ok(float) = value.cast_exact::<PyFloat>() {
        return Ok(HeldValue::Number(float.value()));
    }
    // Before numbers: a bool is an int.
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(HeldValue::Flag(flag.is_true()));
    }
    let value = match value.cast_into::<PyString>() {
        Ok(label) => return Ok(HeldValue::Label(label)),
        Err(other) => other.into_inner(),
    };
    if value.cast::<PyList>().is_ok() || value.cast::<PyTuple>().is_ok() {
        let mut values = Vec::new();
        read_numbers(&name.to_string_lossy(), &value, &mut values)?;
        return Ok(HeldValue::Vector(values));
    }
    if let Some(number) = read_number(&value) {
        return Ok(HeldValue::Number(number));
    }
    match PyBuffer::<f64>::get(&value).ok().and_then(|buffer| buffer.to_vec(value.py()).ok()) {
        Some(values) => Ok(HeldValue::Vector(values)),
        None => Err(invalid(
            value.py(),
            &name.to_string_lossy(),
            type_name(&value),
            "a number, a text, a flag or a list of numbers",
        )),
    }
}

fn read_tags<'py>(tags: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyString>>> {
    if let Ok(tuple) = tags.cast::<PyTuple>() {
        return tuple.iter().map(|tag| text("capability", tag)).collect();
    }
    // A text is a sequence of texts, but never what was meant.
    if tags.cast::<PyString>().is_ok() {
        return Err(invalid(tags.py(), "capabilities", type_name(tags), "a sequence of texts"));
    }
    let refuse = |_| invalid(tags.py(), "capabilities", type_name(tags), "a sequence of texts");
    tags.try_iter().map_err(refuse)?.map(|tag| text("capability", tag?)).collect()
}

/// The object as a text.
pub fn text<'py>(what: &str, object: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    object.cast_into::<PyString>().map_err(|error| {
        let object = error.into_inner();
        invalid(object.py(), what, type_name(&object), "a text")
    })
}

/// The text's UTF-8, which Python keeps beside it.
pub fn borrow<'a>(what: &str, text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    text.to_str().map_err(|_| invalid(text.py(), what, text.to_string_lossy(), "text without lone surrogates"))
}

/// The object as a text, held by whoever lends it.
pub fn as_text<'a, 'py>(what: &str, object: Borrowed<'a, 'py, PyAny>) -> PyResult<Borrowed<'a, 'py, PyString>> {
    object.cast::<PyString>().map_err(|_| invalid(object.py(), what, type_name(&object), "a text"))
}
