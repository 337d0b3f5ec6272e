//! Statistics over what has been learned: has the world changed since?
//!
//! - [`ChangeDetector`]: an e-detector on residuals; its [`Alarm`] says since when, and which modules show it.

mod bets;
mod change;
mod state;

pub use change::{Alarm, ChangeDetector};
