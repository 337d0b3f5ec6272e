//! A small model and random outcomes for it.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "clippy knows tests by #[test], not their support")]

use pilotfish_kernel::encoders::{Item, Module as Candidate, Task, Value};
use pilotfish_kernel::{Happened, History, Model, Residual, Result, Scratch};
use proptest::prelude::*;

pub const MODULES: [&str; 5] = ["ocr", "tables", "text", "vision", "a longer name / with signs"];

pub fn spec() -> String {
    r#"{
        "encoder": {"declared": [
            {"kind": "number", "name": "size", "center": 0.0, "scale": 1.0, "log": false,
                "indicator": true},
            {"kind": "category", "name": "type", "values": ["pdf", "txt"]}],
            "declared_scale": 1.0, "random_dims": 0, "random_length": 1.0, "random_scale": 1.0,
            "hashed_dims": 6, "text_dims": 4, "text_scale": 1.0, "shared_dims": 7, "shared_task": true},
        "learner": {"signals": ["completion", "quality"], "module_precision": 1.0, "shared_precision": 0.5,
            "noise_variance": 0.1, "noise_count": 10.0},
        "explorer": {"kind": "thompson", "scale": 0.5, "floor": 0.02}
    }"#
    .to_owned()
}

/// One outcome by features.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub size: Option<f64>,
    pub kind: &'static str,
    pub urgent: bool,
    pub module: usize,
    pub signal: usize,
    pub utility: f64,
    pub weight: f64,
}

impl Outcome {
    pub fn try_learn(&self, model: &Model) -> Result<Residual> {
        let happened = Happened { signal: self.signal, utility: self.utility, weight: self.weight };
        self.with_inputs(|task, module| model.learn(task, module, happened, &mut Scratch::default()))
    }

    pub fn append(&self, history: &mut History) {
        let values = [(self.signal, self.utility)];
        self.with_inputs(|task, module| history.push(task, module, &values, self.weight));
    }

    /// Calls `call` with the task and the module that ran.
    pub fn with_inputs<T>(&self, call: impl FnOnce(&Task<'_>, &Candidate<'_>) -> T) -> T {
        let mut items = vec![
            Item { name: "type", value: Value::Label(self.kind) },
            Item { name: "urgent", value: Value::Flag(self.urgent) },
        ];
        items.extend(self.size.map(|size| Item { name: "size", value: Value::Number(size) }));
        let task = Task { items: &items, text: "extract tables" };
        let name = MODULES[self.module];
        let cost = [Item { name: "cost", value: Value::Number(self.module as f64) }];
        let module = Candidate { name, items: &cost, capabilities: &["pdf"] };
        call(&task, &module)
    }

    pub fn learn(&self, model: &Model) {
        self.try_learn(model).unwrap();
    }
}

pub fn outcomes(at_most: usize) -> impl Strategy<Value = Vec<Outcome>> {
    let size = prop::option::of(-3.0..3.0_f64);
    let kind = prop_oneof![Just("pdf"), Just("txt"), Just("docx")];
    let weight = prop_oneof![2 => Just(1.0), 1 => 0.01..3.0];
    let one = (size, kind, any::<bool>(), 0..MODULES.len(), 0..2_usize, 0.0..=1.0, weight).prop_map(
        |(size, kind, urgent, module, signal, utility, weight)| Outcome {
            size,
            kind,
            urgent,
            module,
            signal,
            utility,
            weight,
        },
    );
    prop::collection::vec(one, 1..=at_most)
}

pub fn learn_all(seen: &[Outcome]) -> Model {
    let model = Model::new(spec().as_bytes()).unwrap();
    for outcome in seen {
        outcome.learn(&model);
    }
    model
}

/// Asserts that sums and derived quantities agree within `tolerance`, relative to the larger of 1 and the value.
pub fn close(left: &Model, right: &Model, tolerance: f64) {
    let (left, right) = (left.arrays(), right.arrays());
    let keys = |arrays: &[(String, Vec<f64>)]| arrays.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&left), keys(&right));
    for ((key, a), (_, b)) in left.iter().zip(&right) {
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{key}: {a} against {b}");
        }
    }
}
