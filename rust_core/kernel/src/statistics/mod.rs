//! Statistics over what has been learned and over a rollout, all valid however often one looks.
//!
//! - [`ChangeDetector`]: an e-detector on residuals; its [`Alarm`] says since when, and which modules show it;
//! - [`ConfidenceSequence`]: where the mean of bounded observations lies;
//! - [`SampleRatio`]: whether as many units arrive in the treatment as were sent there.

mod bets;
mod boundary;
mod change;
mod confidence;
mod sample_ratio;
mod state;

pub use change::{Alarm, ChangeDetector};
pub use confidence::ConfidenceSequence;
pub use sample_ratio::SampleRatio;
