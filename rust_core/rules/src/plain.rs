//! Rules of the plain sort: logic, comparisons and memberships of values and literals, as most rules are. They are
//! evaluated here, without the boxes that the library makes for every value that it meets.
//!
//! The library stays the judge of what an expression means: whatever is not of this sort goes there, and a property
//! test has both answer the same expressions.

use std::cmp::Ordering;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};

use crate::datum::Held;
use crate::slots::Slot;

/// A rule, or a part of one.
#[derive(Debug)]
pub enum Plain {
    Literal(Literal),
    /// The value of the slot at a place.
    Value(usize),
    /// Whether the slot at a place has a value.
    Has(usize),
    Not(Box<Plain>),
    And(Box<[Plain; 2]>),
    Or(Box<[Plain; 2]>),
    Relation(Relation, Box<[Plain; 2]>),
    /// Whether a value is one of some literals.
    OneOf(Box<Plain>, Vec<Literal>),
    /// Whether a value is in the list of the slot at a place.
    InList(Box<Plain>, usize),
}

#[derive(Debug)]
pub enum Literal {
    Null,
    Flag(bool),
    Int(i64),
    Double(f64),
    Text(String),
}

#[derive(Clone, Copy, Debug)]
pub enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
    StartsWith,
    EndsWith,
}

/// Why there is no value.
#[derive(Clone, Copy)]
enum Fault {
    /// The expression is in error, which `&&` and `||` may absorb.
    Error,
    /// A list stands where a scalar is expected: the library knows what that means.
    NotPlain,
}

#[derive(Clone, Copy)]
enum Known<'a> {
    Null,
    Flag(bool),
    Int(i64),
    Double(f64),
    Text(&'a str),
}

impl Plain {
    /// Reads a compiled expression; `None` if it is not of the plain sort.
    pub fn of(expression: &IdedExpr, slots: &[Slot]) -> Option<Self> {
        let of = |part: &IdedExpr| Self::of(part, slots);
        match &expression.expr {
            Expr::Literal(literal) => Literal::of(literal).map(Self::Literal),
            Expr::Ident(name) => {
                let place = slots.iter().position(|slot| slot.variable == *name || slot.presence == *name)?;
                Some(if slots.get(place)?.variable == *name { Self::Value(place) } else { Self::Has(place) })
            }
            Expr::Call(CallExpr { func_name, target: None, args }) => match (func_name.as_str(), args.as_slice()) {
                (operators::LOGICAL_NOT, [part]) => Some(Self::Not(Box::new(of(part)?))),
                (operators::LOGICAL_AND, [left, right]) => Some(Self::And(Box::new([of(left)?, of(right)?]))),
                (operators::LOGICAL_OR, [left, right]) => Some(Self::Or(Box::new([of(left)?, of(right)?]))),
                (operators::IN, [item, IdedExpr { expr: Expr::List(list), .. }])
                    if list.optional_indices.is_empty() =>
                {
                    let literal = |element: &IdedExpr| match &element.expr {
                        Expr::Literal(literal) => Literal::of(literal),
                        _ => None,
                    };
                    let literals = list.elements.iter().map(literal).collect::<Option<_>>()?;
                    Some(Self::OneOf(Box::new(of(item)?), literals))
                }
                (operators::IN, [item, list]) => match of(list)? {
                    Self::Value(place) => Some(Self::InList(Box::new(of(item)?), place)),
                    _ => None,
                },
                (name, [left, right]) => Some(Self::Relation(Relation::of(name)?, Box::new([of(left)?, of(right)?]))),
                _ => None,
            },
            Expr::Call(CallExpr { func_name, target: Some(text), args }) => {
                let relation = match func_name.as_str() {
                    "contains" => Relation::Contains,
                    "startsWith" => Relation::StartsWith,
                    "endsWith" => Relation::EndsWith,
                    _ => return None,
                };
                let [part] = args.as_slice() else { return None };
                Some(Self::Relation(relation, Box::new([of(text)?, of(part)?])))
            }
            _ => None,
        }
    }

    /// Whether the rule holds; `None` if only the library can tell.
    pub fn holds(&self, held: &[Held]) -> Option<bool> {
        match self.truth(held) {
            Ok(truth) => Some(truth),
            Err(Fault::Error) => Some(false),
            Err(Fault::NotPlain) => None,
        }
    }

