//! Reads JSON objects field by field, so that each refusal names the key, the value and the rule.

use serde_json::{Map, Value};

use crate::error::{KernelError, Result};

/// One JSON object whose keys are taken one after the other; a key nobody took is refused at the end.
pub struct Fields {
    path: String,
    map: Map<String, Value>,
    taken: Vec<&'static str>,
}

impl Fields {
    /// Opens an object; `path` is how its keys are named in messages ("" for the top).
    ///
    /// # Errors
    /// `InvalidInput` if `value` is not an object.
    pub fn new(path: impl Into<String>, value: Value) -> Result<Self> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Self { path, map, taken: Vec::new() }),
            other => Err(KernelError::invalid(if path.is_empty() { "spec" } else { &path }, other, "an object")),
        }
    }

    /// Parses a whole JSON text as an object.
    ///
    /// # Errors
    /// `InvalidInput` if the bytes are not one JSON object.
    pub fn parse(name: &str, json: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(json)
            .map_err(|error| KernelError::invalid(name, format!("invalid ({error})"), "JSON"))?;
        Self::new("", value)
    }

    /// The full name of a key.
    #[must_use]
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn take(&mut self, key: &'static str, rule: &str) -> Result<Value> {
        self.taken.push(key);
        self.map.remove(key).ok_or_else(|| KernelError::invalid(self.name(key), "absent", rule))
    }

    /// A finite number for which `holds` is true; `rule` says so in words.
    ///
    /// # Errors
    /// `InvalidInput` if it is absent, not a number or breaks the rule.
    pub fn number(&mut self, key: &'static str, rule: &str, holds: impl Fn(f64) -> bool) -> Result<f64> {
        let value = self.take(key, rule)?;
        match value.as_f64() {
            Some(number) if number.is_finite() && holds(number) => Ok(number),
            _ => Err(KernelError::invalid(self.name(key), value, rule)),
        }
    }

    /// The same under a key that may be absent, and then has this value.
    ///
    /// # Errors
    /// `InvalidInput` if it is there and breaks the rule.
    pub fn optional_number(
        &mut self,
        key: &'static str,
        absent: f64,
        rule: &str,
        holds: impl Fn(f64) -> bool,
    ) -> Result<f64> {
        if self.map.contains_key(key) { self.number(key, rule, holds) } else { Ok(absent) }
    }

    /// A whole number in `[low, high]`.
    ///
    /// # Errors
    /// `InvalidInput` if it is absent, not whole or outside.
    pub fn count(&mut self, key: &'static str, low: usize, high: usize) -> Result<usize> {
        let rule = format!("a whole number in [{low}, {high}]");
        let value = self.take(key, &rule)?;
        match value.as_u64().and_then(|count| usize::try_from(count).ok()) {
            Some(count) if (low..=high).contains(&count) => Ok(count),
            _ => Err(KernelError::invalid(self.name(key), value, rule)),
        }
    }

    /// True or false.
    ///
    /// # Errors
    /// `InvalidInput` if it is absent or something else.
    pub fn flag(&mut self, key: &'static str) -> Result<bool> {
        let value = self.take(key, "true or false")?;
        value.as_bool().ok_or_else(|| KernelError::invalid(self.name(key), value, "true or false"))
    }

    /// A text that is not empty.
    ///
    /// # Errors
    /// `InvalidInput` if it is absent, empty or not a text.
    pub fn text(&mut self, key: &'static str) -> Result<String> {
        let rule = "a text that is not empty";
        match self.take(key, rule)? {
            Value::String(text) if !text.is_empty() => Ok(text),
            other => Err(KernelError::invalid(self.name(key), other, rule)),
        }
    }

    /// A list.
    ///
    /// # Errors
    /// `InvalidInput` if it is absent or not a list.
    pub fn list(&mut self, key: &'static str) -> Result<Vec<Value>> {
        match self.take(key, "a list")? {
            Value::Array(values) => Ok(values),
            other => Err(KernelError::invalid(self.name(key), other, "a list")),
        }
    }

    /// A list of different texts, at least one, none of them empty.
    ///
    /// # Errors
    /// `InvalidInput` if it is absent or anything else.
    pub fn texts(&mut self, key: &'static str) -> Result<Vec<String>> {
        let rule = "a list of different texts, none of them empty";
        let mut texts: Vec<String> = Vec::new();
        let values = self.list(key)?;
        for value in &values {
            match value {
                Value::String(text) if !text.is_empty() && !texts.contains(text) => texts.push(text.clone()),
                _ => return Err(KernelError::invalid(self.name(key), Value::Array(values), rule)),
            }
        }
        if texts.is_empty() {
            return Err(KernelError::invalid(self.name(key), "[]", rule));
        }
        Ok(texts)
    }

    /// An object under a key.
    ///
    /// # Errors
    /// `InvalidInput` if it is absent or not an object.
    pub fn object(&mut self, key: &'static str) -> Result<Self> {
        let value = self.take(key, "an object")?;
        Self::new(self.name(key), value)
    }

    /// An object under a key that may be absent, as it stands.
    ///
    /// # Errors
    /// `InvalidInput` if it is there and not an object.
    pub fn optional_object(&mut self, key: &'static str) -> Result<Option<Value>> {
        self.taken.push(key);
        match self.map.remove(key) {
            None => Ok(None),
            Some(value @ Value::Object(_)) => Ok(Some(value)),
            Some(other) => Err(KernelError::invalid(self.name(key), other, "an object")),
        }
    }

    /// Closes the object.
    ///
    /// # Errors
    /// `InvalidInput` naming the first key that nobody took.
    pub fn finish(self) -> Result<()> {
        match self.map.iter().next() {
            None => Ok(()),
            Some((key, value)) => {
                let rule = format!("absent: the keys are {}", self.taken.join(", "));
                Err(KernelError::invalid(self.name(key), value, rule))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn each_fault_names_key_value_and_rule() {
        let open = || Fields::new("learner", json!({"n": 1.5, "s": "", "l": ["a", "a"], "f": 1, "o": 2})).unwrap();
        assert_eq!(message(open().number("n", "in [0, 1]", |v| v <= 1.0)), "learner.n == 1.5, must be in [0, 1]");
        assert_eq!(message(open().number("x", "> 0", |_| true)), "learner.x == absent, must be > 0");
        assert_eq!(message(open().count("n", 0, 3)), "learner.n == 1.5, must be a whole number in [0, 3]");
        assert_eq!(message(open().text("s")), "learner.s == \"\", must be a text that is not empty");
        assert_eq!(message(open().flag("f")), "learner.f == 1, must be true or false");
        assert_eq!(message(open().list("f")), "learner.f == 1, must be a list");
        assert_eq!(message(open().object("o").map(|_| ())), "learner.o == 2, must be an object");
        assert_eq!(
            message(open().texts("l")),
            "learner.l == [\"a\",\"a\"], must be a list of different texts, none of them empty"
        );
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let mut fields = Fields::parse("spec", br#"{"a": true, "b": 2}"#).unwrap();
        assert!(fields.flag("a").unwrap());
        assert_eq!(message(fields.finish()), "b == 2, must be absent: the keys are a");
    }

    #[test]
    fn text_that_is_not_json_is_refused() {
        assert!(message(Fields::parse("spec", b"{").map(|_| ())).starts_with("spec == invalid ("));
    }
}
