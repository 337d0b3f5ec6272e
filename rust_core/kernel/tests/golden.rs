//! The golden vectors through Rust; `tests/unit/core/test_golden.py` reads the same files.
#![allow(clippy::unwrap_used, reason = "clippy knows tests by #[test], not their support")]
#![allow(clippy::float_cmp, reason = "frozen vectors are frozen to the bit")]

use pilotfish_kernel::encoders::{Item, Module, Task, Value};
use pilotfish_kernel::explorers::{Explorer, ExplorerScratch, Observed};
use pilotfish_kernel::{Fields, Happened, Model, Scratch, pmf};
use serde_json::Value as Json;

fn read(name: &str) -> Json {
    let path = format!("{}/../../tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list(value: &Json) -> &Vec<Json> {
    value.as_array().unwrap()
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap()
}

fn numbers(value: &Json) -> Vec<f64> {
    list(value).iter().map(|number| number.as_f64().unwrap()).collect()
}

fn bytes(value: &Json) -> Vec<u8> {
    let digits = text(value).as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn doubles(value: &Json) -> Vec<f64> {
    bytes(value).chunks(8).map(|eight| f64::from_le_bytes(eight.try_into().unwrap())).collect()
}

fn close(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (a, b) in got.iter().zip(expected) {
        assert!((a - b).abs() <= tolerance, "{a} against {b}");
    }
}

/// Vectors of one feature map: they must outlive the items that borrow them.
fn vectors(features: &Json) -> Vec<Vec<f64>> {
    features.as_object().unwrap().values().map(|v| if v.is_array() { numbers(v) } else { Vec::new() }).collect()
}

fn items<'a>(features: &'a Json, vectors: &'a [Vec<f64>]) -> Vec<Item<'a>> {
    let value = |value: &'a Json, vector: &'a [f64]| match value {
        Json::Bool(flag) => Value::Flag(*flag),
        Json::String(label) => Value::Label(label),
        Json::Array(_) => Value::Vector(vector),
        other => Value::Number(other.as_f64().unwrap()),
    };
    let entries = features.as_object().unwrap().iter().zip(vectors);
    entries.map(|((name, given), vector)| Item { name, value: value(given, vector) }).collect()
}

/// Calls `call` with the task and the modules of the frozen vectors.
fn with_inputs<T>(frozen: &Json, task: usize, call: impl FnOnce(&Task<'_>, &[Module<'_>]) -> T) -> T {
    let task = &frozen["tasks"][task];
    let task_vectors = vectors(&task["features"]);
    let task_items = items(&task["features"], &task_vectors);
    let entries = list(&frozen["modules"]);
    let module_vectors: Vec<_> = entries.iter().map(|entry| vectors(&entry["features"])).collect();
    let module_items: Vec<_> = entries.iter().zip(&module_vectors).map(|(e, v)| items(&e["features"], v)).collect();
    let tags: Vec<Vec<&str>> = entries.iter().map(|e| list(&e["capabilities"]).iter().map(text).collect()).collect();
    let modules: Vec<Module> = entries
        .iter()
        .zip(module_items.iter().zip(&tags))
        .map(|(entry, (items, tags))| Module { name: text(&entry["name"]), items, capabilities: tags })
        .collect();
    call(&Task { items: &task_items, text: text(&task["text"]) }, &modules)
}

#[test]
fn explorers_agree_with_their_oracle() {
    for case in list(&read("oracles")["explorers"]) {
        let fields = Fields::parse("explorer", case["explorer"].to_string().as_bytes()).unwrap();
        let explorer = Explorer::from_fields(fields).unwrap();
        let (scores, uncertainties) = (numbers(&case["scores"]), numbers(&case["uncertainties"]));
        let mut pmf = Vec::new();
        explorer.pmf(&scores, &uncertainties, Observed::alike(0.0), &mut ExplorerScratch::default(), &mut pmf).unwrap();
        close(&pmf, &numbers(&case["pmf"]), case["tolerance"].as_f64().unwrap());
    }
}

#[test]
fn the_posterior_agrees_with_its_oracle() {
    let golden = &read("oracles")["posterior"];
    let model = Model::new(golden["spec"].to_string().as_bytes()).unwrap();
    let mut scratch = Scratch::default();
    for seen in list(&golden["stream"]) {
        let (x, z, utility) = (numbers(&seen["x"]), numbers(&seen["z"]), seen["utility"].as_f64().unwrap());
        model.learn_encoded(&x, Some(&z), text(&seen["module"]), Happened::now(0, utility), &mut scratch).unwrap();
    }
    let modules: Vec<&str> = list(&golden["modules"]).iter().map(text).collect();
    let tolerance = golden["tolerance"].as_f64().unwrap();
    for query in list(&golden["queries"]) {
        let (x, shared) = (numbers(&query["x"]), numbers(&query["shared"]));
        model.decide_encoded(&[0; 16], &x, Some(&shared), &modules, &[1.0, 0.0], &mut scratch).unwrap();
        close(scratch.scores(), &numbers(&query["scores"]), tolerance);
        close(scratch.uncertainties(), &numbers(&query["uncertainties"]), tolerance);
    }
}

#[test]
fn encodings_have_the_frozen_bits() {
    let frozen = read("frozen");
    let model = Model::new(frozen["spec"].to_string().as_bytes()).unwrap();
    let mut scratch = Scratch::default();
    for (i, expected) in list(&frozen["encodings"]).iter().enumerate() {
        with_inputs(&frozen, i, |task, modules| {
            assert_eq!(model.encode_task(task, &mut scratch).unwrap(), numbers(&expected["x"]));
            for (module, z) in modules.iter().zip(list(&expected["z"])) {
                assert_eq!(model.encode_module(task, module, &mut scratch).unwrap(), numbers(z));
            }
        });
    }
}

#[test]
fn samples_are_the_frozen_ones() {
    let frozen = &read("frozen")["sampling"];
    let pmf = numbers(&frozen["pmf"]);
    for (seed, action) in list(&frozen["seeds"]).iter().zip(list(&frozen["actions"])) {
        assert_eq!(pmf::sample(&pmf, &bytes(seed)).unwrap() as u64, action.as_u64().unwrap());
    }
}

#[test]
fn the_frozen_fold_gives_the_frozen_state_and_version() {
    let frozen = read("frozen");
    let model = Model::new(frozen["spec"].to_string().as_bytes()).unwrap();
    let mut scratch = Scratch::default();
    for step in 0..120_usize {
        with_inputs(&frozen, step % list(&frozen["tasks"]).len(), |task, modules| {
            let utility = (step * 7 % 11) as f64 / 10.0;
            model.learn(task, &modules[step / 2 % 3], Happened::now(step % 2, utility), &mut scratch).unwrap();
        });
    }
    assert_eq!(model.version(), text(&frozen["version"]));
    assert!(model.state().unwrap() == bytes(&frozen["state"]));
}

#[test]
fn the_frozen_state_gives_the_frozen_decisions() {
    let frozen = read("frozen");
    let model = Model::from_state(&bytes(&frozen["state"]), frozen["spec"].to_string().as_bytes()).unwrap();
    let mut scratch = Scratch::default();
    for decision in list(&frozen["decisions"]) {
        let task = usize::try_from(decision["task"].as_u64().unwrap()).unwrap();
        with_inputs(&frozen, task, |task, modules| {
            let (seed, weights) = (bytes(&decision["seed"]), numbers(&decision["weights"]));
            let chosen = model.decide(&seed, task, modules, &weights, &mut scratch).unwrap();
            assert_eq!(chosen.index as u64, decision["index"].as_u64().unwrap());
            assert_eq!(scratch.pmf(), doubles(&decision["pmf"]));
            assert_eq!(scratch.scores(), doubles(&decision["scores"]));
            assert_eq!(scratch.uncertainties(), doubles(&decision["uncertainties"]));
        });
    }
}