    fn truth(&self, held: &[Held]) -> Result<bool, Fault> {
        match self {
            Self::Has(place) => Ok(!matches!(held.get(*place), None | Some(Held::Missing | Held::Null))),
            Self::Not(part) => part.truth(held).map(|truth| !truth),
            Self::And(parts) => logic(parts, false, held),
            Self::Or(parts) => logic(parts, true, held),
            Self::Relation(relation, parts) => relation.truth(parts[0].value(held)?, parts[1].value(held)?),
            Self::OneOf(item, literals) => {
                let item = item.value(held)?;
                Ok(literals.iter().any(|literal| equal(literal.known(), item)))
            }
            Self::InList(item, place) => {
                let item = item.value(held)?;
                match held.get(*place) {
                    Some(Held::Texts(texts)) => Ok(texts.iter().any(|text| equal(Known::Text(text), item))),
                    Some(Held::Numbers(numbers)) => {
                        Ok(numbers.iter().any(|number| equal(Known::Double(*number), item)))
                    }
                    _ => Err(Fault::Error),
                }
            }
            Self::Literal(_) | Self::Value(_) => match self.value(held)? {
                Known::Flag(flag) => Ok(flag),
                _ => Err(Fault::Error),
            },
        }
    }

    fn value<'a>(&'a self, held: &'a [Held]) -> Result<Known<'a>, Fault> {
        match self {
            Self::Literal(literal) => Ok(literal.known()),
            Self::Value(place) => match held.get(*place) {
                None | Some(Held::Missing | Held::Unreadable) => Err(Fault::Error),
                Some(Held::Null) => Ok(Known::Null),
                Some(Held::Flag(flag)) => Ok(Known::Flag(*flag)),
                Some(Held::Int(number)) => Ok(Known::Int(*number)),
                Some(Held::Double(number)) => Ok(Known::Double(*number)),
                Some(Held::Text(text)) => Ok(Known::Text(text)),
                Some(Held::Numbers(_) | Held::Texts(_)) => Err(Fault::NotPlain),
            },
            _ => self.truth(held).map(Known::Flag),
        }
    }
}

/// `||` if `decisive` is true, `&&` if it is false: one decisive part decides, whatever is wrong with the other.
fn logic(parts: &[Plain; 2], decisive: bool, held: &[Held]) -> Result<bool, Fault> {
    let left = match parts[0].truth(held) {
        Err(Fault::NotPlain) => return Err(Fault::NotPlain),
        Ok(truth) if truth == decisive => return Ok(decisive),
        left => left,
    };
    match parts[1].truth(held)? {
        right if right == decisive => Ok(decisive),
        _ => left,
    }
}

impl Literal {
    fn of(literal: &LiteralValue) -> Option<Self> {
        Some(match literal {
            LiteralValue::Null => Self::Null,
            LiteralValue::Boolean(flag) => Self::Flag(*flag.inner()),
            LiteralValue::Int(number) => Self::Int(*number.inner()),
            LiteralValue::Double(number) => Self::Double(*number.inner()),
            LiteralValue::String(text) => Self::Text(text.inner().to_owned()),
            LiteralValue::Bytes(_) | LiteralValue::UInt(_) => return None,
        })
    }

    fn known(&self) -> Known<'_> {
        match self {
            Self::Null => Known::Null,
            Self::Flag(flag) => Known::Flag(*flag),
            Self::Int(number) => Known::Int(*number),
            Self::Double(number) => Known::Double(*number),
            Self::Text(text) => Known::Text(text),
        }
    }
}

impl Relation {
    fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            operators::EQUALS => Self::Equal,
            operators::NOT_EQUALS => Self::NotEqual,
            operators::LESS => Self::Less,
            operators::LESS_EQUALS => Self::LessOrEqual,
            operators::GREATER => Self::Greater,
            operators::GREATER_EQUALS => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn truth(self, left: Known<'_>, right: Known<'_>) -> Result<bool, Fault> {
        let ordered = |holds: fn(Ordering) -> bool| compare(left, right).map(holds).ok_or(Fault::Error);
        let texts = |holds: fn(&str, &str) -> bool| match (left, right) {
            (Known::Text(left), Known::Text(right)) => Ok(holds(left, right)),
            _ => Err(Fault::Error),
        };
        match self {
            Self::Equal => Ok(equal(left, right)),
            Self::NotEqual => Ok(!equal(left, right)),
            Self::Less => ordered(Ordering::is_lt),
            Self::LessOrEqual => ordered(Ordering::is_le),
            Self::Greater => ordered(Ordering::is_gt),
            Self::GreaterOrEqual => ordered(Ordering::is_ge),
            Self::Contains => texts(|text, part| text.contains(part)),
            Self::StartsWith => texts(|text, part| text.starts_with(part)),
            Self::EndsWith => texts(|text, part| text.ends_with(part)),
        }
    }
}

/// Values of different types are not equal, except numbers.
fn equal(left: Known<'_>, right: Known<'_>) -> bool {
    matches!((left, right), (Known::Null, Known::Null)) || compare(left, right) == Some(Ordering::Equal)
}

