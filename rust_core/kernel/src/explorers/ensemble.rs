//! Ensemble sampling with a floor: a few heads per action, and how often each action has the best.

use super::Scale;

/// Number of heads of every action.
const HEADS: usize = 16;

/// What the heads think, in standard deviations from the score: the normal's quantiles at (b − ½)/16, stretched so that their
/// variance is 1. The other eight are their negatives.
const OPTIMISTS: [f64; HEADS / 2] = [
    0.081_587_545_207_905_04,
    0.246_807_069_744_718_8,
    0.418_538_267_672_259_8,
    0.602_582_803_187_028_2,
    0.807_861_196_079_581_2,
    1.050_887_426_122_940_2,
    1.371_380_753_634_869,
    1.938_158_961_652_415_3,
];

/// p_a = share of the ensemble's members in which action a is best.
///
/// Source: Lu and Van Roy, "Ensemble Sampling", 2017, and Osband, Blundell, Pritzel and Van Roy, "Deep Exploration via
/// Bootstrapped DQN", 2016: keep a few models as plausible as the posterior, draw one per decision, act greedily on it.
///
/// What it is. The model has a normal posterior for each score, so its heads need not be trained apart: action a's sixteen
/// heads are score_a + scale · u_a · ε_b, with one fixed table of ε that has the normal's mean 0, variance 1 and quantiles. A
/// member is one head of each action, every combination is a member, and all are equally likely, so p is exact: no draws
/// are made, and it changes with learning alone.
///
/// What it is not. Nothing is resampled: it is no bootstrap of the log, and a wrong posterior makes wrong heads. Heads of
/// different actions are crossed and not paired, because a pairing (by a seed, a place or a name) would favour some actions
/// for ever, and relabelling them would change p. So it is Thompson sampling from a posterior with sixteen values and thin
/// tails: an action whose best head is below another's worst has probability 0, which is why the floor must be above 0.
///
/// Computed from the largest head down. With F_c(x) the share of c's heads that are at most x, the largest is x with
/// probability ΔΠF(x); where several actions have a head at x they share it in proportion to their odds f_c(x) / F_c(x).
/// The sum over x telescopes to 1. Cost: K log K for the sort.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Ensemble(
    /// By the count of all actions.
    pub Scale,
);

/// One head that may be the largest of its member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    value: f64,
    action: usize,
}

/// Space that is kept from one decision to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct EnsembleScratch {
    heads: Vec<Head>,
    /// How many heads of each action are at or below the value that the sweep has reached.
    remaining: Vec<f64>,
}

impl Ensemble {
    pub(super) fn fill(
        self,
        scores: &[f64],
        uncertainties: &[f64],
        n_observed: f64,
        scratch: &mut EnsembleScratch,
        pmf: &mut [f64],
    ) {
        let scale = self.0.after(n_observed);
        let EnsembleScratch { heads, remaining } = scratch;
        gather(scale, scores, uncertainties, heads);
        remaining.clear();
        remaining.resize(scores.len(), HEADS as f64);
        // ΠF at the present value. Heads that were not gathered are below every action's last, and the sweep ends there.
        let mut product = 1.0;
        for group in heads.chunk_by(|a, b| a.value <= b.value) {
            let (mut below, mut odds) = (product, 0.0);
            for run in group.chunk_by(|a, b| a.action == b.action) {
                let (action, n_here) = (run[0].action, run.len() as f64);
                below *= (remaining[action] - n_here) / remaining[action];
                odds += n_here / remaining[action];
            }
            let mass = (product - below) / odds;
            for run in group.chunk_by(|a, b| a.action == b.action) {
                let (action, n_here) = (run[0].action, run.len() as f64);
                pmf[action] += mass * (n_here / remaining[action]);
                remaining[action] -= n_here;
            }
            product = below;
            if product <= 0.0 {
                break;
            }
        }
    }
}

