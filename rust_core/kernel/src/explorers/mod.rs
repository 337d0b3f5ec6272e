//! Explorers: scores and uncertainties in, a probability for every action out.
//!
//! The probabilities come first and the action is sampled from them, so the propensity that is logged is the one with which
//! the action was chosen. To add an explorer: one file, one variant of [`Rule`], one line in [`DEFAULTS`].

mod epsilon_greedy;
mod inverse_gap;
mod normal;
mod thompson;
mod uniform;

pub use epsilon_greedy::EpsilonGreedy;
pub use inverse_gap::InverseGap;
pub use thompson::{Thompson, ThompsonScratch};
pub use uniform::Uniform;

use serde::Serialize;

use crate::error::{KernelError, Result};
use crate::fields::Fields;
use crate::linalg::widest;
use crate::pmf::apply_floor;

/// Every explorer with a usable setting.
pub const DEFAULTS: [(&str, &str); 4] = [
    ("uniform", r#"{"kind":"uniform","floor":0.0}"#),
    ("epsilon_greedy", r#"{"kind":"epsilon_greedy","epsilon":0.1,"floor":0.0}"#),
    ("inverse_gap", r#"{"kind":"inverse_gap","gamma":10.0,"floor":0.0}"#),
    ("thompson", r#"{"kind":"thompson","scale":0.5,"floor":0.02}"#),
];

/// How probabilities follow from scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// All alike.
    Uniform(Uniform),
    /// The best, and now and then any.
    EpsilonGreedy(EpsilonGreedy),
    /// Less the larger the gap to the best.
    InverseGap(InverseGap),
    /// As often as it is the best under the posterior.
    Thompson(Thompson),
}

/// A rule and the floor under its probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Explorer {
    /// Share of probability that is spread evenly over all actions, in [0, 1].
    pub floor: f64,
    /// The rule for the rest.
    #[serde(flatten)]
    pub rule: Rule,
}

impl Explorer {
    /// Reads `{"kind": …, "floor": …, settings of the kind}`.
    ///
    /// # Errors
    /// `InvalidInput` naming key, value and rule.
    pub fn from_fields(mut fields: Fields) -> Result<Self> {
        let kind = fields.text("kind")?;
        let rule = match kind.as_str() {
            "uniform" => Rule::Uniform(Uniform),
            "epsilon_greedy" => Rule::EpsilonGreedy(EpsilonGreedy::from_fields(&mut fields)?),
            "inverse_gap" => Rule::InverseGap(InverseGap::from_fields(&mut fields)?),
            "thompson" => Rule::Thompson(Thompson::from_fields(&mut fields)?),
            _ => {
                let names: Vec<&str> = DEFAULTS.iter().map(|(name, _)| *name).collect();
                return Err(KernelError::invalid(fields.name("kind"), kind, format!("one of {}", names.join(", "))));
            }
        };
        let floor = fields.number("floor", "in [0, 1]", |v| (0.0..=1.0).contains(&v))?;
        fields.finish()?;
        Ok(Self { floor, rule })
    }

    /// The rule's name, as in the spec.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.rule {
            Rule::Uniform(_) => "uniform",
            Rule::EpsilonGreedy(_) => "epsilon_greedy",
            Rule::InverseGap(_) => "inverse_gap",
            Rule::Thompson(_) => "thompson",
        }
    }

    /// Fills `pmf` with one probability per action; each is at least floor / K and they sum to 1 within rounding.
    /// `n_observed` counts what the scores rest on.
    ///
    /// # Errors
    /// `InvalidInput` if there is no action, the lengths differ, a score is not finite, or an uncertainty is not finite
    /// or below 0.
    pub fn pmf(
        &self,
        scores: &[f64],
        uncertainties: &[f64],
        n_observed: f64,
        scratch: &mut ThompsonScratch,
        pmf: &mut Vec<f64>,
    ) -> Result<()> {
        if scores.is_empty() {
            return Err(KernelError::invalid("len(scores)", 0, ">= 1"));
        }
        if uncertainties.len() != scores.len() {
            let rule = format!("{}, one per score", scores.len());
            return Err(KernelError::invalid("len(uncertainties)", uncertainties.len(), rule));
        }
        if let Some(score) = scores.iter().find(|score| !score.is_finite()) {
            return Err(KernelError::invalid("scores", score, "finite"));
        }
        if let Some(value) = uncertainties.iter().find(|value| !(value.is_finite() && **value >= 0.0)) {
            return Err(KernelError::invalid("uncertainties", value, "finite and >= 0"));
        }
        pmf.clear();
        pmf.resize(scores.len(), 0.0);
        if let [only] = pmf.as_mut_slice() {
            *only = 1.0;
            return Ok(());
        }
        match self.rule {
            Rule::Uniform(_) => Uniform::fill(pmf),
            Rule::EpsilonGreedy(rule) => rule.fill(scores, pmf),
            Rule::InverseGap(rule) => rule.fill(scores, n_observed, pmf),
            Rule::Thompson(rule) => widest(
                #[inline(always)]
                || rule.fill(scores, uncertainties, n_observed, scratch, pmf),
            ),
        }
        apply_floor(self.floor, pmf);
        Ok(())
    }
}

