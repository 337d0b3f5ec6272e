//! Dense linear algebra in fixed lanes, so that the same inputs give the same bits on every machine.
//!
//! Every sum runs over [`LANES`] explicit accumulators and is folded in one stated order. A compiler may widen
//! the lanes to vector registers of any size; it may not change the result, because floating-point addition is never
//! reordered and no fused multiply-add is asked for.

mod cholesky;
mod dispatch;
mod lanes;
mod rectangular;
mod symmetric;

pub use cholesky::{invert_positive_definite, is_positive_definite};
pub use dispatch::widest;
pub use lanes::{LANES, Lane, add_scaled, dot, dot_pair, lanes_for, pack, same_bits, zeros};
pub use rectangular::Rectangular;
pub use symmetric::Symmetric;
