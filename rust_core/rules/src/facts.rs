//! The values of one call, and whether a rule holds for them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelNull, CelString};
use cel::common::value::Val;
use cel::{Context, Value};

use crate::compile::Rules;
use crate::functions::env;

/// The longest list that a rule reads: `map` and `filter` over a list of n take time n².
pub const MAX_LIST: usize = 1024;

/// A value as it is handed over.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum<'a> {
    /// Not there: reading it is an error, `has` is false.
    Missing,
    /// There but not for rules (another type): reading it is an error, `has` is true. So are NaN, infinities and
    /// lists longer than [`MAX_LIST`].
    Unreadable,
    /// Declared but without a value: equal to `null`, `has` is false.
    Null,
    /// A flag.
    Flag(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// A text.
    Text(&'a str),
    /// A list of numbers.
    Numbers(&'a [f64]),
    /// A list of texts.
    Texts(Vec<&'a str>),
}

/// The values of one call.
pub struct Facts<'r> {
    rules: &'r Rules,
    context: Context<'static>,
}

impl<'r> Facts<'r> {
    /// Starts a call: no value is there yet.
    #[must_use]
    pub fn new(rules: &'r Rules) -> Self {
        let mut facts = Self { rules, context: Context::with_env(env()) };
        for place in 0..rules.slots().len() {
            facts.set(place, Datum::Missing);
        }
        facts
    }

    /// Sets the value of the slot at `place` of [`Rules::slots`]; other places are ignored.
    pub fn set(&mut self, place: usize, datum: Datum<'_>) {
        let (Some(slot), Context::Root { variables, .. }) = (self.rules.slots().get(place), &mut self.context) else {
            return;
        };
        if slot.is_tested {
            let has = !matches!(datum, Datum::Missing | Datum::Null);
            place_value(variables, &slot.presence, Box::new(CelBool::from(has)));
        }
        match value(datum) {
            Some(value) => place_value(variables, &slot.variable, value),
            None => drop(variables.remove(&slot.variable)),
        }
    }

    /// Whether the rule at `place` holds: false too if it cannot be evaluated or is no flag.
    #[must_use]
    pub fn holds(&self, place: usize) -> bool {
        let Some(rule) = self.rules.rule(place) else { return false };
        // The library is not free of panics. Nothing is changed by an evaluation, so nothing can be left half done.
        let held = catch_unwind(AssertUnwindSafe(|| {
            let result = Value::resolve_val(&rule.expression, &self.context).ok()?;
            result.downcast_ref::<CelBool>().map(|flag| *flag.inner())
        }));
        matches!(held, Ok(Some(true)))
    }
}

/// Without a copy of the name where there was a value before, as there is from the second module on.
fn place_value(variables: &mut BTreeMap<String, Box<dyn Val>>, name: &str, value: Box<dyn Val>) {
    match variables.get_mut(name) {
        Some(held) => *held = value,
        None => drop(variables.insert(name.to_owned(), value)),
    }
}

fn value(datum: Datum<'_>) -> Option<Box<dyn Val>> {
    Some(match datum {
        Datum::Null => Box::new(CelNull),
        Datum::Flag(flag) => Box::new(CelBool::from(flag)),
        Datum::Int(number) => Box::new(CelInt::from(number)),
        Datum::Double(number) if number.is_finite() => Box::new(CelDouble::from(number)),
        Datum::Missing | Datum::Unreadable | Datum::Double(_) => return None,
        Datum::Text(text) => Box::new(CelString::from(text)),
        Datum::Numbers(numbers) => {
            if numbers.len() > MAX_LIST || !numbers.iter().all(|number| number.is_finite()) {
                return None;
            }
            list(numbers.iter().map(|number| Box::new(CelDouble::from(*number)) as Box<dyn Val>))
        }
        Datum::Texts(texts) => {
            if texts.len() > MAX_LIST {
                return None;
            }
            list(texts.into_iter().map(|text| Box::new(CelString::from(text)) as Box<dyn Val>))
        }
    })
}

fn list(items: impl Iterator<Item = Box<dyn Val>>) -> Box<dyn Val> {
    Box::new(CelList::from(items.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_library_violates_the_rule_and_goes_no_further() {
        // The library panics at an expression of no kind, which the compiler lets no source become.
        let rules = Rules::of_expression(cel::IdedExpr::default());
        assert!(!Facts::new(&rules).holds(0));
    }

    #[test]
    fn a_rule_that_is_not_there_does_not_hold() -> Result<(), crate::RuleError> {
        let rules = Rules::new(&[("yes", "true")])?;
        assert!(Facts::new(&rules).holds(0));
        assert!(!Facts::new(&rules).holds(1));
        Ok(())
    }
}
