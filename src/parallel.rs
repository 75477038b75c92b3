//! The threads that everything computes on, and one level of parallelism at a time.
//!
//! Computations run on rayon's global pool. Whatever computes first makes it ([`threads`]), so a
//! program that uses this crate gets it without asking; [`set_threads`] is the explicit choice. A
//! program that has built rayon's global pool itself keeps that one, and work started from within
//! another pool (`ThreadPool::install`) stays on it.
//!
//! Work that divides at the top (cells of a surface, pieces of a sample, several networks) goes
//! through `map`: each of its workers owns a rayon pool of one thread, so whatever it calls stays
//! on that thread.
//!
//! One thing a library cannot set up. Where the environment variable `RAYON_NUM_THREADS` is
//! missing, candle counts the processor's cores anew for each matrix product, by reading
//! /proc/cpuinfo: 40 microseconds of processor time a product on 2 cores, more on more, a large
//! part of what a small network costs on the candle backend. The native engine does not use
//! candle's products. A program that trains with candle therefore sets the variable to 1 before
//! its first thread starts, and calls [`set_threads`]; the `lossreel` command does both.

#[cfg(feature = "mpi")]
mod mpi;
mod pinning;
mod post;
mod team;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once};

use crate::{Error, Result};

#[cfg(feature = "mpi")]
pub use self::mpi::Mpi;
#[cfg(test)]
pub(crate) use post::channels;
pub use post::{Post, Received};
pub use team::{Line, Place, Taken, Team};
pub use worker::{Item, Job, Slots, Worker};

/// Makes the pool that everything computes on, of `threads` threads, each bound to a core where
/// there are as many cores. To be called once, before anything computes.
///
/// # Errors
/// [`Error::BadValue`] for a number outside 1 to 1024, when the system refuses so many threads, or
/// when there is a pool already.
pub fn set_threads(threads: usize) -> Result<()> {
    let refuse =
        |problem: String, remedy: &str| Err(Error::bad_value("threads", threads, problem, remedy));
    if !(1..=1024).contains(&threads) {
        return refuse("not a number of threads".into(), "use 1 to 1024");
    }
    build(threads).or_else(|e| {
        refuse(format!("refused ({e})"), "use fewer, and choose before anything computes")
    })
}

/// The number of threads that a computation started here runs on.
///
/// Where there is no pool yet this makes one, as [`set_threads`] does, of as many threads as the
/// process may use cores, or as the environment variable `RAYON_NUM_THREADS` says.
pub fn threads() -> usize {
    ready();
    rayon::current_num_threads()
}

/// Makes the pool if there is none yet. What computes on rayon's threads calls this first.
pub(crate) fn ready() {
    static DEFAULT: Once = Once::new();
    if rayon::current_thread_index().is_some() {
        return;
    }
    DEFAULT.call_once(|| {
        let named = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok());
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
        // An error says that there is a pool already: it is the one to use.
        let _ = build(named.filter(|&n| n > 0).unwrap_or_else(cores));
    });
}

fn build(threads: usize) -> Result<(), rayon::ThreadPoolBuildError> {
    let cores = pinning::cores(threads);
    let start = move |k: usize| cores.get(k).copied().map_or((), pinning::bind);
    rayon::ThreadPoolBuilder::new().num_threads(threads).start_handler(start).build_global()
}

/// `f` of each item, in the items' order, on as many workers as the current rayon pool has threads.
/// A call from within a worker runs in turn, on that worker.
///
/// # Errors
/// The first error in the items' order among those met; [`Error::Io`] when no thread can be made.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    f: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let workers = threads().min(items.len());
    if workers <= 1 {
        return items.iter().map(f).collect();
    }
    let next = AtomicUsize::new(0);
    let slots: Vec<Mutex<Option<Result<R>>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(i) else { break };
            let result = f(item);
            if result.is_err() {
                // No further item is begun.
                next.store(items.len(), Ordering::Relaxed);
            }
            *slots[i].lock().unwrap_or_else(|e| e.into_inner()) = Some(result);
        }
    };
    let pools = (0..workers)
        .map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Error::io("start a thread", "")(std::io::Error::other(e)))?;
    std::thread::scope(|scope| {
        for pool in &pools {
            scope.spawn(|| pool.install(work));
        }
    });
    let done = slots.into_iter().filter_map(|s| s.into_inner().unwrap_or_else(|e| e.into_inner()));
    done.collect()
}

#[cfg(test)]
mod map_tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_nested_calls_run_in_turn() {
        let items: Vec<usize> = (0..100).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let squares = pool.install(|| {
            map(&items, |&i| {
                assert_eq!(rayon::current_num_threads(), 1);
                let inner = map(&[1, 2, 3], |&k| Ok(k * i))?;
                Ok(inner.iter().sum::<usize>())
            })
        });
        assert_eq!(squares.unwrap(), items.iter().map(|i| 6 * i).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_ends_the_work_and_is_the_one_returned() {
        let items: Vec<usize> = (0..1000).collect();
        let begun = AtomicUsize::new(0);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let result = pool.install(|| {
            map(&items, |&i| {
                begun.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_micros(100));
                if i == 3 { Err(Error::bad_value("item", i, "bad", "none")) } else { Ok(i) }
            })
        });
        assert!(result.unwrap_err().to_string().contains("item"));
        assert!(begun.load(Ordering::Relaxed) < 100);
    }
}
