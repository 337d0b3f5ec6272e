//! What has been learned: an exact Bayesian linear model per signal, shared and per-module parts.

mod hybrid;
mod rebuild;
mod sums;

pub use hybrid::{Arm, Observation, Prior, Scratch, Shared};
pub use rebuild::{rebuild_arm, rebuild_shared};
pub use sums::{ArmSums, Moments, SharedSums};
