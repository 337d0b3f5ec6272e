//! Bets against "the mean residual is within the slack": the evidence of one stream of residuals.

/// Fractions λ of the wealth that are staked. A residual of mean δ beyond the slack and variance v is found soonest by
/// λ ≈ δ / (v + δ²). For v = 0.2 and δ from 0.02 to 0.2 one of the grid grows at least 4/5 as fast as that one. All are below
/// 1, so that a lost bet never takes everything.
const STAKES: [f64; 4] = [0.1, 0.2, 0.4, 0.8];
/// Least room that a bet reckons with: where almost nothing can be lost, one outcome must not decide alone.
const ROOM_MIN: f64 = 0.1;
/// Each stake, on residuals that are too high and on residuals that are too low.
pub const N_BETS: usize = 2 * STAKES.len();

/// What the bets of one stream have won, by side and stake: the first half bets on high residuals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bets {
    /// Shiryaev–Roberts sums S_n = Σ_{j ≤ n} Π_{i = j..n} f_i: the wealth of bettors of whom one starts at each observation.
    pub sums: [f64; N_BETS],
    /// Wealth of the bettor with the best start, C_n = max(C_{n−1}, 1) · f_n.
    pub best: [f64; N_BETS],
    /// The observation at which that bettor started.
    pub starts: [u64; N_BETS],
}

impl Bets {
    /// Takes in one residual and returns by how much the mean wealth has grown.
    ///
    /// f = 1 + λ (±residual − slack) / (room + slack), where no ±residual can be below −room. So f is at least 1 − λ > 0 whatever
    /// the slack, and its expectation is at most 1 while the mean of ±residual is within the slack: room is known before the
    /// residual is, so it may be anything that bounds it. A utility in [0, 1] of which p was expected leaves p below and
    /// 1 − p above (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024, section 4: the
    /// largest bet that cannot ruin). With a room of 1 on either side the same stake would risk a fraction of what it may.
    ///
    /// `residual` in [−1, 1], `rooms`: how far it can lie below and above 0, in [0, 1]; `slack` finite and >= 0, `at` the number of
    /// the observation.
    #[inline]
    pub fn observe(&mut self, residual: f64, rooms: [f64; 2], slack: f64, at: u64) -> f64 {
        let before = self.mean();
        for (side, (signed, room)) in [residual, -residual].into_iter().zip(rooms).enumerate() {
            let gain = (signed - slack) / (room.max(ROOM_MIN) + slack);
            for (stake, fraction) in STAKES.iter().enumerate() {
                let bet = side * STAKES.len() + stake;
                let factor = 1.0 + fraction * gain;
                self.sums[bet] = (self.sums[bet] + 1.0) * factor;
                let starts_anew = self.best[bet] <= 1.0;
                self.best[bet] = if starts_anew { factor } else { self.best[bet] * factor };
                self.starts[bet] = if starts_anew { at } else { self.starts[bet] };
            }
        }
        self.mean() - before
    }

    /// Mean of the sums: the evidence M_n of this stream.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sums.iter().sum::<f64>() / N_BETS as f64
    }

    /// The largest wealth of one bettor, and the observation at which that one started.
    #[must_use]
    pub fn winner(&self) -> (f64, u64) {
        let bettors = self.best.iter().copied().zip(self.starts);
        bettors.fold((0.0, 0), |winner, bettor| if bettor.0 > winner.0 { bettor } else { winner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_residuals_by_hand() {
        let mut bets = Bets::default();
        bets.observe(0.5, [1.0; 2], 0.25, 0);
        // Gains: (0.5 − 0.25) / 1.25 = 0.2 and (−0.5 − 0.25) / 1.25 = −0.6.
        let first = [1.02, 1.04, 1.08, 1.16, 0.94, 0.88, 0.76, 0.52];
        assert!(bets.sums.iter().zip(first).all(|(sum, by_hand)| (sum - by_hand).abs() < 1e-15), "{bets:?}");
        bets.observe(-1.0, [1.0; 2], 0.0, 1);
        // Gains −1 and 1: factors 0.9, 0.8, 0.6, 0.2 and 1.1, 1.2, 1.4, 1.8 on one more than each sum.
        let second = [1.818, 1.632, 1.248, 0.432, 2.134, 2.256, 2.464, 2.736];
        assert!(bets.sums.iter().zip(second).all(|(sum, by_hand)| (sum - by_hand).abs() < 1e-15), "{bets:?}");
        assert_eq!(bets.starts, [0, 0, 0, 0, 1, 1, 1, 1]);
        assert_eq!(bets.winner(), (1.8, 1));
    }

    #[test]
    fn what_cannot_be_lost_is_staked() {
        let mut bets = Bets::default();
        bets.observe(-0.4, [0.75, 0.25], 0.25, 0);
        // Gains: (−0.4 − 0.25) / (0.75 + 0.25) = −0.65 and (0.4 − 0.25) / (0.25 + 0.25) = 0.3.
        let by_hand = [0.935, 0.87, 0.74, 0.48, 1.03, 1.06, 1.12, 1.24];
        assert!(bets.sums.iter().zip(by_hand).all(|(sum, by_hand)| (sum - by_hand).abs() < 1e-15), "{bets:?}");
        bets = Bets::default();
        bets.observe(0.1, [0.0, 1.0], 0.0, 0);
        // Nothing can be lost above: the room is a tenth then, and the gain 1.
        assert!((bets.sums[0] - 1.1).abs() < 1e-15, "{bets:?}");
    }

    #[test]
    fn the_lowest_factor_leaves_something() {
        for slack in [0.0, 0.05, 1.0, 1e300] {
            let mut bets = Bets::default();
            for at in 0..100 {
                bets.observe(1.0, [0.0, 1.0], slack, at);
            }
            assert!(bets.sums.iter().all(|sum| *sum > 0.0 && sum.is_finite()), "{slack}: {bets:?}");
        }
    }

    #[test]
    fn growth_is_the_difference_of_means() {
        let mut bets = Bets::default();
        let grown: f64 =
            (0..50_u32).map(|i| bets.observe(f64::from(i % 7) / 7.0 - 0.4, [0.4, 0.6], 0.05, u64::from(i))).sum();
        assert!((grown - bets.mean()).abs() < 1e-12 * bets.mean());
    }
}
