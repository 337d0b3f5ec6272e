//! Which observations calm which module: decisions against an explorer that is told counts taken by hand.

#![allow(clippy::unwrap_used, reason = "clippy knows tests by #[test], not their support")]

mod support;

use pilotfish_kernel::encoders::{Module, Task};
use pilotfish_kernel::explorers::{ExplorerScratch, Observed};
use pilotfish_kernel::{Happened, Model, Scratch};
use support::spec;

const TASK: Task<'_> = Task { items: &[], text: "extract tables" };

fn offered(name: &str) -> Module<'_> {
    Module { name, items: &[], capabilities: &[] }
}

/// A model whose modules have each been seen as often as it says, under either signal.
fn seen(counts: &[(&str, [u32; 2])]) -> Model {
    let spec = spec().replace("\"scale\": 0.5, ", "\"scale\": 0.5, \"anneal_count\": 20, ");
    let model = Model::new(spec.as_bytes()).unwrap();
    for (name, by_signal) in counts {
        for (signal, count) in by_signal.iter().enumerate() {
            for i in 0..*count {
                let happened = Happened::now(signal, f64::from(i % 3) / 2.0);
                model.learn(&TASK, &offered(name), happened, &mut Scratch::default()).unwrap();
            }
        }
    }
    model
}

/// Asserts that among `names` each counts as `each` says.
fn counts_as(model: &Model, names: &[&str], weights: [f64; 2], each: &[f64]) {
    let mut scratch = Scratch::default();
    let modules: Vec<Module<'_>> = names.iter().map(|name| offered(name)).collect();
    model.decide(&[7; 16], &TASK, &modules, &weights, &mut scratch).unwrap();
    let expected = |each: &[f64]| {
        let (mut pmf, mut space) = (Vec::new(), ExplorerScratch::default());
        let observed = Observed { total: 0.0, each };
        model.spec().explorer.pmf(scratch.scores(), scratch.uncertainties(), observed, &mut space, &mut pmf).unwrap();
        pmf
    };
    let largest = |other: &[f64]| other.iter().zip(scratch.pmf()).fold(0.0, |sum: f64, (a, b)| sum.max((a - b).abs()));
    assert!(largest(&expected(each)) < 1e-12, "{:?} against {:?}", scratch.pmf(), expected(each));
    // The counts are seen at all.
    assert!(largest(&expected(&vec![0.0; each.len()])) > 1e-6);
}

#[test]
fn each_module_counts_as_its_own_times_the_number_on_offer() {
    let model = seen(&[("much", [40, 0]), ("some", [30, 0]), ("little", [5, 0])]);
    counts_as(&model, &["much", "some", "little"], [1.0, 0.0], &[120.0, 90.0, 15.0]);
    counts_as(&model, &["much", "some", "little", "new"], [1.0, 0.0], &[160.0, 120.0, 20.0, 0.0]);
}

#[test]
fn modules_that_are_not_on_offer_calm_nobody() {
    let model = seen(&[("elsewhere", [90, 0]), ("much", [20, 0]), ("little", [6, 0])]);
    counts_as(&model, &["much", "little"], [1.0, 0.0], &[40.0, 12.0]);
    counts_as(&model, &["new", "much"], [1.0, 0.0], &[0.0, 40.0]);
}

#[test]
fn signals_count_by_their_weights() {
    let model = seen(&[("much", [40, 10]), ("some", [12, 30])]);
    // A quarter and three quarters: 17.5 and 25.5.
    counts_as(&model, &["much", "some"], [1.0, 3.0], &[35.0, 51.0]);
}
