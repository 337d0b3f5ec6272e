//! The values of one call, and whether a rule holds for them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::common::types::CelBool;
use cel::common::value::Val;
use cel::{Context, Value};

use crate::compile::{Rule, Rules};
use crate::datum::{Datum, Held};
use crate::functions::env;

/// The values of one call.
pub struct Facts<'r> {
    rules: &'r Rules,
    held: Vec<Held>,
    /// The values for rules that are not plain, as the library has them; made when the first such rule is evaluated.
    context: Option<Context<'static>>,
    /// Whether the value at a place is another than that in the context.
    is_new: Vec<bool>,
}

impl<'r> Facts<'r> {
    /// Starts a call: no value is there yet.
    #[must_use]
    pub fn new(rules: &'r Rules) -> Self {
        let n_slots = rules.slots().len();
        let held = (0..n_slots).map(|_| Held::Missing).collect();
        Self { rules, held, context: None, is_new: vec![true; n_slots] }
    }

    /// Sets the value of the slot at `place` of [`Rules::slots`]; other places are ignored.
    pub fn set(&mut self, place: usize, datum: Datum<'_>) {
        let (Some(held), Some(is_new)) = (self.held.get_mut(place), self.is_new.get_mut(place)) else { return };
        *is_new = true;
        match (&mut *held, datum) {
            // A text of the module before leaves its memory.
            (Held::Text(text), Datum::Text(new)) => new.clone_into(text),
            (_, datum) => *held = Held::of(datum),
        }
    }

    /// Whether the rule at `place` holds: false too if it cannot be evaluated or is no flag.
    #[must_use]
    pub fn holds(&mut self, place: usize) -> bool {
        let Some(rule) = self.rules.rule(place) else { return false };
        match rule.plain.as_ref().and_then(|plain| plain.holds(&self.held)) {
            Some(holds) => holds,
            None => self.holds_by_library(rule),
        }
    }

    /// What the library says: of rules that are not plain, and in tests of all.
    pub(crate) fn holds_by_library(&mut self, rule: &Rule) -> bool {
        let context = self.context.get_or_insert_with(|| Context::with_env(env()));
        if let Context::Root { variables, .. } = context {
            for ((slot, held), is_new) in self.rules.slots().iter().zip(&self.held).zip(&mut self.is_new) {
                if !std::mem::take(is_new) {
                    continue;
                }
                if slot.is_tested {
                    let has = !matches!(held, Held::Missing | Held::Null);
                    place_value(variables, &slot.presence, Box::new(CelBool::from(has)));
                }
                match held.boxed() {
                    Some(value) => place_value(variables, &slot.variable, value),
                    None => drop(variables.remove(&slot.variable)),
                }
            }
        }
        // The library is not free of panics. Nothing is changed by an evaluation, so nothing can be left half done.
        let held = catch_unwind(AssertUnwindSafe(|| {
            let result = Value::resolve_val(&rule.expression, context).ok()?;
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

    #[test]
    fn the_library_sees_what_was_set_between_its_rules() -> Result<(), crate::RuleError> {
        let rules =
            Rules::new(&[("large", "module.features.pages + 1.0 > 2.0"), ("plain", "module.features.pages > 1.0")])?;
        assert!(rules.rule(0).is_some_and(|rule| rule.plain.is_none()));
        let mut facts = Facts::new(&rules);
        for (datum, holds) in [
            (Datum::Double(2.0), true),
            (Datum::Double(1.0), false),
            (Datum::Double(3.0), true),
            (Datum::Missing, false),
            (Datum::Double(4.0), true),
            (Datum::Unreadable, false),
        ] {
            facts.set(0, datum);
            assert_eq!((facts.holds(0), facts.holds(1)), (holds, holds));
        }
        Ok(())
    }
}