/// The heads that can be the largest, from the largest down; those of one action together where values are equal.
fn gather(scale: f64, scores: &[f64], uncertainties: &[f64], heads: &mut Vec<Head>) {
    // Clamped: heads beyond all numbers would have no order. + 0: and −0 is 0.
    let head = |score: &f64, width: f64, quantile: f64| (score + width * quantile).clamp(-f64::MAX, f64::MAX) + 0.0;
    let width = |uncertainty: &f64| (scale * uncertainty).min(f64::MAX);
    let worst = |(score, uncertainty): (&f64, &f64)| head(score, width(uncertainty), -OPTIMISTS[HEADS / 2 - 1]);
    let lowest = scores.iter().zip(uncertainties).map(worst).fold(f64::NEG_INFINITY, f64::max);
    heads.clear();
    for (action, (score, uncertainty)) in scores.iter().zip(uncertainties).enumerate() {
        let width = width(uncertainty);
        for quantile in OPTIMISTS.iter().rev().copied().chain(OPTIMISTS.iter().map(|quantile| -quantile)) {
            let value = head(score, width, quantile);
            if value < lowest {
                break;
            }
            heads.push(Head { value, action });
        }
    }
    // Places break ties only among equal heads, which are taken together.
    heads.sort_unstable_by(|a, b| b.value.total_cmp(&a.value).then(a.action.cmp(&b.action)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pmf(scale: f64, scores: &[f64], uncertainties: &[f64]) -> Vec<f64> {
        let mut pmf = vec![0.0; scores.len()];
        let rule = Ensemble(Scale { scale, anneal_count: 0.0 });
        rule.fill(scores, uncertainties, 0.0, &mut EnsembleScratch::default(), &mut pmf);
        pmf
    }

    /// All 16^K members one after the other; the best of a member share it.
    fn by_counting(scale: f64, scores: &[f64], uncertainties: &[f64]) -> Vec<f64> {
        let heads: Vec<f64> = OPTIMISTS.iter().flat_map(|quantile| [-quantile, *quantile]).collect();
        let n_members = HEADS.pow(u32::try_from(scores.len()).unwrap());
        let mut pmf = vec![0.0; scores.len()];
        for member in 0..n_members {
            let mut digits = member;
            let values = scores.iter().zip(uncertainties).map(|(score, uncertainty)| {
                let head = heads[digits % HEADS];
                digits /= HEADS;
                score + scale * uncertainty * head
            });
            crate::pmf::share_among_best(&values.collect::<Vec<f64>>(), 1.0 / n_members as f64, &mut pmf);
        }
        pmf
    }

    #[test]
    fn the_heads_are_the_quantiles_of_the_normal_with_variance_one() {
        let probability = |z: f64| 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2);
        let variance: f64 = OPTIMISTS.iter().map(|quantile| quantile * quantile / 8.0).sum();
        assert!((variance - 1.0).abs() < 1e-15);
        // One stretch for all: bisected from the first, it fits the others.
        let stretch = OPTIMISTS[0] / 0.078_412_412_733_112_15;
        for (b, quantile) in OPTIMISTS.iter().enumerate() {
            assert!((probability(quantile / stretch) - (b as f64 + 8.5) / 16.0).abs() < 1e-12, "{b}");
        }
    }

    #[test]
    fn shares_are_those_of_all_members() {
        for (scores, uncertainties) in [
            ([0.5, 0.4, 0.1, 0.45], [0.1, 0.2, 0.3, 0.0]),
            ([0.5, 0.5, 0.1, 0.1], [0.1, 0.1, 0.3, 0.3]),
            ([0.0; 4], [0.2; 4]),
            ([0.3, 0.1, -0.2, 0.9], [0.4, 0.01, 1.0, 0.3]),
        ] {
            for (got, want) in pmf(1.5, &scores, &uncertainties).iter().zip(by_counting(1.5, &scores, &uncertainties)) {
                assert!((got - want).abs() < 1e-12, "{scores:?}: {got} against {want}");
            }
        }
    }

    #[test]
    fn it_is_close_to_thompson() {
        let exact = 0.5 * libm::erfc(-0.1 / (0.2 * std::f64::consts::SQRT_2 * std::f64::consts::SQRT_2));
        let p = pmf(1.0, &[0.5, 0.4], &[0.2, 0.2]);
        assert!((p[0] - exact).abs() < 0.02, "{} against {exact}", p[0]);
    }

    #[test]
    fn a_best_head_below_anothers_worst_never_wins() {
        assert_eq!(pmf(1.0, &[1.0, 0.0], &[0.2, 0.2]), [1.0, 0.0]);
    }

    #[test]
    fn without_scale_or_uncertainty_the_best_is_certain_and_ties_share() {
        assert_eq!(pmf(0.0, &[0.1, 0.6, 0.6], &[1.0; 3]), [0.0, 0.5, 0.5]);
        assert_eq!(pmf(1.0, &[-0.0, 0.0, -1.0], &[0.0; 3]), [0.5, 0.5, 0.0]);
    }

    #[test]
    fn many_actions_that_are_alike_and_an_outsider_keep_their_shares() {
        // A thousand certain actions at 0, and one at −1 that exceeds them with four of its sixteen heads.
        let (mut scores, mut uncertainties) = (vec![0.0; 1001], vec![0.0; 1001]);
        (scores[7], uncertainties[7]) = (-1.0, 1.3);
        let p = pmf(1.0, &scores, &uncertainties);
        assert!((p[7] - 4.0 / 16.0).abs() < 1e-12 && (p[0] - 0.75 / 1000.0).abs() < 1e-12, "{} {}", p[7], p[0]);
    }

    #[test]
    fn what_overflows_is_still_a_pmf() {
        for p in [pmf(f64::MAX, &[1.0, 2.0], &[2.0, 1e300]), pmf(1e300, &[f64::MAX, -f64::MAX], &[1e300, 0.0])] {
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{p:?}");
        }
    }
}
