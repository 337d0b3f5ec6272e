//! Why rules were refused.

use std::fmt::Display;

/// A refusal, told by name, value and the rule that the value breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} == {value}, must be {rule}")]
pub struct RuleError {
    /// What was refused: `rule 'big'`, or an argument's name.
    pub name: String,
    /// The value that was received: the expression.
    pub value: String,
    /// What it must be, and what is wrong with it.
    pub rule: String,
}

impl RuleError {
    pub(crate) fn new(name: impl Into<String>, value: &(impl Display + ?Sized), rule: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.to_string(), rule: rule.into() }
    }

    pub(crate) fn of_rule(id: &str, expression: &str, rule: impl Into<String>) -> Self {
        Self::new(format!("rule '{id}'"), expression, rule)
    }
}
