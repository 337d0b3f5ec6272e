//! Declared features: those that the spec gives slots of their own.

use serde::Serialize;
use serde_json::Value as Json;

use super::CLIP;
use crate::error::{KernelError, Result};
use crate::fields::Fields;

/// A feature with slots of its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Declared {
    /// The scaled value, 0 if it is missing; with `indicator` a second slot, 1 if it is missing.
    Number {
        /// The feature's name.
        name: String,
        /// What is subtracted.
        center: f64,
        /// What it is divided by afterwards, > 0.
        scale: f64,
        /// Whether sign(v) · ln(1 + |v|) is taken first.
        log: bool,
        /// Whether that it is missing says something.
        indicator: bool,
    },
    /// One slot per value; a label outside them is hashed.
    Category {
        /// The feature's name.
        name: String,
        /// The known labels.
        values: Vec<String>,
    },
    /// One slot per element.
    Vector {
        /// The feature's name.
        name: String,
        /// Number of elements.
        length: usize,
        /// What each is divided by, > 0.
        scale: f64,
    },
}

impl Declared {
    /// Reads one entry of `encoder.declared`.
    ///
    /// # Errors
    /// `InvalidInput` naming key, value and rule.
    pub fn from_json(path: String, value: Json) -> Result<Self> {
        let mut fields = Fields::new(path, value)?;
        let kind = fields.text("kind")?;
        let name = fields.text("name")?;
        let declared = match kind.as_str() {
            "number" => Self::Number {
                name,
                center: fields.number("center", "finite", |_| true)?,
                scale: fields.number("scale", "> 0", |v| v > 0.0)?,
                log: fields.flag("log")?,
                indicator: fields.flag("indicator")?,
            },
            "category" => Self::Category { name, values: fields.texts("values")? },
            "vector" => Self::Vector {
                name,
                length: fields.count("length", 1, super::super::spec::CONTEXT_MAX)?,
                scale: fields.number("scale", "> 0", |v| v > 0.0)?,
            },
            _ => return Err(KernelError::invalid(fields.name("kind"), kind, "number, category or vector")),
        };
        fields.finish()?;
        Ok(declared)
    }

    /// The feature's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Number { name, .. } | Self::Category { name, .. } | Self::Vector { name, .. } => name,
        }
    }

    /// How many standardised numbers it is worth in a distance: a number or a category counts once.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Number { .. } | Self::Category { .. } => 1,
            Self::Vector { length, .. } => *length,
        }
    }

    /// Number of slots.
    #[must_use]
    pub fn slots(&self) -> usize {
        match self {
            Self::Number { indicator, .. } => 1 + usize::from(*indicator),
            Self::Category { values, .. } => values.len(),
            Self::Vector { length, .. } => *length,
        }
    }
}

/// ((log ? sign(v) · ln(1 + |v|) : v) − center) / scale, clipped to ±CLIP.
pub fn scale_number(value: f64, center: f64, scale: f64, log: bool) -> f64 {
    let value = if log { libm::log1p(value.abs()).copysign(value) } else { value };
    clip((value - center) / scale)
}

/// Clips to ±CLIP; an overflow of the division is clipped as well.
pub fn clip(value: f64) -> f64 {
    value.clamp(-CLIP, CLIP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_centred_scaled_and_clipped() {
        assert!((scale_number(5.0, 1.0, 2.0, false) - 2.0).abs() < 1e-15);
        assert!(
            (scale_number(-9.0, 0.0, 1.0, true) + 10.0_f64.log10() / 10.0_f64.log10() * libm::log(10.0)).abs() < 1e-12
        );
        assert!((scale_number(f64::MAX, 0.0, f64::MIN_POSITIVE, false) - 8.0).abs() < 1e-15);
    }

    #[test]
    fn faults_name_the_entry() {
        let read = |value| Declared::from_json("encoder.declared[0]".into(), value).unwrap_err().to_string();
        assert_eq!(
            read(json!({"kind": "number", "name": "size", "center": 0, "scale": 0, "log": true, "indicator": true})),
            "encoder.declared[0].scale == 0, must be > 0"
        );
        assert_eq!(
            read(json!({"kind": "word", "name": "size"})),
            "encoder.declared[0].kind == word, must be number, category or vector"
        );
        assert_eq!(
            read(json!({"kind": "vector", "name": "v", "length": 2, "scale": 1, "log": true})),
            "encoder.declared[0].log == true, must be absent: the keys are kind, name, length, scale"
        );
    }
}
