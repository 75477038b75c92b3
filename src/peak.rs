//! What this processor's f32 units could do at most: the yardstick that speeds are shares of.
//!
//! Every thread keeps a dozen independent vector registers busy with fused multiply-adds and
//! touches no memory. A dozen covers the units' latency (4 to 5 cycles on two ports) and fits the
//! 16 registers of AVX2. Clock and neighbours on the machine are as they are when it runs, so the
//! peak belongs to the run it was measured in.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use serde::Serialize;

/// Accumulators a thread keeps in flight.
const CHAINS: usize = 12;

/// Multiply-adds of each chain in one round: some 10 ms of AVX-512.
const LENGTH: usize = 2_500_000;

/// Rounds, of which the best counts: the first ones wake the wide units up.
const ROUNDS: usize = 12;

/// The measured peak.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peak {
    /// 1e9 floating-point operations a second on all threads together; a fused multiply-add is two.
    pub gflops: f64,
    /// Instructions that reached it: `avx512`, `avx2` (with FMA) or `portable`.
    pub instructions: &'static str,
    /// Threads it was measured on.
    pub threads: usize,
}

/// Runs a chain of dependent multiply-adds in each lane of each accumulator. The value tends to a
/// fixed point, away from overflow and from subnormal numbers. Returns a number that depends on all
/// of them, so that nothing can be left out.
type Kernel = fn(length: usize) -> f32;

/// Measures the peak of `threads` threads (at least one): about a quarter of a second.
pub fn measure(threads: usize) -> Peak {
    let (instructions, lanes, kernel) = kernel();
    let threads = threads.max(1);
    let flops = (2 * CHAINS * lanes * LENGTH * threads) as f64;
    let barrier = Barrier::new(threads);
    // The slowest thread's time of each round.
    let of_each_thread: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let worker = || {
            (0..ROUNDS)
                .map(|_| {
                    barrier.wait();
                    let started = Instant::now();
                    black_box(kernel(black_box(LENGTH)));
                    started.elapsed().as_secs_f64()
                })
                .collect()
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        handles.into_iter().map(|h| h.join().expect("the kernel does not panic")).collect()
    });
    let slowest = |round: usize| of_each_thread.iter().map(|t| t[round]).fold(0.0, f64::max);
    let best = (0..ROUNDS).map(slowest).fold(f64::INFINITY, f64::min);
    Peak { gflops: flops / best / 1e9, instructions, threads }
}

/// The widest kernel this processor runs, with its name and its lanes.
fn kernel() -> (&'static str, usize, Kernel) {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has AVX-512F.
            return ("avx512", 16, |n| unsafe { x86::avx512(n) });
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            // SAFETY: the processor has AVX2 and FMA.
            return ("avx2", 8, |n| unsafe { x86::avx2(n) });
        }
    }
    ("portable", LANES, portable)
}

/// Lanes of the portable kernel: one NEON or SSE register.
const LANES: usize = 4;

/// What the compiler makes of plain loops: fused on AArch64, where every processor can; multiply
/// and add elsewhere, where `mul_add` would be a library call.
fn portable(length: usize) -> f32 {
    let (a, b) = (black_box(0.5f32), black_box(1.0f32));
    let mut acc: [[f32; LANES]; CHAINS] = std::array::from_fn(|i| [i as f32; LANES]);
    for _ in 0..length {
        for chain in &mut acc {
            for x in chain {
                *x = if cfg!(target_arch = "aarch64") { x.mul_add(a, b) } else { *x * a + b };
            }
        }
    }
    acc.iter().flatten().sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::CHAINS;
    use std::arch::x86_64::*;
    use std::hint::black_box;

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512(length: usize) -> f32 {
        let (a, b) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(1.0)));
        let mut acc = [_mm512_setzero_ps(); CHAINS];
        for (i, x) in acc.iter_mut().enumerate() {
            *x = _mm512_set1_ps(i as f32);
        }
        for _ in 0..length {
            for x in &mut acc {
                *x = _mm512_fmadd_ps(*x, a, b);
            }
        }
        let mut sum = _mm512_setzero_ps();
        for x in acc {
            sum = _mm512_add_ps(sum, x);
        }
        _mm512_reduce_add_ps(sum)
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(length: usize) -> f32 {
        let (a, b) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(1.0)));
        let mut acc = [_mm256_setzero_ps(); CHAINS];
        for (i, x) in acc.iter_mut().enumerate() {
            *x = _mm256_set1_ps(i as f32);
        }
        for _ in 0..length {
            for x in &mut acc {
                *x = _mm256_fmadd_ps(*x, a, b);
            }
        }
        let mut sum = _mm256_setzero_ps();
        for x in acc {
            sum = _mm256_add_ps(sum, x);
        }
        let half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
        _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_really_computes_its_chains() {
        // x <- x / 2 + 1 in every lane of every chain; after three steps chain i holds
        // i / 8 + 7 / 4, all exact in f32.
        let sum =
            |lanes: usize| (0..CHAINS).map(|i| i as f32 / 8.0 + 1.75).sum::<f32>() * lanes as f32;
        assert_eq!(portable(3), sum(LANES));
        let (_, lanes, kernel) = kernel();
        assert_eq!(kernel(3), sum(lanes));
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            // SAFETY: the processor has AVX2 and FMA.
            assert_eq!(unsafe { x86::avx2(3) }, sum(8));
        }
    }
}
