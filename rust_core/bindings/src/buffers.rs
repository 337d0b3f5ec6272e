//! Vectors across the boundary: buffers in, bytes out, native byte order.

use pyo3::buffer::{PyBuffer, ReadOnlyCell};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyList, PyTuple};

use crate::errors::invalid;

const ITEM: usize = size_of::<f64>();

/// Copies a C-contiguous buffer of float64, or the bytes of one, into `target`.
pub fn read_vector(name: &str, object: &Bound<'_, PyAny>, target: &mut Vec<f64>) -> PyResult<()> {
    target.clear();
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return read_bytes(object.py(), name, bytes.as_bytes(), target);
    }
    let rule = "a C-contiguous buffer of float64";
    if let Ok(buffer) = PyBuffer::<f64>::get(object) {
        let cells = buffer.as_slice(object.py());
        let cells = cells.ok_or_else(|| invalid(object.py(), name, "a strided buffer", rule))?;
        target.extend(cells.iter().map(ReadOnlyCell::get));
        return Ok(());
    }
    if let Ok(buffer) = PyBuffer::<u8>::get(object) {
        let bytes = buffer.to_vec(object.py())?;
        return read_bytes(object.py(), name, &bytes, target);
    }
    Err(invalid(object.py(), name, type_name(object), rule))
}

fn read_bytes(py: Python<'_>, name: &str, bytes: &[u8], target: &mut Vec<f64>) -> PyResult<()> {
    let items = bytes.chunks_exact(ITEM);
    if !items.remainder().is_empty() {
        return Err(invalid(py, name, format!("{} bytes", bytes.len()), "a multiple of 8 bytes"));
    }
    target.extend(items.filter_map(|item| item.try_into().ok()).map(f64::from_ne_bytes));
    Ok(())
}

/// Copies a sequence of numbers into `target`.
pub fn read_numbers(name: &str, object: &Bound<'_, PyAny>, target: &mut Vec<f64>) -> PyResult<()> {
    target.clear();
    let mut push = |value: &Bound<'_, PyAny>| -> PyResult<()> {
        target.push(read_number(value).ok_or_else(|| invalid(object.py(), name, type_name(value), "numbers"))?);
        Ok(())
    };
    if let Ok(list) = object.cast::<PyList>() {
        list.iter().try_for_each(|value| push(&value))
    } else if let Ok(tuple) = object.cast::<PyTuple>() {
        tuple.iter_borrowed().try_for_each(|value| push(&value))
    } else {
        let refuse = |_| invalid(object.py(), name, type_name(object), "a sequence of numbers");
        object.try_iter().map_err(refuse)?.try_for_each(|value| push(&value?))
    }
}

/// The value of a float, or of a whole number that fits one; nothing for other types.
pub fn read_number(value: &Bound<'_, PyAny>) -> Option<f64> {
    match value.cast_exact::<PyFloat>() {
        Ok(float) => Some(float.value()),
        Err(_) => value.extract().ok(),
    }
}

/// Owned bytes of a vector.
pub fn to_bytes<'py>(py: Python<'py>, values: &[f64]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, values.len() * ITEM, |target| {
        for (slot, value) in target.chunks_exact_mut(ITEM).zip(values) {
            slot.copy_from_slice(&value.to_ne_bytes());
        }
        Ok(())
    })
}

/// The name of an object's type, for messages.
pub fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}
