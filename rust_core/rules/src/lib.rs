//! Safety rules in the Common Expression Language: each must be true of a task, a module and a decision.
//!
//! [`Rules`] compiles the expressions once and finds out which values they read. [`Facts`] holds these values for one
//! call and says whether a rule holds. Whatever goes wrong when a rule is evaluated, the rule does not hold.
//!
//! ```
//! use pilotfish_rules::{Datum, Facts, Rules};
//!
//! let rules = Rules::new(&[("small", "task.features.pages < 100")])?;
//! let mut facts = Facts::new(&rules);
//! assert!(!facts.holds(0)); // nothing is known of the pages
//! facts.set(0, Datum::Double(12.0));
//! assert!(facts.holds(0));
//! # Ok::<(), pilotfish_rules::RuleError>(())
//! ```

mod compile;
mod datum;
mod error;
mod facts;
mod functions;
mod plain;
mod slots;

pub use compile::{MAX_DEPTH, MAX_EXPRESSION_BYTES, MAX_RULES, Rules};
pub use datum::{Datum, MAX_LIST};
pub use error::RuleError;
pub use facts::Facts;
pub use slots::{DECISION_FIELDS, MODULE_FIELDS, Part, Slot, TASK_FIELDS};
