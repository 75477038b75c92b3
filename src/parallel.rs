//! One level of parallelism at a time.
//!
//! Work that divides at the top (cells of a surface, pieces of a sample, the demo's two nets) runs
//! here: each worker owns a rayon pool of one thread, so whatever it calls (candle's operations
//! hand even small products to rayon) stays on it. Left to itself, rayon at both levels spends more
//! time handing work over than doing it: measured on a small net, half of all processor time.

mod pinning;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Error, Result};

/// Makes the pool that everything computes in, of `threads` threads, each bound to a core where there
/// are as many cores. To be called once, before anything computes.
///
/// # Errors
/// [`Error::BadValue`] when the system refuses so many, or there is a pool already.
pub fn set_threads(threads: usize) -> Result<()> {
    let cores = pinning::cores(threads);
    let start = move |k: usize| cores.get(k).copied().map_or((), pinning::bind);
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
    builder.start_handler(start).build_global().map_err(|e| {
        Error::bad_value("--threads", threads, format!("refused by the system ({e})"), "use fewer")
    })
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
    let workers = rayon::current_num_threads().min(items.len());
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
mod tests {
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
