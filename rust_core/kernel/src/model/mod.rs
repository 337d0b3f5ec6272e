//! One model: an encoder, a posterior per signal and an explorer, behind a snapshot that decisions read without waiting.

mod decide;
mod explain;
mod learn;
mod merge;
mod reader;
mod scratch;
mod sharing;
mod state;
mod train;

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub use decide::Chosen;
pub use learn::{Happened, OBSERVATION_WEIGHT_MAX, Residual};
pub use scratch::Scratch;

use crate::encoders::TaskEncoder;
use crate::error::{KernelError, Result};
use crate::names::Names;
use crate::posteriors::{Arm, ArmGeometry, Prior, Shared, SharedGeometry, Step, Sums};
use crate::spec::{EncoderSpec, LearnerSpec, Spec};

/// All that has been learned: immutable, replaced whole by each learn.
#[derive(Clone, Debug)]
struct Snapshot {
    names: Arc<Names>,
    heads: Vec<Arc<Head>>,
}

impl Snapshot {
    fn learned_count(&self) -> u64 {
        self.heads.iter().fold(0, |sum, head| sum.saturating_add(head.shared.moments.count))
    }
}

/// What has been learned of one signal.
#[derive(Clone, Debug)]
struct Head {
    shared: Shared,
    /// By place of the module's name; an arm appears with its first learned value.
    arms: Vec<Option<Arc<Arm>>>,
    noise_variance: f64,
}

impl Head {
    /// The arm at a place, if it has seen anything.
    fn arm(&self, place: Option<usize>) -> Option<&Arm> {
        self.arms.get(place?)?.as_deref()
    }

    /// Arms with their names, in the order of the names.
    fn by_name<'a>(&'a self, names: &'a Names) -> impl Iterator<Item = (&'a str, &'a Arc<Arm>)> {
        names.sorted().into_iter().filter_map(|(place, name)| Some((name, self.arms.get(place)?.as_ref()?)))
    }
}

/// A model. Shared between threads; decisions never wait, learning takes turns.
#[derive(Debug)]
pub struct Model {
    spec: Spec,
    version: String,
    /// Costly to make where it holds random features, so that copies of a model share it.
    encoder: Arc<TaskEncoder>,
    prior: Prior,
    shared_places: Vec<u32>,
    /// What every module starts from; one object, so that signals share it.
    arm_prior: Arc<ArmGeometry>,
    snapshot: ArcSwap<Snapshot>,
    /// Held by the one writer; holds what the next signal of the same outcome will want.
    writer: Mutex<Step>,
}

impl Model {
    /// A model that has learned nothing.
    ///
    /// # Errors
    /// `InvalidInput` if the spec's JSON breaks a rule.
    pub fn new(spec: &[u8]) -> Result<Self> {
        let spec = Spec::from_json(spec)?;
        let k = spec.encoder.shared_dims;
        let shared = Shared::prior(Arc::new(SharedGeometry::prior(spec.prior(), k)), k);
        let head = Head { shared, arms: Vec::new(), noise_variance: spec.learner.noise_variance };
        let heads = spec.learner.signals.iter().map(|_| Arc::new(head.clone())).collect();
        let encoder = Arc::new(TaskEncoder::new(&spec.encoder));
        Ok(Self::assemble(spec, encoder, Snapshot { names: Arc::default(), heads }))
    }

    fn assemble(spec: Spec, encoder: Arc<TaskEncoder>, snapshot: Snapshot) -> Self {
        let EncoderSpec { shared_dims, .. } = &spec.encoder;
        let prior = spec.prior();
        Self {
            version: spec.version(),
            arm_prior: Arc::new(ArmGeometry::prior(prior, encoder.len(), *shared_dims)),
            shared_places: (0..).take(*shared_dims).collect(),
            snapshot: ArcSwap::from_pointee(snapshot),
            writer: Mutex::default(),
            encoder,
            prior,
            spec,
        }
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

    /// A copy of this moment that later learning does not touch; it costs a few pointers.
    #[must_use]
    pub fn frozen(&self) -> Self {
        Self::assemble(self.spec.clone(), Arc::clone(&self.encoder), (*self.snapshot.load_full()).clone())
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
        self.snapshot.load().learned_count()
    }

    /// Σ over the signals of ln p(their utilities | tasks, modules), see [`Shared::evidence`]: which of several specs has foretold
    /// the same observations best.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        let LearnerSpec { noise_variance, noise_count, .. } = &self.spec.learner;
        let snapshot = self.snapshot.load();
        let learned = snapshot.heads.iter().filter(|head| head.shared.moments.count > 0);
        // Not `sum`, which is −0 for nothing.
        learned.map(|head| head.shared.evidence(*noise_variance, *noise_count)).fold(0.0, |sum, one| sum + one)
    }

    /// Sums and derived quantities under readable keys, for tests and diagnosis; matrices are dense, row by row.
    #[must_use]
    pub fn arrays(&self) -> Vec<(String, Vec<f64>)> {
        let snapshot = self.snapshot.load_full();
        let LearnerSpec { signals, .. } = &self.spec.learner;
        let (d, k) = (self.n_context(), self.n_shared());
        let vector = |lanes: &[[f64; 8]], n: usize| lanes.as_flattened().iter().copied().take(n).collect::<Vec<_>>();
        let mut arrays = Vec::new();
        for (signal, head) in signals.iter().zip(&snapshot.heads) {
            let Head { shared, noise_variance, .. } = head.as_ref();
            let mut put = |key: String, values: Vec<f64>| arrays.push((format!("{signal}/{key}"), values));
            put("noise_variance".into(), vec![*noise_variance]);
            put("shared/covariance".into(), shared.geometry.covariance.to_dense());
            put("shared/mean".into(), vector(&shared.mean, k));
            put("shared/scatter".into(), vec![shared.scatter]);
            put("shared/volume".into(), vec![shared.geometry.volume]);
            put("shared/sum_zz".into(), shared.geometry.sum_zz.to_dense());
            put("shared/sum_zr".into(), vector(&shared.sum_zr, k));
            put("shared/moments".into(), shared.moments.to_vec());
            for (name, arm) in head.by_name(&snapshot.names) {
                let mut put = |key: &str, values| put(format!("module/{name}/{key}"), values);
                put("covariance", arm.geometry.covariance.to_dense());
                put("coupling", arm.geometry.coupling.to_dense());
                put("mean", vector(&arm.mean, d));
                let Sums { xx, xz } = arm.geometry.sums.sums();
                put("sum_xx", xx.to_dense());
                put("sum_xz", xz.to_dense());
                put("sum_xr", vector(&arm.sum_xr, d));
                put("moments", arm.moments.to_vec());
            }
        }
        arrays
    }

    fn check_signal(&self, signal: usize) -> Result<()> {
        if signal < self.n_signals() {
            return Ok(());
        }
        Err(self.no_signal(signal))
    }

    fn no_signal(&self, signal: usize) -> KernelError {
        KernelError::invalid("signal", signal, format!("below {}, the number of signals", self.n_signals()))
    }
}
