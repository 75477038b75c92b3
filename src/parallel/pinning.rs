//! Threads bound to cores.
//!
//! A training pass is many short phases, behind each of which all threads wait for the last. Where
//! other programs compete for the cores, the scheduler now and then puts two threads on one core,
//! and every phase takes twice as long. Two threads of ResNet-20's training on two cores, with two
//! compilers and another training beside them: 377 images/s bound, 291 free (medians of 7
//! alternating rounds). Two such trainings at once: the same either way (535 and 543 together). The
//! workers of [`super::map`] do not wait for each other and are better left to the scheduler:
//! surface cells, likewise, 965 images/s bound, 1,051 free.

/// The cores that the `threads` threads of a pool are bound to, in their order: those that the
/// process may use if they are as many, none (the scheduler places the threads) if they are more or
/// fewer, or `LOSSREEL_PIN=0`.
pub(super) fn cores(threads: usize) -> Vec<usize> {
    let wanted = std::env::var_os("LOSSREEL_PIN").is_none_or(|v| v != "0");
    let allowed = if wanted && threads > 1 { platform::allowed() } else { Vec::new() };
    if allowed.len() == threads { allowed } else { Vec::new() }
}

/// The cores that the process may use; none where the system does not say.
#[cfg(feature = "mpi")]
pub(super) fn allowed() -> Vec<usize> {
    platform::allowed()
}

/// Binds the calling thread. Where that is refused it stays where the scheduler puts it, and only
/// speed is lost.
pub(super) fn bind(core: usize) {
    platform::bind(core);
}

#[cfg(target_os = "linux")]
mod platform {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    /// The cores that the calling thread may use.
    pub fn allowed() -> Vec<usize> {
        let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
        (0..CpuSet::count()).filter(|&core| set.is_set(core).unwrap_or(false)).collect()
    }

    pub fn bind(core: usize) {
        let mut set = CpuSet::new();
        if set.set(core).is_ok() {
            let _ = sched_setaffinity(Pid::from_raw(0), &set);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    pub fn allowed() -> Vec<usize> {
        Vec::new()
    }

    pub fn bind(_: usize) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn threads_get_a_core_each_where_there_are_as_many_and_stay_free_elsewhere() {
        let all = platform::allowed();
        if all.len() > 1 && std::env::var_os("LOSSREEL_PIN").is_none() {
            assert_eq!(cores(all.len()), all);
        }
        assert!(cores(all.len() + 1).is_empty() && cores(1).is_empty());
        let last = all[all.len() - 1];
        // On a thread of its own, which ends.
        let bound = std::thread::spawn(move || {
            bind(last);
            platform::allowed()
        });
        assert_eq!(bound.join().unwrap(), [last]);
        assert_eq!(platform::allowed(), all);
    }
}
