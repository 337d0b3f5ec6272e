//! What has been learned: an exact Bayesian linear model per signal, shared and per-module parts.
//!
//! The sums (Σ x xᵀ, Σ x zᵀ, Σ x r, Σ z zᵀ, Σ z r, count and moments) are the truth: order-free, and two sidecars' sums add up.
//! All else is derived from them, step by step or by [`rebuild_arm`] and [`rebuild_shared`].

mod evidence;
mod hybrid;
mod moments;
mod products;
mod rebuild;
mod step;

pub use hybrid::{Arm, ArmGeometry, Observation, Prior, Shared, SharedGeometry, Surprise};
pub use moments::Moments;
pub use products::{Products, Sums};
pub use rebuild::{rebuild_arm, rebuild_arm_geometry, rebuild_shared, rebuild_shared_geometry};
pub use step::Step;
