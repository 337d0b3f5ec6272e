//! Criterion benches of the kernel; see `benches/kernel.rs`.
