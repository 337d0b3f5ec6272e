//! One model: an encoder, a posterior per signal and an explorer, behind a snapshot that decisions read without waiting.

mod decide;
mod learn;
mod merge;
mod reader;
mod scratch;
mod state;

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub use decide::Chosen;
pub use scratch::Scratch;

use crate::encoders::TaskEncoder;
use crate::error::{KernelError, Result};
use crate::names::Names;
use crate::posteriors::{Arm, ArmSums, Prior, Shared, SharedSums};
use crate::spec::{EncoderSpec, LearnerSpec, Spec};

/// What decisions read: immutable, replaced whole by each learn.
#[derive(Clone, Debug)]
struct Snapshot {
    names: Arc<Names>,
    heads: Vec<Arc<Head>>,
}

/// Derived quantities of one signal.
#[derive(Clone, Debug)]
struct Head {
    shared: Shared,
    /// By place of the module's name; an arm appears with its first learned value.
    arms: Vec<Option<Arc<Arm>>>,
    count: u64,
    noise_variance: f64,
}

/// The sums of one signal. Behind `Arc`s, so that writing the state out holds up no learning.
#[derive(Clone, Debug)]
struct HeadSums {
    shared: Arc<SharedSums>,
    arms: Vec<Option<Arc<ArmSums>>>,
}

/// What only the one writer sees.
#[derive(Debug)]
struct Writer {
    sums: Vec<HeadSums>,
    scratch: crate::posteriors::Scratch,
}

/// A model. Shared between threads; decisions never wait, learning takes turns.
#[derive(Debug)]
pub struct Model {
    spec: Spec,
    version: String,
    encoder: TaskEncoder,
    prior: Prior,
    shared_places: Vec<u32>,
    snapshot: ArcSwap<Snapshot>,
    writer: Mutex<Writer>,
}

impl Model {
    /// A model that has learned nothing.
    ///
    /// # Errors
    /// `InvalidInput` if the spec's JSON breaks a rule.
    pub fn new(spec: &[u8]) -> Result<Self> {
        let spec = Spec::from_json(spec)?;
        let (k, prior) = (spec.encoder.shared_dims, spec.prior());
        let head = Head {
            shared: Shared::prior(prior, k),
            arms: Vec::new(),
            count: 0,
            noise_variance: spec.learner.noise_variance,
        };
        let sums = HeadSums { shared: Arc::new(SharedSums::zeros(k)), arms: Vec::new() };
        let n_signals = spec.learner.signals.len();
        let snapshot =
            Snapshot { names: Arc::default(), heads: (0..n_signals).map(|_| Arc::new(head.clone())).collect() };
        Ok(Self::assemble(spec, snapshot, vec![sums; n_signals]))
    }

    fn assemble(spec: Spec, snapshot: Snapshot, sums: Vec<HeadSums>) -> Self {
        let EncoderSpec { declared, hashed_dims, text_dims, text_scale, shared_dims } = &spec.encoder;
        let encoder = TaskEncoder::new(declared, *hashed_dims, *text_dims, *text_scale, *shared_dims > 1);
        let shared_places = (0..).take(*shared_dims).collect();
        let (version, prior) = (spec.version(), spec.prior());
        let writer = Mutex::new(Writer { sums, scratch: crate::posteriors::Scratch::default() });
        Self { spec, version, encoder, prior, shared_places, snapshot: ArcSwap::from_pointee(snapshot), writer }
    }

    /// The spec.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// SHA-256 of the canonical spec and the format version, in hexadecimal.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Length d of x.
    #[must_use]
    pub fn n_context(&self) -> usize {
        self.encoder.len()
    }

    /// Length k of z.
    #[must_use]
    pub fn n_shared(&self) -> usize {
        self.spec.encoder.shared_dims
    }

    /// Number of signals.
    #[must_use]
    pub fn n_signals(&self) -> usize {
        self.spec.learner.signals.len()
    }

    /// Number of signal values learned.
    #[must_use]
    pub fn learned_count(&self) -> u64 {
        self.snapshot.load().heads.iter().fold(0, |sum, head| sum.saturating_add(head.count))
    }

    /// Sums and derived quantities under readable keys, for tests and diagnosis; matrices are dense, row by row.
    #[must_use]
    pub fn arrays(&self) -> Vec<(String, Vec<f64>)> {
        let (snapshot, sums) = self.consistent();
        let LearnerSpec { signals, .. } = &self.spec.learner;
        let (d, k) = (self.n_context(), self.n_shared());
        let vector = |lanes: &[[f64; 8]], n: usize| lanes.as_flattened().iter().copied().take(n).collect::<Vec<_>>();
        let mut arrays = Vec::new();
        for ((signal, head), sums) in signals.iter().zip(&snapshot.heads).zip(&sums) {
            let mut put = |key: String, values: Vec<f64>| arrays.push((format!("{signal}/{key}"), values));
            put("noise_variance".into(), vec![head.noise_variance]);
            put("shared/covariance".into(), head.shared.covariance.to_dense());
            put("shared/mean".into(), vector(&head.shared.mean, k));
            put("shared/sum_zz".into(), sums.shared.zz.to_dense());
            put("shared/sum_zr".into(), vector(&sums.shared.zr, k));
            let moments = sums.shared.moments;
            put("shared/moments".into(), vec![moments.count as f64, moments.sum, moments.squares]);
            for (place, name) in snapshot.names.sorted() {
                if let (Some(Some(arm)), Some(Some(sums))) = (head.arms.get(place), sums.arms.get(place)) {
                    let mut put = |key: &str, values| put(format!("module/{name}/{key}"), values);
                    put("covariance", arm.covariance.to_dense());
                    put("coupling", arm.coupling.to_dense());
                    put("mean", vector(&arm.mean, d));
                    put("sum_xx", sums.xx.to_dense());
                    put("sum_xz", sums.xz.to_dense());
                    put("sum_xr", vector(&sums.xr, d));
                    put("moments", vec![sums.moments.count as f64, sums.moments.sum, sums.moments.squares]);
                }
            }
        }
        arrays
    }

    /// Snapshot and sums of one moment. The lock is held for as long as it takes to copy pointers.
    fn consistent(&self) -> (Arc<Snapshot>, Vec<HeadSums>) {
        let writer = self.writer.lock();
        (self.snapshot.load_full(), writer.sums.clone())
    }

    fn check_signal(&self, signal: usize) -> Result<()> {
        if signal < self.n_signals() {
            return Ok(());
        }
        let rule = format!("below {}, the number of signals", self.n_signals());
        Err(KernelError::invalid("signal", signal, rule))
    }
}
