//! Every action alike: the honest start, and the logging policy that any other can be evaluated on.

/// p = 1 / K.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Uniform;

impl Uniform {
    pub(super) fn fill(pmf: &mut [f64]) {
        let share = 1.0 / pmf.len() as f64;
        pmf.fill(share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_actions_have_a_quarter_each() {
        let mut pmf = [0.0; 4];
        Uniform::fill(&mut pmf);
        assert_eq!(pmf, [0.25; 4]);
    }
}
