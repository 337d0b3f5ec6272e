//! Observations kept whole, so that a model can be trained on them again under another spec.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use crate::encoders::{Item, Module, Task, Value};
use crate::error::Result;

/// How the names of features begin that say how a module has done lately.
const LIVE: &str = "live.";

/// Labels beyond which a text feature is no category.
const LABELS_MAX: usize = 64;

/// What happened to each of a run of decisions, in the order in which it was learned.
///
/// Names, labels and texts are kept once, however many rows use them.
#[derive(Clone, Debug, Default)]
pub struct History {
    texts: Vec<Arc<str>>,
    places: HashMap<Arc<str>, usize>,
    items: Vec<(usize, Held)>,
    numbers: Vec<f64>,
    tags: Vec<usize>,
    values: Vec<(usize, f64)>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
enum Held {
    Number(f64),
    Flag(bool),
    Label(usize),
    Vector(Range<usize>),
}

#[derive(Clone, Debug)]
struct Row {
    task: Range<usize>,
    text: usize,
    module: usize,
    module_items: Range<usize>,
    tags: Range<usize>,
    values: Range<usize>,
    weight: f64,
}

/// What a feature of the tasks has been like.
#[derive(Clone, Debug, PartialEq)]
pub enum Described {
    /// A number (a flag is 0 or 1): count, and mean, standard deviation and skewness as it is and as sign(v) · ln(1 + |v|).
    Number {
        /// Rows that have it.
        count: usize,
        /// (mean, deviation, skewness) of v.
        plain: (f64, f64, f64),
        /// (mean, deviation, skewness) of sign(v) · ln(1 + |v|).
        log: (f64, f64, f64),
    },
    /// A text with at most 64 values, ascending.
    Category {
        /// Rows that have it.
        count: usize,
        /// Its values.
        labels: Vec<String>,
    },
    /// A vector whose length never changes.
    Vector {
        /// Rows that have it.
        count: usize,
        /// Number of elements.
        length: usize,
        /// Root of the mean square of an element.
        scale: f64,
    },
}

impl History {
    /// Appends what happened when `module` took `task`: (signal, utility) of each signal.
    /// Rows are checked when a model is trained on them.
    pub fn push(&mut self, task: &Task<'_>, module: &Module<'_>, values: &[(usize, f64)], weight: f64) {
        let row = Row {
            task: self.hold(task.items),
            text: self.place(task.text),
            module: self.place(module.name),
            module_items: self.hold(module.items),
            tags: self.tags.len()..self.tags.len() + module.capabilities.len(),
            values: self.values.len()..self.values.len() + values.len(),
            weight,
        };
        for tag in module.capabilities {
            let place = self.place(tag);
            self.tags.push(place);
        }
        self.values.extend_from_slice(values);
        self.rows.push(row);
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing has been appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether any module has capabilities, or features other than the live ones that the engine attaches itself.
    #[must_use]
    pub fn describes_modules(&self) -> bool {
        self.rows.iter().any(|row| {
            let items = &self.items[row.module_items.clone()];
            !row.tags.is_empty() || items.iter().any(|(name, _)| !self.text(*name).starts_with(LIVE))
        })
    }

    /// Calls `see` for each row and each of its values, in order.
    ///
    /// # Errors
    /// The first that `see` returns.
    pub fn for_each(
        &self,
        mut see: impl FnMut(&Task<'_>, &Module<'_>, &[(usize, f64)], f64) -> Result<()>,
    ) -> Result<()> {
        for row in &self.rows {
            let (task, module): (Vec<_>, Vec<_>) = (self.view(&row.task), self.view(&row.module_items));
            let tags: Vec<&str> = self.tags[row.tags.clone()].iter().map(|place| self.text(*place)).collect();
            let task = Task { items: &task, text: self.text(row.text) };
            let module = Module { name: self.text(row.module), items: &module, capabilities: &tags };
            see(&task, &module, &self.values[row.values.clone()], row.weight)?;
        }
        Ok(())
    }

    /// The rows that have a value of a signal, once per value, with the bits of their weights: signals for which these are
    /// equal have seen the same tasks and modules.
    #[must_use]
    pub fn seen_by(&self, signal: usize) -> Vec<(usize, u64)> {
        let times = |row: &Row| self.values[row.values.clone()].iter().filter(|(other, _)| *other == signal).count();
        let rows = self.rows.iter().enumerate();
        rows.flat_map(|(number, row)| std::iter::repeat_n((number, row.weight.to_bits()), times(row))).collect()
    }

    /// What each feature of the tasks has been like, by name. Texts with many values, vectors of changing length and features
    /// that change their kind are left out.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, Described)> {
        let mut columns: BTreeMap<&str, Vec<&Held>> = BTreeMap::new();
        for row in &self.rows {
            for (name, held) in &self.items[row.task.clone()] {
                columns.entry(self.text(*name)).or_default().push(held);
            }
        }
        let described = columns.into_iter().filter_map(|(name, column)| Some((name, self.describe_column(&column)?)));
        described.map(|(name, column)| (name.to_owned(), column)).collect()
    }

