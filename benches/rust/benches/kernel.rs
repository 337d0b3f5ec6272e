//! What the kernel costs without Python: decide, learn, encode, explore, state.
#![allow(missing_docs, reason = "criterion's macros write functions without")]
#![allow(clippy::unwrap_used, reason = "a bench that is refused should stop")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use pilotfish_benches::{Stream, learned, names, spec, vector};
use pilotfish_kernel::encoders::{Item, Module, Task, Value};
use pilotfish_kernel::explorers::{DEFAULTS, Explorer, ExplorerScratch, Observed};
use pilotfish_kernel::{Fields, Happened, Scratch};

const SEED: [u8; 16] = [7; 16];

fn decide_encoded(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide_encoded");
    for (n_modules, d, k) in [(10, 20, 1), (10, 20, 20), (10, 64, 32), (100, 20, 1), (1000, 20, 1)] {
        let all = names(n_modules);
        let modules: Vec<&str> = all.iter().map(String::as_str).collect();
        let model = learned(&spec(d - 1, k, 1), &all).unwrap();
        let mut stream = Stream(9);
        let x = vector(&mut stream, d);
        let z: Vec<f64> = modules.iter().flat_map(|_| vector(&mut stream, k)).collect();
        let shared = (k > 1).then_some(z.as_slice());
        let mut scratch = Scratch::default();
        group.bench_function(BenchmarkId::from_parameter(format!("{n_modules} x {d}, k {k}")), |bencher| {
            bencher
                .iter(|| model.decide_encoded(&SEED, black_box(&x), shared, &modules, &[1.0], &mut scratch).unwrap());
        });
    }
    group.finish();
}

fn learn_encoded(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("learn_encoded");
    for (n_modules, d, k) in [(10, 20, 1), (100, 20, 1), (10, 60, 32)] {
        let all = names(n_modules);
        let model = learned(&spec(d - 1, k, 1), &all).unwrap();
        let x = vector(&mut Stream(9), d);
        let mut scratch = Scratch::default();
        group.bench_function(BenchmarkId::from_parameter(format!("{n_modules} x {d}, k {k}")), |bencher| {
            bencher.iter(|| {
                model.learn_encoded(black_box(&x), None, &all[3], Happened::now(0, 0.5), &mut scratch).unwrap()
            });
        });
    }
    group.finish();
}

fn typed(criterion: &mut Criterion) {
    let all = names(10);
    let features: Vec<String> = (0..20).map(|i| format!("feature {i}")).collect();
    let items: Vec<Item> = features.iter().map(|name| Item { name, value: Value::Number(0.7) }).collect();
    let task = Task { items: &items, text: "extract the tables of a report" };
    let own = [("cost", Value::Number(0.3)), ("gpu", Value::Flag(true)), ("family", Value::Label("llm"))];
    let own = own.map(|(name, value)| Item { name, value });
    let module = |name| Module { name, items: &own, capabilities: &["pdf"] };
    let modules: Vec<Module> = all.iter().map(|name| module(name)).collect();
    for n_signals in [1, 7] {
        let model = learned(&spec(0, 32, n_signals), &all).unwrap();
        let (mut scratch, weights) = (Scratch::default(), vec![1.0; n_signals]);
        criterion.bench_function(&format!("decide by features, default spec, {n_signals} signals"), |bencher| {
            bencher.iter(|| model.decide(&SEED, black_box(&task), &modules, &weights, &mut scratch).unwrap());
        });
        if n_signals == 1 {
            criterion.bench_function("encode a task of 20 numbers", |bencher| {
                bencher.iter(|| model.encode_task(black_box(&task), &mut scratch).unwrap());
            });
        }
    }
}

fn explore(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("explore");
    for (name, json) in DEFAULTS {
        let explorer = Explorer::from_fields(Fields::parse("explorer", json.as_bytes()).unwrap()).unwrap();
        for n_actions in [10, 100, 1000] {
            let mut stream = Stream(11);
            let scores: Vec<f64> = stream.by_ref().take(n_actions).collect();
            let uncertainties: Vec<f64> = stream.map(|u| 0.05 + 0.4 * u).take(n_actions).collect();
            let (mut scratch, mut pmf) = (ExplorerScratch::default(), Vec::new());
            // Once outside: a bench that a filter skips does not run.
            explorer.pmf(&scores, &uncertainties, Observed::alike(0.0), &mut scratch, &mut pmf).unwrap();
            group.bench_function(BenchmarkId::new(name, n_actions), |bencher| {
                bencher.iter(|| {
                    explorer
                        .pmf(black_box(&scores), &uncertainties, Observed::alike(0.0), &mut scratch, &mut pmf)
                        .unwrap();
                });
            });
            assert!((pmf.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
    group.finish();
}

fn state(criterion: &mut Criterion) {
    let model = learned(&spec(0, 32, 1), &names(10)).unwrap();
    criterion.bench_function("state of 10 modules, default spec", |bencher| {
        bencher.iter(|| model.state().unwrap());
    });
    criterion.bench_function("rebuild of 10 modules, default spec", |bencher| {
        bencher.iter(|| model.rebuild().unwrap());
    });
}

criterion_group!(benches, decide_encoded, learn_encoded, typed, explore, state);
criterion_main!(benches);
