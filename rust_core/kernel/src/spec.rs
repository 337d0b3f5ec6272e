//! What a model is: encoder, learner, explorer. Two models of one spec may be merged; of two specs never.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::encoders::Declared;
use crate::error::{KernelError, Result};
use crate::explorers::Explorer;
use crate::fields::Fields;
use crate::posteriors::Prior;

/// Version of the layout of state bytes and of everything that decides a model's bits.
pub const FORMAT_VERSION: u16 = 2;

/// Largest length of x. A module's covariance has half its square of elements.
pub const CONTEXT_MAX: usize = 1024;
/// Largest length of z.
pub const SHARED_MAX: usize = 1024;
/// Largest number of signals.
pub const SIGNALS_MAX: usize = 64;

/// How tasks and modules become vectors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EncoderSpec {
    /// Features with slots of their own.
    pub declared: Vec<Declared>,
    /// What the declared block is multiplied by: how far the prior trusts a linear effect of these features.
    pub declared_scale: f64,
    /// Slots for random features of the declared block, so that what is not linear in it can be learned; 0 for none.
    pub random_dims: usize,
    /// Their length scale ℓ, in standard deviations of a feature, per root of the number of features.
    pub random_length: f64,
    /// Euclidean length of their block: how far the prior trusts what is not linear.
    pub random_scale: f64,
    /// Slots for all other features of a task.
    pub hashed_dims: usize,
    /// Slots for words.
    pub text_dims: usize,
    /// Euclidean length of the text block.
    pub text_scale: f64,
    /// Length of z, >= 1.
    pub shared_dims: usize,
    /// Whether z holds the task's own features, so that how hard a task is is learned once for all modules.
    pub shared_task: bool,
}

/// Prior and signals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LearnerSpec {
    /// Names of the heads.
    pub signals: Vec<String>,
    /// λ_module.
    pub module_precision: f64,
    /// λ_shared.
    pub shared_precision: f64,
    /// s₀².
    pub noise_variance: f64,
    /// n₀: how many observations the prior variance is worth.
    pub noise_count: f64,
}

/// The whole spec.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spec {
    /// Features to vectors.
    pub encoder: EncoderSpec,
    /// Vectors to scores.
    pub learner: LearnerSpec,
    /// Scores to probabilities.
    pub explorer: Explorer,
    /// What the utilities mean. The kernel does not read it, but models that learned other utilities must not be merged,
    /// so it is part of the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewards: Option<serde_json::Value>,
}

impl Spec {
    /// Reads the spec's JSON. Every key must be there but `rewards`, and no other.
    ///
    /// # Errors
    /// `InvalidInput` naming key, value and rule.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let mut fields = Fields::parse("spec", json)?;
        let encoder = EncoderSpec::from_fields(fields.object("encoder")?)?;
        let learner = LearnerSpec::from_fields(fields.object("learner")?)?;
        let explorer = Explorer::from_fields(fields.object("explorer")?)?;
        let rewards = fields.optional_object("rewards")?;
        fields.finish()?;
        Ok(Self { encoder, learner, explorer, rewards })
    }

    /// The canonical JSON: keys sorted, no spaces, numbers in their shortest form.
    #[must_use]
    pub fn canonical(&self) -> String {
        // A map of serde_json is sorted. The spec holds finite numbers and texts, so serialising it cannot fail.
        serde_json::to_value(self).map(|value| value.to_string()).unwrap_or_default()
    }

    /// SHA-256 of the canonical JSON and the format version, in hexadecimal.
    #[must_use]
    pub fn version(&self) -> String {
        let digest =
            Sha256::new().chain_update(self.canonical()).chain_update(format!("\nformat {FORMAT_VERSION}")).finalize();
        digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    /// The precisions of the prior.
    #[must_use]
    pub fn prior(&self) -> Prior {
        let LearnerSpec { module_precision, shared_precision, .. } = self.learner;
        Prior { module_precision, shared_precision }
    }
}

impl EncoderSpec {
    fn from_fields(mut fields: Fields) -> Result<Self> {
        let entries = fields.list("declared")?;
        let mut declared: Vec<Declared> = Vec::with_capacity(entries.len());
        for (i, entry) in entries.into_iter().enumerate() {
            let path = fields.name(&format!("declared[{i}]"));
            let feature = Declared::from_json(path.clone(), entry)?;
            if declared.iter().any(|other| other.name() == feature.name()) {
                return Err(KernelError::invalid(format!("{path}.name"), feature.name(), "declared once"));
            }
            declared.push(feature);
        }
        let spec = Self {
            declared,
            declared_scale: fields.number("declared_scale", "in [0, 1000]", |v| (0.0..=1000.0).contains(&v))?,
            random_dims: fields.count("random_dims", 0, CONTEXT_MAX)?,
            random_length: fields.number("random_length", "in [0.01, 100]", |v| (0.01..=100.0).contains(&v))?,
            random_scale: fields.number("random_scale", "in (0, 1000]", |v| v > 0.0 && v <= 1000.0)?,
            hashed_dims: fields.count("hashed_dims", 0, CONTEXT_MAX)?,
            text_dims: fields.count("text_dims", 0, CONTEXT_MAX)?,
            text_scale: fields.number("text_scale", "in (0, 1000]", |v| v > 0.0 && v <= 1000.0)?,
            shared_dims: fields.count("shared_dims", 1, SHARED_MAX)?,
            shared_task: fields.flag("shared_task")?,
        };
        let slots = spec.declared.iter().fold(0_usize, |sum, feature| sum.saturating_add(feature.slots()));
        let n_context = slots.saturating_add(1 + spec.hashed_dims + spec.text_dims + spec.random_dims);
        if n_context > CONTEXT_MAX {
            let rule = format!("at most {CONTEXT_MAX} slots in all");
            return Err(KernelError::invalid("encoder", format!("{n_context} slots"), rule));
        }
        fields.finish()?;
        Ok(spec)
    }
}

