//! Chance, from one seed: what decisions are given as their last argument.

use core::cell::Cell;

/// One draw after the other: xorshift64*. It spreads load; it keeps no secret.
#[derive(Clone, Debug)]
pub struct Draws(Cell<u64>);

impl Draws {
    /// Two that start from one seed draw the same.
    pub fn new(seed: u64) -> Draws {
        Draws(Cell::new(seed | 1)) // 0 would stay 0
    }

    /// The next draw, evenly from all of `u64`.
    pub fn draw(&self) -> u64 {
        let mut state = self.0.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.0.set(state);
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// An index below `below`, and what of the draw the choice did not use up: again evenly drawn, for one more choice.
/// Off an even spread by at most `below` in 2^64.
pub(crate) fn split_draw(draw: u64, below: usize) -> (usize, u64) {
    let (index, rest) = split_weights(draw, below as u64);
    (index as usize, rest)
}

/// The same below a sum of weights, which need not fit into a `usize` of 32 bits: an answer is the same on every machine.
pub(crate) fn split_weights(draw: u64, below: u64) -> (u64, u64) {
    let wide = u128::from(draw) * u128::from(below);
    ((wide >> 64) as u64, wide as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_of_one_seed_repeat_and_spread_over_all_numbers() {
        for seed in [0, 1, u64::MAX] {
            let (one, other) = (Draws::new(seed), Draws::new(seed));
            let mut eighths = [0; 8];
            for _ in 0..8_000 {
                let draw = one.draw();
                assert_eq!(draw, other.draw());
                eighths[(draw >> 61) as usize] += 1;
            }
            assert!(eighths.iter().all(|count| (900..=1_100).contains(count)), "seed {seed}: {eighths:?}");
        }
    }
}
