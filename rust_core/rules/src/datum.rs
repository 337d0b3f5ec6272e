//! A value that rules read: as it is handed over, as it is kept, and as the library has it.

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelNull, CelString};
use cel::common::value::Val;

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

/// A [`Datum`] that is kept; one that no rule may read is `Unreadable`.
#[derive(Debug)]
pub enum Held {
    Missing,
    Unreadable,
    Null,
    Flag(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

impl Held {
    /// Keeps a value.
    pub fn of(datum: Datum<'_>) -> Self {
        match datum {
            Datum::Missing => Self::Missing,
            Datum::Null => Self::Null,
            Datum::Flag(flag) => Self::Flag(flag),
            Datum::Int(number) => Self::Int(number),
            Datum::Double(number) if number.is_finite() => Self::Double(number),
            Datum::Text(text) => Self::Text(text.to_owned()),
            Datum::Numbers(numbers) if numbers.len() <= MAX_LIST && numbers.iter().all(|number| number.is_finite()) => {
                Self::Numbers(numbers.to_vec())
            }
            Datum::Texts(texts) if texts.len() <= MAX_LIST => {
                Self::Texts(texts.into_iter().map(str::to_owned).collect())
            }
            Datum::Unreadable | Datum::Double(_) | Datum::Numbers(_) | Datum::Texts(_) => Self::Unreadable,
        }
    }

    /// The library's value; `None` if reading it is an error.
    pub fn boxed(&self) -> Option<Box<dyn Val>> {
        Some(match self {
            Self::Missing | Self::Unreadable => return None,
            Self::Null => Box::new(CelNull),
            Self::Flag(flag) => Box::new(CelBool::from(*flag)),
            Self::Int(number) => Box::new(CelInt::from(*number)),
            Self::Double(number) => Box::new(CelDouble::from(*number)),
            Self::Text(text) => Box::new(CelString::from(text.as_str())),
            Self::Numbers(numbers) => list(numbers.iter().map(|number| Box::new(CelDouble::from(*number)) as _)),
            Self::Texts(texts) => list(texts.iter().map(|text| Box::new(CelString::from(text.as_str())) as _)),
        })
    }
}

fn list(items: impl Iterator<Item = Box<dyn Val>>) -> Box<dyn Val> {
    Box::new(CelList::from(items.collect::<Vec<_>>()))
}