/// `None` for what has no order: an error of the expression.
fn compare(left: Known<'_>, right: Known<'_>) -> Option<Ordering> {
    match (left, right) {
        (Known::Flag(left), Known::Flag(right)) => Some(left.cmp(&right)),
        (Known::Int(left), Known::Int(right)) => Some(left.cmp(&right)),
        (Known::Int(left), Known::Double(right)) => (left as f64).partial_cmp(&right),
        (Known::Double(left), Known::Int(right)) => left.partial_cmp(&(right as f64)),
        (Known::Double(left), Known::Double(right)) => left.partial_cmp(&right),
        (Known::Text(left), Known::Text(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use proptest::test_runner::RngSeed;

    use crate::compile::Rules;
    use crate::datum::Datum;
    use crate::facts::Facts;

    const PLAIN: [&str; 20] = [
        "task.type",
        "task.priority",
        "task.critical",
        "task.deadline_s",
        "task.features.a",
        "task.features[\"b\"]",
        "module.name",
        "module.capabilities",
        "module.max_data_size_bytes",
        "module.features.a",
        "has(task.features.a)",
        "has(module.max_data_size_bytes)",
        "(\"b\" in task.features)",
        "true",
        "null",
        "1",
        "9007199254740993",
        "0.5",
        "1e308",
        "'x'",
    ];
    const OTHER: [&str; 4] = ["size(module.name)", "[1, 0.5]", "1u", "(task.critical ? 1 : 2)"];
    const OPERATORS: [&str; 8] = ["==", "!=", "<", "<=", ">", ">=", "&&", "||"];
    const LISTS: [&str; 5] = ["module.capabilities", "task.features.a", "['x', 1, null, true]", "[]", "module.name"];
    const TEXTS: [&str; 4] = ["module.name", "task.type", "'x'", "'xyx'"];
    const TESTS: [&str; 3] = ["contains", "startsWith", "endsWith"];

    fn expression() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![8 => select(&PLAIN[..]), 1 => select(&OTHER[..])].prop_map(str::to_owned);
        leaf.prop_recursive(4, 24, 2, |part| {
            let pair = (part.clone(), part.clone());
            prop_oneof![
                6 => (pair.clone(), select(&OPERATORS[..])).prop_map(|((a, b), operator)| format!("({a} {operator} {b})")),
                1 => part.clone().prop_map(|a| format!("!({a})")),
                1 => (part, select(&LISTS[..])).prop_map(|(a, list)| format!("({a} in {list})")),
                1 => (select(&TEXTS[..]), select(&TEXTS[..]), select(&TESTS[..]))
                    .prop_map(|(a, b, test)| format!("({a}).{test}({b})")),
                1 => (pair, select(&TESTS[..])).prop_map(|((a, b), test)| format!("({a}).{test}({b})")),
            ]
        })
    }

    fn datum() -> impl Strategy<Value = Datum<'static>> {
        prop_oneof![
            1 => Just(Datum::Missing),
            1 => Just(Datum::Unreadable),
            1 => Just(Datum::Null),
            1 => any::<bool>().prop_map(Datum::Flag),
            1 => select(vec![-1, 0, 1, i64::MAX, 9_007_199_254_740_993]).prop_map(Datum::Int),
            1 => select(vec![-0.0, 0.0, 0.5, 1.0, 9_007_199_254_740_992.0, f64::NAN]).prop_map(Datum::Double),
            5 => select(vec!["", "x", "xy", "y", "ß"]).prop_map(Datum::Text),
            1 => select(vec![&[][..], &[1.0], &[0.5, 1.0], &[f64::NAN]]).prop_map(Datum::Numbers),
            1 => select(vec![vec![], vec!["x"], vec!["y", "x"]]).prop_map(Datum::Texts),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 4000,
            rng_seed: RngSeed::Fixed(13),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn every_expression_is_as_true_as_the_library_says(
            expression in expression(),
            data in proptest::collection::vec(proptest::collection::vec(datum(), 10), 3),
        ) {
            let rules = Rules::new(&[("rule", expression.as_str())]).unwrap();
            let mut facts = Facts::new(&rules);
            for values in data {
                for (place, datum) in values.into_iter().enumerate() {
                    facts.set(place, datum);
                }
                let rule = rules.rule(0).unwrap();
                prop_assert_eq!(facts.holds(0), facts.holds_by_library(rule));
            }
        }
    }

    #[test]
    fn rules_as_they_are_usually_written_are_plain() {
        for expression in [
            "task.type == 'ocr' || task.type == 'asr'",
            "!module.name.startsWith('beta-')",
            "!('gpu' in task.required_capabilities) || 'gpu' in module.capabilities",
            "has(module.features.region) && module.features.region in ['eu', 'us']",
            "module.max_data_size_bytes == null || task.data_size_bytes <= module.max_data_size_bytes",
            "decision.hour >= 8 && decision.hour < 20 && !task.critical",
        ] {
            let rules = Rules::new(&[("rule", expression)]).unwrap();
            assert!(rules.rule(0).is_some_and(|rule| rule.plain.is_some()), "{expression}");
        }
    }
}
