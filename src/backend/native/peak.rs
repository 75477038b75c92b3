//! The peak rate of this processor's f32 units, of which measured speeds are given as shares.
//!
//! Every thread keeps a dozen independent vector registers busy with multiply-adds and touches no
//! memory. A dozen covers the units' latency (4 to 5 cycles on two ports) and fits the 16 registers
//! of AVX2. The clock rate and the load of the machine vary, so a peak is valid for the run it was
//! measured in.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use serde::Serialize;

use super::simd::{Kernel, Level, Simd};

/// Accumulators a thread keeps in flight.
const CHAINS: usize = 12;

/// Multiply-adds of each chain in one round: some 10 ms of AVX-512.
const LENGTH: usize = 2_500_000;

/// Rounds, of which the best counts: in the first ones the wide vector units are still powering up.
const ROUNDS: usize = 12;

/// The measured peak.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peak {
    /// 1e9 floating-point operations a second on all threads together; a multiply-add is two.
    pub gflops: f64,
    /// The instructions that reached it.
    pub level: Level,
    /// Threads it was measured on.
    pub threads: usize,
}

impl Peak {
    /// Measures the peak of `threads` threads (at least one) with the instructions that the engine
    /// uses: about a quarter of a second.
    pub fn measure(threads: usize) -> Self {
        let level = Level::detect();
        let threads = threads.max(1);
        let flops = (2 * CHAINS * level.lanes() * LENGTH * threads) as f64;
        let barrier = Barrier::new(threads);
        let of_each_thread: Vec<Vec<f64>> = std::thread::scope(|scope| {
            let worker = || {
                (0..ROUNDS)
                    .map(|_| {
                        barrier.wait();
                        let started = Instant::now();
                        black_box(chains(level, black_box(LENGTH)));
                        started.elapsed().as_secs_f64()
                    })
                    .collect()
            };
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
            handles.into_iter().map(|h| h.join().expect("the kernel does not panic")).collect()
        });
        let slowest = |round: usize| of_each_thread.iter().map(|t| t[round]).fold(0.0, f64::max);
        let best = (0..ROUNDS).map(slowest).fold(f64::INFINITY, f64::min);
        Self { gflops: flops / best / 1e9, level, threads }
    }
}

/// The sum over all lanes of all chains after `length` multiply-adds.
fn chains(level: Level, length: usize) -> f32 {
    // SAFETY: callers pass levels that the processor has; the kernel asks for nothing else.
    unsafe { level.run(Chains { length }) }
}

struct Chains {
    length: usize,
}

impl Kernel for Chains {
    type Out = f32;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        // SAFETY: `lanes` has room for a vector, and there is no other memory.
        unsafe {
            // x <- x / 2 + 1 tends to 2: away from overflow and from subnormal numbers.
            let (half, one) = (S::splat(black_box(0.5)), S::splat(black_box(1.0)));
            let mut acc: [S::V; CHAINS] = [S::zero(); CHAINS];
            for (i, x) in acc.iter_mut().enumerate() {
                *x = S::splat(i as f32);
            }
            for _ in 0..self.length {
                for x in &mut acc {
                    *x = S::fma(*x, half, one);
                }
            }
            let mut sum = S::zero();
            for x in acc {
                sum = S::add(sum, x);
            }
            let mut lanes = [0f32; 16];
            S::store(lanes.as_mut_ptr(), sum);
            lanes.iter().sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_really_computes_its_chains() {
        for level in Level::all() {
            // After three steps chain i holds i / 8 + 7 / 4; all exact in f32.
            let lane: f32 = (0..CHAINS).map(|i| i as f32 / 8.0 + 1.75).sum();
            assert_eq!(chains(level, 3), lane * level.lanes() as f32, "{level}");
        }
    }
}
