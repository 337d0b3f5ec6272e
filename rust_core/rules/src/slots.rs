//! What rules read: each value by its place, so that only what is read need be handed over.

use cel::common::ast::{Expr, LiteralValue, operators};

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A field of the task, one of [`TASK_FIELDS`].
    Task,
    /// A feature of the task.
    TaskFeature,
    /// A field of the module, one of [`MODULE_FIELDS`].
    Module,
    /// A feature of the module.
    ModuleFeature,
    /// A field of the decision, one of [`DECISION_FIELDS`].
    Decision,
}

/// A value that at least one rule reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Where it stands.
    pub part: Part,
    /// Name of the field or of the feature.
    pub name: String,
    /// Name of its variable; no name in an expression can begin with this letter.
    pub(crate) variable: String,
    /// Name of the variable that says whether it is there.
    pub(crate) presence: String,
    /// Whether a rule asks that.
    pub(crate) is_tested: bool,
}

/// Fields of `task` besides its features.
pub const TASK_FIELDS: [&str; 9] = [
    "type",
    "description",
    "required_capabilities",
    "data_size_bytes",
    "priority",
    "deadline_s",
    "attempt",
    "idempotent",
    "critical",
];

/// Fields of `module` besides its features.
pub const MODULE_FIELDS: [&str; 3] = ["name", "capabilities", "max_data_size_bytes"];

/// Fields of `decision`.
pub const DECISION_FIELDS: [&str; 6] = ["mode", "policy_share", "baseline", "hour", "weekday", "unit_id"];

/// Fields that are whole numbers, if they are there.
pub const WHOLE: [&str; 6] = ["data_size_bytes", "priority", "attempt", "max_data_size_bytes", "hour", "weekday"];

/// Fields that are doubles, if they are there.
pub const DOUBLE: [&str; 2] = ["deadline_s", "policy_share"];

/// The three variables that an expression may read.
pub const ROOTS: [&str; 3] = ["task", "module", "decision"];

const FEATURES: &str = "features";

impl Part {
    /// Whether the value differs from module to module.
    #[must_use]
    pub fn is_of_module(self) -> bool {
        matches!(self, Self::Module | Self::ModuleFeature)
    }

    /// Whether it is a feature, whose numbers are doubles.
    #[must_use]
    pub fn is_feature(self) -> bool {
        matches!(self, Self::TaskFeature | Self::ModuleFeature)
    }

    /// The part that a path names: `Ok(None)` for a record as a whole, `Err` with what may stand there.
    pub(crate) fn of_path(path: &[&str]) -> Result<Option<Self>, String> {
        let (root, fields, features) = match path {
            ["task", field, ..] => (Self::Task, &TASK_FIELDS[..], (*field == FEATURES).then_some(Self::TaskFeature)),
            ["module", field, ..] => {
                (Self::Module, &MODULE_FIELDS[..], (*field == FEATURES).then_some(Self::ModuleFeature))
            }
            ["decision", _, ..] => (Self::Decision, &DECISION_FIELDS[..], None),
            _ => return Ok(None),
        };
        match (features, path) {
            (Some(part), [_, _, _]) => Ok(Some(part)),
            (None, [_, field]) if fields.contains(field) => Ok(Some(root)),
            (None, [name, field, ..]) if !fields.contains(field) => {
                let features = if root == Self::Decision { "" } else { "features, " };
                Err(format!(
                    "made of known names, but reads {name}.{field}; {name} has {features}{}",
                    fields.join(", ")
                ))
            }
            _ => Ok(None),
        }
    }
}

/// The slots of all rules.
#[derive(Debug, Default)]
pub struct Slots(pub Vec<Slot>);

impl Slots {
    /// The place of a value's slot, made if it is new.
    pub fn place(&mut self, part: Part, name: &str) -> usize {
        if let Some(place) = self.0.iter().position(|slot| slot.part == part && slot.name == name) {
            return place;
        }
        let place = self.0.len();
        self.0.push(Slot {
            part,
            name: name.to_owned(),
            variable: format!("@{place}"),
            presence: format!("@has{place}"),
            is_tested: false,
        });
        place
    }
}

/// `a.b["c"]` as a, b, c, if a is one of the three variables.
pub fn path_of(expr: &Expr) -> Option<Vec<&str>> {
    match expr {
        Expr::Ident(name) if ROOTS.contains(&name.as_str()) => Some(vec![name]),
        Expr::Select(select) if !select.test => {
            let mut path = path_of(&select.operand.expr)?;
            path.push(&select.field);
            Some(path)
        }
        Expr::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
            let mut path = path_of(&call.args[0].expr)?;
            path.push(text(&call.args[1].expr)?);
            Some(path)
        }
        _ => None,
    }
}

pub fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
