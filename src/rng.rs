//! Named random streams from one root seed.
//!
//! A stream is addressed by its name and an index (`shuffle` of epoch 3, `init` of parameter 17,
//! `dropout` of step 900), so drawing from one never moves another, work can be cut among threads
//! in any way, and a resumed run needs no generator state: it asks for the same address again.
//! ChaCha8 keyed by SHA-256 of (seed, name), the index as the stream number: the bytes are the
//! same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// The root of all randomness of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    /// Streams of the root seed `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The root seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The stream `name` at `index`, from its beginning.
    pub fn stream(&self, name: &str, index: u64) -> Rng {
        let mut hash = Sha256::new();
        hash.update(b"lossreel stream v1\0");
        hash.update(self.seed.to_le_bytes());
        hash.update(name.as_bytes());
        let mut rng = ChaCha8Rng::from_seed(hash.finalize().into());
        rng.set_stream(index);
        Rng { rng, spare_normal: None }
    }
}

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub struct Rng {
    rng: ChaCha8Rng,
    spare_normal: Option<f64>,
}

impl Rng {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `[low, high)`.
    pub fn uniform_in(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in `0..n`, without bias (Lemire 2019). `n` must be positive.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "below(0) has no value to return");
        let n = n as u64;
        let threshold = n.wrapping_neg() % n;
        loop {
            let wide = u128::from(self.bits()) * u128::from(n);
            if wide as u64 >= threshold {
                return (wide >> 64) as usize;
            }
        }
    }

    /// True with probability `p`.
    pub fn bernoulli(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Standard normal (Box-Muller, both values used).
    pub fn normal(&mut self) -> f64 {
        if let Some(z) = self.spare_normal.take() {
            return z;
        }
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt(); // 1 - u is in (0, 1]
        let angle = std::f64::consts::TAU * self.uniform();
        self.spare_normal = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// Fisher-Yates shuffle.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_independent_and_repeatable() {
        let streams = Streams::new(7);
        let draw = |name, index| streams.stream(name, index).bits();
        assert_eq!(draw("init", 0), draw("init", 0));
        assert_ne!(draw("init", 0), draw("init", 1));
        assert_ne!(draw("init", 0), draw("shuffle", 0));
        assert_ne!(draw("init", 0), Streams::new(8).stream("init", 0).bits());
    }

    #[test]
    fn normal_has_mean_zero_and_variance_one() {
        let mut rng = Streams::new(1).stream("test", 0);
        let n = 200_000;
        let (mut sum, mut sum_sq) = (0.0, 0.0);
        for _ in 0..n {
            let z = rng.normal();
            sum += z;
            sum_sq += z * z;
        }
        // Standard errors are 0.0022 and 0.0032: five of them.
        assert!((sum / n as f64).abs() < 0.012);
        assert!((sum_sq / n as f64 - 1.0).abs() < 0.016);
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut rng = Streams::new(1).stream("test", 1);
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[rng.below(7)] += 1;
        }
        // Binomial standard deviation is 93: five of them.
        assert!(counts.iter().all(|&c| c.abs_diff(10_000) < 470), "{counts:?}");
    }

    #[test]
    fn shuffle_is_a_permutation() {
        let mut rng = Streams::new(1).stream("test", 2);
        let mut items: Vec<usize> = (0..100).collect();
        rng.shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
