//! The extension module `pilotfish._core`: the one crate that knows Python. Types and docstrings are in `_core.pyi`.
//!
//! Each function does four things in order: borrow and check, call the kernel, hand back owned bytes. The kernel's calls
//! take a few microseconds, less than giving up the interpreter's lock and getting it back, so only `state`, `from_state`,
//! `merge`, `trained` and `describe` give it up.

mod buffers;
mod choice;
mod confidence;
mod errors;
mod explain;
mod explorers;
mod features;
mod history;
mod model;
mod sample_ratio;
mod space;
mod statistics;

use pyo3::prelude::*;

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::choice::Choice;
    #[pymodule_export]
    use super::confidence::ConfidenceSequence;
    #[pymodule_export]
    use super::explorers::{explore, explorer_default, explorer_explores, explorer_names, sample};
    #[pymodule_export]
    use super::history::History;
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::sample_ratio::SampleRatio;
    #[pymodule_export]
    use super::statistics::{Alarm, ChangeDetector};
}