impl LearnerSpec {
    fn from_fields(mut fields: Fields) -> Result<Self> {
        let precision = |v: f64| (1e-6..=1e6).contains(&v);
        let signals = fields.texts("signals")?;
        if signals.len() > SIGNALS_MAX {
            let rule = format!("at most {SIGNALS_MAX}");
            return Err(KernelError::invalid("len(learner.signals)", signals.len(), rule));
        }
        let spec = Self {
            signals,
            module_precision: fields.number("module_precision", "in [1e-6, 1e6]", precision)?,
            shared_precision: fields.number("shared_precision", "in [1e-6, 1e6]", precision)?,
            noise_variance: fields.number("noise_variance", "in (0, 1e6]", |v| v > 0.0 && v <= 1e6)?,
            noise_count: fields.number("noise_count", "in [0, 1e9]", |v| (0.0..=1e9).contains(&v))?,
        };
        fields.finish()?;
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec() -> Value {
        json!({
            "encoder": {
                "declared": [{"kind": "category", "name": "type", "values": ["pdf"]}],
                "declared_scale": 1, "random_dims": 0, "random_length": 1, "random_scale": 1,
                "hashed_dims": 8, "text_dims": 4, "text_scale": 1, "shared_dims": 2, "shared_task": true
            },
            "learner": {
                "signals": ["completion"], "module_precision": 1, "shared_precision": 1.0,
                "noise_variance": 0.1, "noise_count": 10
            },
            "explorer": {"kind": "inverse_gap", "gamma": 10, "floor": 0.02}
        })
    }

    fn refusal(edit: impl FnOnce(&mut Value)) -> String {
        let mut value = spec();
        edit(&mut value);
        Spec::from_json(value.to_string().as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_canonical_form_is_sorted_and_a_fixed_point() {
        let spec = Spec::from_json(spec().to_string().as_bytes()).unwrap();
        let canonical = spec.canonical();
        assert!(canonical.starts_with(r#"{"encoder":{"declared":[{"kind":"category","#));
        assert!(
            canonical.contains(r#""explorer":{"anneal_count":0.0,"floor":0.02,"gamma":10.0,"kind":"inverse_gap"}"#)
        );
        let again = Spec::from_json(canonical.as_bytes()).unwrap();
        assert_eq!((again.canonical(), again.version()), (canonical, spec.version()));
        assert_eq!(spec.version().len(), 64);
    }

    #[test]
    fn the_meaning_of_utilities_is_part_of_the_version() {
        let plain = spec();
        let mut with_rewards = plain.clone();
        with_rewards["rewards"] = json!({"version": 1});
        let version = |value: &Value| Spec::from_json(value.to_string().as_bytes()).unwrap().version();
        assert_ne!(version(&plain), version(&with_rewards));
        assert_eq!(refusal(|v| v["rewards"] = json!(1)), "rewards == 1, must be an object");
    }

    #[test]
    fn each_fault_names_key_value_and_rule() {
        assert_eq!(
            refusal(|v| v["learner"]["noise_variance"] = json!(0)),
            "learner.noise_variance == 0, must be in (0, 1e6]"
        );
        assert_eq!(
            refusal(|v| v["encoder"]["hashed_dims"] = json!(2000)),
            "encoder.hashed_dims == 2000, must be a whole number in [0, 1024]"
        );
        assert_eq!(
            refusal(|v| (v["encoder"]["hashed_dims"], v["encoder"]["text_dims"]) = (json!(1000), json!(1000))),
            "encoder == 2002 slots, must be at most 1024 slots in all"
        );
        assert_eq!(
            refusal(|v| v["extra"] = json!(1)),
            "extra == 1, must be absent: the keys are encoder, learner, explorer, rewards"
        );
        assert_eq!(
            refusal(|v| {
                let twice = v["encoder"]["declared"][0].clone();
                v["encoder"]["declared"] = json!([twice.clone(), twice]);
            }),
            "encoder.declared[1].name == type, must be declared once"
        );
    }
}
