//! Explorers: scores and uncertainties in, a probability for every action out.
//!
//! The probabilities come first and the action is sampled from them, so the propensity that is logged is the one with which
//! the action was chosen. To add an explorer: one file, one variant of [`Rule`], one line in [`DEFAULTS`].

mod calming;
mod ensemble;
mod epsilon_greedy;
mod greedy;
mod information_ratio;
mod inverse_gap;
mod normal;
mod soft_ucb;
mod softmax;
mod thompson;
mod uniform;
mod winner;

pub use calming::{Observed, Scale};
use calming::{annealed, read_anneal_count};
pub use ensemble::Ensemble;
pub use epsilon_greedy::EpsilonGreedy;
pub use greedy::Greedy;
pub use information_ratio::InformationRatio;
pub use inverse_gap::{Gamma, InverseGap};
pub use soft_ucb::SoftUcb;
pub use softmax::Softmax;
pub use thompson::Thompson;
pub use uniform::Uniform;

use serde::Serialize;

use crate::error::{KernelError, Result};
use crate::fields::Fields;
use crate::linalg::widest;
use crate::pmf::{apply_floor, share_among_best};

/// Every explorer with a usable setting.
pub const DEFAULTS: [(&str, &str); 9] = [
    ("uniform", r#"{"kind":"uniform","floor":0.0}"#),
    ("epsilon_greedy", r#"{"kind":"epsilon_greedy","epsilon":0.1,"floor":0.0}"#),
    ("greedy", r#"{"kind":"greedy"}"#),
    ("softmax", r#"{"kind":"softmax","temperature":0.1,"floor":0.02}"#),
    ("inverse_gap", r#"{"kind":"inverse_gap","adaptive_scale":2.8284271247461903,"floor":0.0}"#),
    ("soft_ucb", r#"{"kind":"soft_ucb","scale":1.0,"softness":0.1,"floor":0.02}"#),
    ("thompson", r#"{"kind":"thompson","scale":0.5,"floor":0.02}"#),
    ("information_ratio", r#"{"kind":"information_ratio","scale":0.5,"floor":0.02}"#),
    ("ensemble", r#"{"kind":"ensemble","scale":1.0,"floor":0.02}"#),
];

/// How probabilities follow from scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// All alike.
    Uniform(Uniform),
    /// The best, and now and then any.
    EpsilonGreedy(EpsilonGreedy),
    /// The best.
    Greedy(Greedy),
    /// Exponentially less the larger the gap to the best.
    Softmax(Softmax),
    /// Less the larger the gap to the best.
    InverseGap(InverseGap),
    /// Less the larger the gap to the largest upper confidence bound.
    SoftUcb(SoftUcb),
    /// As often as it is the best under the posterior.
    Thompson(Thompson),
    /// As it teaches for what it costs.
    InformationRatio(InformationRatio),
    /// As often as it is the best among a few heads of each.
    Ensemble(Ensemble),
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
            "greedy" => Rule::Greedy(Greedy),
            "softmax" => Rule::Softmax(Softmax::from_fields(&mut fields)?),
            "inverse_gap" => Rule::InverseGap(InverseGap::from_fields(&mut fields)?),
            "soft_ucb" => Rule::SoftUcb(SoftUcb::from_fields(&mut fields)?),
            "thompson" => Rule::Thompson(Thompson(Scale::from_fields(&mut fields)?)),
            "information_ratio" => Rule::InformationRatio(InformationRatio(Scale::from_fields(&mut fields)?)),
            "ensemble" => Rule::Ensemble(Ensemble(Scale::from_fields(&mut fields)?)),
            _ => {
                let names: Vec<&str> = DEFAULTS.iter().map(|(name, _)| *name).collect();
                return Err(KernelError::invalid(fields.name("kind"), kind, format!("one of {}", names.join(", "))));
            }
        };
        let floor = match rule {
            Rule::Greedy(_) => fields.optional_number("floor", 0.0, "in [0, 1]", |v| (0.0..=1.0).contains(&v))?,
            // Its heads are few, so that actions worth a try may have none that wins.
            Rule::Ensemble(_) => fields.number("floor", "in (0, 1]", |v| v > 0.0 && v <= 1.0)?,
            _ => fields.number("floor", "in [0, 1]", |v| (0.0..=1.0).contains(&v))?,
        };
        fields.finish()?;
        Ok(Self { floor, rule })
    }

    /// The rule's name, as in the spec.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.rule {
            Rule::Uniform(_) => "uniform",
            Rule::EpsilonGreedy(_) => "epsilon_greedy",
            Rule::Greedy(_) => "greedy",
            Rule::Softmax(_) => "softmax",
            Rule::InverseGap(_) => "inverse_gap",
            Rule::SoftUcb(_) => "soft_ucb",
            Rule::Thompson(_) => "thompson",
            Rule::InformationRatio(_) => "information_ratio",
            Rule::Ensemble(_) => "ensemble",
        }
    }

    /// Whether any action but those with the best score can ever have a probability.
    ///
    /// False for floor 0 with a rule that gives everything to the best whatever the scores and uncertainties are: greedy,
    /// ε-greedy with ε = 0, and Thompson, information ratio or soft UCB with scale 0. What such a policy logs says nothing about the actions that
    /// it did not choose. True is no promise of support: with floor 0, softmax, soft UCB, Thompson, information ratio and the adaptive inverse gap
    /// give 0 to an action that is far enough behind, and only a floor, ε > 0, uniform and a fixed γ never do.
    #[must_use]
    pub fn explores(&self) -> bool {
        let by_itself = match self.rule {
            Rule::Greedy(_) => false,
            Rule::EpsilonGreedy(rule) => rule.epsilon > 0.0,
            Rule::Thompson(Thompson(Scale { scale, .. }))
            | Rule::InformationRatio(InformationRatio(Scale { scale, .. }))
            | Rule::SoftUcb(SoftUcb { scale, .. }) => scale > 0.0,
            Rule::Uniform(_) | Rule::Softmax(_) | Rule::InverseGap(_) | Rule::Ensemble(_) => true,
        };
        by_itself || self.floor > 0.0
    }

    /// Whether the probabilities depend on the uncertainties. Where they do not, a decision need not compute them: it then
    /// costs K · d and not K · d².
    #[must_use]
    pub fn needs_uncertainties(&self) -> bool {
        match self.rule {
            Rule::Uniform(_) | Rule::EpsilonGreedy(_) | Rule::Greedy(_) | Rule::Softmax(_) => false,
            Rule::InverseGap(rule) => matches!(rule.gamma, Gamma::Adaptive(_)),
            Rule::SoftUcb(_) | Rule::Thompson(_) | Rule::InformationRatio(_) | Rule::Ensemble(_) => true,
        }
    }

    /// Fills `pmf` with one probability per action; each is at least floor / K and they sum to 1 within rounding.
    /// `observed` counts what the scores rest on. `uncertainties` may be empty where they are not needed.
    ///
    /// # Errors
    /// `InvalidInput` if there is no action, the lengths differ, a score is not finite, or an uncertainty is not finite
    /// or below 0.
    pub fn pmf(
        &self,
        scores: &[f64],
        uncertainties: &[f64],
        observed: Observed<'_>,
        scratch: &mut ExplorerScratch,
        pmf: &mut Vec<f64>,
    ) -> Result<()> {
        if scores.is_empty() {
            return Err(KernelError::invalid("len(scores)", 0, ">= 1"));
        }
        let may_lack = uncertainties.is_empty() && !self.needs_uncertainties();
        if uncertainties.len() != scores.len() && !may_lack {
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
        let n_observed = observed.total;
        match self.rule {
            Rule::Uniform(_) => Uniform::fill(pmf),
            Rule::EpsilonGreedy(rule) => rule.fill(scores, pmf),
            Rule::Greedy(_) => Greedy::fill(scores, pmf),
            Rule::Softmax(rule) => rule.fill(scores, n_observed, pmf),
            Rule::InverseGap(rule) => rule.fill(scores, uncertainties, n_observed, pmf),
            Rule::SoftUcb(rule) => rule.fill(scores, uncertainties, n_observed, pmf),
            Rule::Ensemble(rule) => rule.fill(scores, uncertainties, n_observed, &mut scratch.ensemble, pmf),
            Rule::Thompson(rule) => widest(
                #[inline(always)]
                || rule.fill(scores, uncertainties, observed, &mut scratch.winner, pmf),
            ),
            Rule::InformationRatio(rule) => widest(
                #[inline(always)]
                || rule.fill(scores, uncertainties, observed, &mut scratch.winner, pmf),
            ),
        }
        apply_floor(self.floor, pmf);
        Ok(())
    }
}

/// Space that is kept from one decision to the next.
#[derive(Clone, Debug, Default)]
pub struct ExplorerScratch {
    winner: winner::Winner,
    ensemble: ensemble::EnsembleScratch,
}

/// Divides by the sum, which is positive and finite.
fn normalise(weights: &mut [f64]) {
    let total: f64 = weights.iter().sum();
    for weight in weights {
        *weight /= total;
    }
}

/// The same, and where the sum is not positive and finite, as with no width at all or none that the scores' precision can
/// resolve, the best scores share everything.
fn normalise_or_give_to_best(scores: &[f64], weights: &mut [f64]) {
    let total: f64 = weights.iter().sum();
    if total > 0.0 && total.is_finite() {
        normalise(weights);
    } else {
        weights.fill(0.0);
        share_among_best(scores, 1.0, weights);
    }
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
        let rule = Thompson(Scale { scale: 0.5, anneal_count: 0.0 });
        let explorer = Explorer { floor: 0.0, rule: Rule::Thompson(rule) };
        explorer
            .pmf(&scores, &uncertainties, Observed::alike(0.0), &mut ExplorerScratch::default(), &mut wide)
            .unwrap();
        rule.fill(&scores, &uncertainties, Observed::alike(0.0), &mut winner::Winner::default(), &mut plain);
        assert_eq!(wide, plain);
    }

    #[test]
    fn annealed_explorers_go_for_the_best_in_the_end() {
        for json in [
            r#"{"kind":"thompson","scale":1,"anneal_count":100,"floor":0}"#,
            r#"{"kind":"information_ratio","scale":1,"anneal_count":100,"floor":0}"#,
            r#"{"kind":"inverse_gap","gamma":5,"anneal_count":100,"floor":0}"#,
            r#"{"kind":"inverse_gap","adaptive_scale":1,"anneal_count":100,"floor":0}"#,
            r#"{"kind":"softmax","temperature":0.5,"anneal_count":100,"floor":0}"#,
            r#"{"kind":"soft_ucb","scale":1,"softness":1,"anneal_count":100,"floor":0}"#,
            r#"{"kind":"ensemble","scale":1,"anneal_count":100,"floor":0.01}"#,
        ] {
            let explorer = read(json).unwrap();
            let best = |n_observed| {
                let mut pmf = Vec::new();
                let mut scratch = ExplorerScratch::default();
                explorer.pmf(&[0.5, 0.4], &[0.2, 0.2], Observed::alike(n_observed), &mut scratch, &mut pmf).unwrap();
                pmf[0]
            };
            assert!(best(0.0) < best(1e3) && best(1e3) < best(1e5) && best(1e5) > 0.9, "{json}");
        }
    }

    #[test]
    fn an_action_that_is_little_known_is_explored_as_at_the_beginning() {
        let explorer = read(r#"{"kind":"thompson","scale":1,"anneal_count":100,"floor":0}"#).unwrap();
        let newcomer = |each: &[f64]| {
            let (mut scratch, mut pmf) = (ExplorerScratch::default(), Vec::new());
            explorer.pmf(&[0.6, 0.4], &[0.2, 0.2], Observed { total: 1e6, each }, &mut scratch, &mut pmf).unwrap();
            pmf[1]
        };
        assert!(newcomer(&[]) < 1e-6);
        assert!(newcomer(&[1e6, 10.0]) > 0.1);
        assert_eq!(newcomer(&[1e6, 1e6]), newcomer(&[]));
    }

    #[test]
    fn an_unknown_kind_is_refused_with_the_known_ones() {
        let error = read(r#"{"kind": "magic", "floor": 0}"#).unwrap_err();
        let known =
            "uniform, epsilon_greedy, greedy, softmax, inverse_gap, soft_ucb, thompson, information_ratio, ensemble";
        assert_eq!(error.to_string(), format!("kind == magic, must be one of {known}"));
    }

    #[test]
    fn only_what_always_takes_the_best_does_not_explore() {
        for (json, explores) in [
            (r#"{"kind":"greedy"}"#, false),
            (r#"{"kind":"greedy","floor":0.01}"#, true),
            (r#"{"kind":"epsilon_greedy","epsilon":0,"floor":0}"#, false),
            (r#"{"kind":"epsilon_greedy","epsilon":0,"floor":0.01}"#, true),
            (r#"{"kind":"epsilon_greedy","epsilon":0.01,"floor":0}"#, true),
            (r#"{"kind":"thompson","scale":0,"floor":0}"#, false),
            (r#"{"kind":"thompson","scale":0.1,"floor":0}"#, true),
            (r#"{"kind":"information_ratio","scale":0,"floor":0}"#, false),
            (r#"{"kind":"soft_ucb","scale":0,"softness":1,"floor":0}"#, false),
            (r#"{"kind":"soft_ucb","scale":1,"softness":0,"floor":0}"#, true),
            (r#"{"kind":"softmax","temperature":1,"floor":0}"#, true),
            (r#"{"kind":"inverse_gap","gamma":1e9,"floor":0}"#, true),
            (r#"{"kind":"uniform","floor":0}"#, true),
        ] {
            assert_eq!(read(json).unwrap().explores(), explores, "{json}");
        }
    }

    #[test]
    fn settings_that_break_a_rule_are_refused() {
        for (json, message) in [
            (r#"{"kind":"softmax","temperature":0,"floor":0}"#, "temperature == 0, must be > 0"),
            (r#"{"kind":"soft_ucb","scale":1,"floor":0}"#, "softness == absent, must be >= 0"),
            (r#"{"kind":"ensemble","scale":1,"floor":0}"#, "floor == 0, must be in (0, 1]"),
            (r#"{"kind":"inverse_gap","floor":0}"#, "gamma == absent, must be >= 0"),
            (r#"{"kind":"inverse_gap","adaptive_scale":0,"floor":0}"#, "adaptive_scale == 0, must be > 0"),
            (
                r#"{"kind":"inverse_gap","adaptive_scale":1,"gamma":2,"floor":0}"#,
                "gamma == 2, must be absent: the keys are kind, adaptive_scale, floor",
            ),
        ] {
            assert_eq!(read(json).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn inputs_that_are_no_scores_are_refused() {
        let explorer = read(DEFAULTS[0].1).unwrap();
        let message = |scores: &[f64], uncertainties: &[f64]| {
            let outcome = explorer.pmf(
                scores,
                uncertainties,
                Observed::alike(0.0),
                &mut ExplorerScratch::default(),
                &mut Vec::new(),
            );
            outcome.unwrap_err().to_string()
        };
        assert_eq!(message(&[], &[]), "len(scores) == 0, must be >= 1");
        assert_eq!(message(&[1.0], &[0.1, 0.2]), "len(uncertainties) == 2, must be 1, one per score");
        assert_eq!(message(&[f64::NAN], &[1.0]), "scores == NaN, must be finite");
        assert_eq!(message(&[1.0], &[-1.0]), "uncertainties == -1, must be finite and >= 0");
    }
}