/// √(c / (c + n)): how much of its first exploration an explorer keeps after n observations; 1 for c = 0.
///
/// A posterior shrinks with √n by itself, yet what remains of exploration then costs as much per decision as it ever teaches.
/// The rate is that of SquareCB's schedule γ ∝ √n (Foster and Rakhlin 2020, theorem 1), shifted so that it starts at 1.
fn annealed(anneal_count: f64, n_observed: f64) -> f64 {
    if anneal_count > 0.0 { (anneal_count / (anneal_count + n_observed)).sqrt() } else { 1.0 }
}

fn read_anneal_count(fields: &mut Fields) -> Result<f64> {
    fields.optional_number("anneal_count", 0.0, ">= 0", |v| v >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Explorer> {
        Explorer::from_fields(Fields::parse("explorer", json.as_bytes())?)
    }

    #[test]
    fn every_default_is_its_own_name_and_survives_json() {
        for (name, json) in DEFAULTS {
            let explorer = read(json).unwrap();
            assert_eq!(explorer.name(), name);
            assert_eq!(read(&serde_json::to_string(&explorer).unwrap()), Ok(explorer));
        }
    }

    #[test]
    fn wide_registers_give_thompson_the_same_bits() {
        let scores: Vec<f64> = (0..30).map(|i| libm::sin(f64::from(i))).collect();
        let uncertainties: Vec<f64> = (0..30).map(|i| 0.01 + libm::sin(f64::from(i) * 0.7).abs()).collect();
        let (mut wide, mut plain) = (Vec::new(), vec![0.0; 30]);
        let rule = Thompson { scale: 0.5, anneal_count: 0.0 };
        let explorer = Explorer { floor: 0.0, rule: Rule::Thompson(rule) };
        explorer.pmf(&scores, &uncertainties, 0.0, &mut ThompsonScratch::default(), &mut wide).unwrap();
        rule.fill(&scores, &uncertainties, 0.0, &mut ThompsonScratch::default(), &mut plain);
        assert_eq!(wide, plain);
    }

    #[test]
    fn exploration_halves_when_observations_are_three_times_the_count() {
        assert!((annealed(100.0, 300.0) - 0.5).abs() < 1e-15);
        assert_eq!([annealed(100.0, 0.0), annealed(0.0, 1e9)], [1.0, 1.0]);
    }

    #[test]
    fn annealed_explorers_go_for_the_best_in_the_end() {
        for json in [
            r#"{"kind":"thompson","scale":1,"anneal_count":100,"floor":0}"#,
            r#"{"kind":"inverse_gap","gamma":5,"anneal_count":100,"floor":0}"#,
        ] {
            let explorer = read(json).unwrap();
            let best = |n_observed| {
                let mut pmf = Vec::new();
                let mut scratch = ThompsonScratch::default();
                explorer.pmf(&[0.5, 0.4], &[0.2, 0.2], n_observed, &mut scratch, &mut pmf).unwrap();
                pmf[0]
            };
            assert!(best(0.0) < best(1e3) && best(1e3) < best(1e5) && best(1e5) > 0.9, "{json}");
        }
    }

    #[test]
    fn an_unknown_kind_is_refused_with_the_known_ones() {
        let error = read(r#"{"kind": "magic", "floor": 0}"#).unwrap_err();
        assert_eq!(error.to_string(), "kind == magic, must be one of uniform, epsilon_greedy, inverse_gap, thompson");
    }

    #[test]
    fn inputs_that_are_no_scores_are_refused() {
        let explorer = read(DEFAULTS[0].1).unwrap();
        let message = |scores: &[f64], uncertainties: &[f64]| {
            let outcome = explorer.pmf(scores, uncertainties, 0.0, &mut ThompsonScratch::default(), &mut Vec::new());
            outcome.unwrap_err().to_string()
        };
        assert_eq!(message(&[], &[]), "len(scores) == 0, must be >= 1");
        assert_eq!(message(&[1.0], &[]), "len(uncertainties) == 0, must be 1, one per score");
        assert_eq!(message(&[f64::NAN], &[1.0]), "scores == NaN, must be finite");
        assert_eq!(message(&[1.0], &[-1.0]), "uncertainties == -1, must be finite and >= 0");
    }
}