    fn describe_column(&self, column: &[&Held]) -> Option<Described> {
        let count = column.len();
        match column.first()? {
            Held::Number(_) | Held::Flag(_) => {
                let numbers = column.iter().map(|held| match held {
                    Held::Number(number) => Some(*number),
                    Held::Flag(flag) => Some(f64::from(u8::from(*flag))),
                    _ => None,
                });
                let mut numbers: Vec<f64> = numbers.collect::<Option<_>>()?;
                let plain = moments(&numbers);
                for v in &mut numbers {
                    *v = libm::log1p(v.abs()).copysign(*v);
                }
                Some(Described::Number { count, plain, log: moments(&numbers) })
            }
            Held::Label(_) => {
                let places = column.iter().map(|held| if let Held::Label(place) = held { Some(*place) } else { None });
                let mut places: Vec<usize> = places.collect::<Option<_>>()?;
                places.sort_unstable();
                places.dedup();
                let mut labels: Vec<String> = places.iter().map(|place| self.text(*place).to_owned()).collect();
                labels.sort_unstable();
                (labels.len() <= LABELS_MAX).then_some(Described::Category { count, labels })
            }
            Held::Vector(first) => {
                let vectors = column.iter().map(|held| match held {
                    Held::Vector(range) if range.len() == first.len() => Some(&self.numbers[range.clone()]),
                    _ => None,
                });
                let vectors: Vec<&[f64]> = vectors.collect::<Option<_>>()?;
                let squares: f64 = vectors.iter().flat_map(|vector| vector.iter()).map(|v| v * v).sum();
                let scale = (squares / (count * first.len()).max(1) as f64).sqrt();
                Some(Described::Vector { count, length: first.len(), scale })
            }
        }
    }

    fn text(&self, place: usize) -> &str {
        &self.texts[place]
    }

    fn place(&mut self, text: &str) -> usize {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.places.insert(text, self.texts.len() - 1);
        self.texts.len() - 1
    }

    fn hold(&mut self, items: &[Item<'_>]) -> Range<usize> {
        let start = self.items.len();
        for item in items {
            let held = match item.value {
                Value::Number(number) => Held::Number(number),
                Value::Flag(flag) => Held::Flag(flag),
                Value::Label(label) => Held::Label(self.place(label)),
                Value::Vector(values) => {
                    let start = self.numbers.len();
                    self.numbers.extend_from_slice(values);
                    Held::Vector(start..self.numbers.len())
                }
            };
            let name = self.place(item.name);
            self.items.push((name, held));
        }
        start..self.items.len()
    }

    fn view(&self, range: &Range<usize>) -> Vec<Item<'_>> {
        let items = self.items[range.clone()].iter();
        let view = |held: &Held| match held {
            Held::Number(number) => Value::Number(*number),
            Held::Flag(flag) => Value::Flag(*flag),
            Held::Label(place) => Value::Label(&self.texts[*place]),
            Held::Vector(range) => Value::Vector(&self.numbers[range.clone()]),
        };
        items.map(|(name, held)| Item { name: self.text(*name), value: view(held) }).collect()
    }
}

/// Mean, standard deviation and skewness (0 where there is no deviation).
fn moments(values: &[f64]) -> (f64, f64, f64) {
    // Exactly: the mean of equal numbers rounds, and a deviation of 1e-17 would be one to divide by.
    if let Some(first) = values.first().filter(|first| values.iter().all(|v| v.to_bits() == first.to_bits())) {
        return (*first, 0.0, 0.0);
    }
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let central = |power: i32| values.iter().map(|v| (v - mean).powi(power)).sum::<f64>() / n;
    let deviation = central(2).sqrt();
    let skewness = central(3) / (deviation * deviation * deviation);
    (mean, deviation, if skewness.is_finite() { skewness } else { 0.0 })
}
