//! Seeded inputs for the benches, checked for what they should be.

use pilotfish_kernel::{Happened, KernelError, Model, Result, Scratch};

/// A stream of numbers in [0, 1), the same in every run.
pub struct Stream(pub u64);

impl Iterator for Stream {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        // Knuth's MMIX constants; benches need variety, not randomness.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// `n` numbers in [−1, 1), the first of which is 1.
pub fn vector(stream: &mut Stream, n: usize) -> Vec<f64> {
    std::iter::once(1.0).chain(stream.map(|u| 2.0 * u - 1.0)).take(n).collect()
}

/// The spec with `slots` declared vector elements, or the default hashed layout where `slots` is 0.
#[must_use]
pub fn spec(slots: usize, shared_dims: usize, n_signals: usize) -> String {
    let (declared, hashed, text) = if slots == 0 {
        (String::new(), 40, 19)
    } else {
        (format!(r#"{{"kind":"vector","name":"v","length":{slots},"scale":1.0}}"#), 0, 0)
    };
    let signals: Vec<String> = (0..n_signals).map(|i| format!("\"signal {i}\"")).collect();
    format!(
        r#"{{"encoder":{{"declared":[{declared}],"hashed_dims":{hashed},"text_dims":{text},"text_scale":1.0,
        "declared_scale":1.0,"random_dims":0,"random_length":1.0,"random_scale":1.0,
        "shared_dims":{shared_dims},"shared_task":true}},"learner":{{"signals":[{}],"module_precision":1.0,"shared_precision":1.0,
        "noise_variance":0.1,"noise_count":10.0}},"explorer":{{"kind":"thompson","scale":0.5,"floor":0.02}}}}"#,
        signals.join(",")
    )
}

/// Names of `n` modules.
#[must_use]
pub fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("module {i}")).collect()
}

/// A model that has seen every module under every signal.
///
/// # Errors
/// Whatever the kernel refuses, and a model that did not learn.
pub fn learned(spec: &str, names: &[String]) -> Result<Model> {
    let model = Model::new(spec.as_bytes())?;
    let (mut stream, mut scratch) = (Stream(3), Scratch::default());
    let (d, k) = (model.n_context(), model.n_shared());
    for t in 0..5 * names.len() * model.n_signals() {
        let (x, z) = (vector(&mut stream, d), vector(&mut stream, k));
        let utility = stream.next().unwrap_or_default();
        let signal = t % model.n_signals();
        model.learn_encoded(
            &x,
            Some(&z),
            &names[t / model.n_signals() % names.len()],
            Happened::now(signal, utility),
            &mut scratch,
        )?;
    }
    if model.learned_count() == 0 {
        return Err(KernelError::state("nothing learned"));
    }
    Ok(model)
}
