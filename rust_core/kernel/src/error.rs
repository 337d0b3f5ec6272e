//! Every way in which the kernel refuses.

use std::fmt::Display;

/// Why a call was refused. A refused call has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// An argument breaks its rule.
    #[error("{name} == {value}, must be {rule}")]
    InvalidInput {
        /// Which argument, as the caller knows it.
        name: String,
        /// The value that was received.
        value: String,
        /// The rule that it breaks.
        rule: String,
    },
    /// State bytes that cannot be restored, or models that cannot be joined.
    #[error("{reason}")]
    State {
        /// What is wrong with them.
        reason: String,
    },
}

/// The result of a kernel call.
pub type Result<T> = std::result::Result<T, KernelError>;

impl KernelError {
    /// Builds the refusal of an argument.
    pub fn invalid(name: impl Into<String>, value: impl Display, rule: impl Into<String>) -> Self {
        Self::InvalidInput { name: name.into(), value: value.to_string(), rule: rule.into() }
    }

    /// Builds the refusal of a state.
    pub fn state(reason: impl Into<String>) -> Self {
        Self::State { reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_argument_is_told_by_name_value_and_rule() {
        let error = KernelError::invalid("epsilon", 1.5, "in [0, 1]");
        assert_eq!(error.to_string(), "epsilon == 1.5, must be in [0, 1]");
    }

    #[test]
    fn a_refused_state_is_told_by_its_reason() {
        assert_eq!(KernelError::state("checksum differs").to_string(), "checksum differs");
    }
}
