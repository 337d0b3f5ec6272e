//! Working space per thread, so that a call allocates nothing once it is warm.

use std::cell::RefCell;

use pilotfish_kernel::Scratch;

/// The kernel's scratch and the vectors that come in as buffers.
#[derive(Default)]
pub struct Space {
    pub scratch: Scratch,
    pub context: Vec<f64>,
    pub shared: Vec<f64>,
    pub weights: Vec<f64>,
}

thread_local! {
    static SPACE: RefCell<Space> = RefCell::default();
}

/// Lends this thread's space.
pub fn with<T>(call: impl FnOnce(&mut Space) -> T) -> T {
    SPACE.with(|cell| match cell.try_borrow_mut() {
        Ok(mut space) => call(&mut space),
        // Python code that runs while an argument is read (a buffer's exporter) may call back into this module.
        Err(_) => call(&mut Space::default()),
    })
}
