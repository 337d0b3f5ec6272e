//! Features to vectors: what a task and a module look like to the posterior.
//!
//! The layout is frozen by the spec, because statistics add up only if every vector was made in the same way.
//! A task becomes x = [1 | declared | hashed | text | random], a module (in the light of the task) z = [1 | hashed].
//! Inputs arrive in maps without order, so features are sorted by hash before anything is added up.

mod declared;
mod hashing;
mod module;
mod random;
mod task;
mod text;

pub use declared::Declared;
pub use hashing::Feature;
pub(crate) use hashing::{gather, label_hash, scatter, undeclared};
pub use module::{encode_common, encode_module};
pub(crate) use module::{shortening, visit_module};
pub use task::{TaskEncoder, TaskFeatures};
pub(crate) use text::visit_words;

use crate::error::{KernelError, Result};

/// Bound on a scaled number, and on asinh of an undeclared one.
pub const CLIP: f64 = 8.0;

/// Bound on any encoded element. Beyond it a rank-one update would cancel more than ten digits.
pub const MAGNITUDE_MAX: f64 = 1000.0;

/// One feature value as the caller gave it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A finite number.
    Number(f64),
    /// A category.
    Label(&'a str),
    /// Yes or no, encoded as +1 or −1.
    Flag(bool),
    /// Finite numbers, such as an embedding.
    Vector(&'a [f64]),
}

/// A named feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item<'a> {
    /// The feature's name.
    pub name: &'a str,
    /// Its value.
    pub value: Value<'a>,
}

/// What the hub wants done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Task<'a> {
    /// Features; each name once.
    pub items: &'a [Item<'a>],
    /// Free text, or "".
    pub text: &'a str,
}

/// A candidate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Module<'a> {
    /// The module's name, which is the arm.
    pub name: &'a str,
    /// Features; each name once.
    pub items: &'a [Item<'a>],
    /// Capability tags: a set.
    pub capabilities: &'a [&'a str],
}

/// Refuses a value that is not finite, by name.
fn check_finite(item: &Item<'_>) -> Result<()> {
    let refuse = |value: f64| Err(KernelError::invalid(item.name, value, "finite"));
    match item.value {
        Value::Number(number) if !number.is_finite() => refuse(number),
        Value::Vector(values) => values.iter().find(|v| !v.is_finite()).map_or(Ok(()), |v| refuse(*v)),
        _ => Ok(()),
    }
}
