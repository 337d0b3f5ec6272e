//! The kernel of Pilotfish: a contextual bandit as plain functions of its arguments.
//!
//! No Python, no input or output, no clock, no environment, no global randomness. The same state, inputs and seed give the
//! same action and the same probabilities, bit for bit, on every machine: exponentials and logarithms come from `libm`,
//! sums run in fixed lanes, features are sorted by hash before they are added up.
//!
//! - [`encoders`]: task and module features to vectors;
//! - [`posteriors`]: what has been learned, per signal, shared and per module;
//! - [`explorers`]: scores and uncertainties to probabilities; [`pmf`] samples from them;
//! - [`statistics`]: whether outcomes still follow what has been learned;
//! - [`History`]: what happened, kept whole, so that a model can be trained on it again under another spec;
//! - [`Model`]: encoders, posteriors and explorers together, behind a snapshot that decisions read without waiting.

#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare bits where the same bits are promised"))]

pub mod encoders;
pub mod error;
pub mod explorers;
mod fields;
mod history;
pub mod linalg;
mod model;
mod names;
pub mod pmf;
pub mod posteriors;
mod rng;
mod sealed;
mod spec;
pub mod statistics;

pub use error::{KernelError, Result};
pub use fields::Fields;
pub use history::{Described, History};
pub use model::{Chosen, Happened, Model, OBSERVATION_WEIGHT_MAX, Residual, Scratch};
pub use rng::SEED_BYTES;
pub use spec::{FORMAT_VERSION, Spec};
