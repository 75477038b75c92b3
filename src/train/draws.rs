//! The random numbers of a training: the streams that each step draws from, and the order in which an epoch
//! visits the images.
//!
//! A run may be a fork of another one: up to a step it draws what that run draws, and from there on its
//! order, augmentation and dropout come from streams of its own, while all else that is drawn (the initial
//! weights, the sample, wrong labels) stays. That is the noise of SGD alone, as in the instability analysis
//! of Frankle et al. 2020 (arXiv 1912.05671). Every draw is addressed by epoch or step, so a fork that is
//! trained from the beginning has the bytes of one that goes on from the other run's state.

use super::TrainSpec;
use crate::dataset::epoch_order;
use crate::rng::Streams;

/// The random numbers of a training.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    own: Streams,
    fork: Option<Fork>,
    steps_per_epoch: u64,
    batch_size: usize,
}

/// From when on which streams are others.
#[derive(Debug, Clone, Copy)]
struct Fork {
    /// Steps made before.
    step: u64,
    streams: Streams,
}

impl TrainSpec {
    /// The random numbers of a training of so many steps an epoch.
    pub fn draws(&self, steps_per_epoch: u64) -> Draws {
        let own = Streams::new(self.seed);
        let fork = self.fork_step(steps_per_epoch).map(|step| {
            // Of both seeds: forks of two runs with one fork seed have nothing in common.
            let seed = own.stream("fork", self.fork_seed.unwrap_or(0)).bits();
            Fork { step, streams: Streams::new(seed) }
        });
        Draws { own, fork, steps_per_epoch, batch_size: self.batch_size }
    }
}

impl Draws {
    /// The streams that step `step`, from 0, draws augmentation, dropout and probes from.
    pub fn at(&self, step: u64) -> Streams {
        match self.fork {
            Some(fork) if step >= fork.step => fork.streams,
            _ => self.own,
        }
    }

    /// The step before which neither the epoch of `step`, from 0, ends nor the streams change.
    pub fn until(&self, step: u64) -> u64 {
        let end = (step / self.steps_per_epoch + 1).saturating_mul(self.steps_per_epoch);
        self.fork.map(|fork| fork.step).filter(|fork| (step + 1..end).contains(fork)).unwrap_or(end)
    }

    /// The order in which epoch `epoch`, from 0, visits `n` images. Of the epoch in which a run forks, what
    /// was not visited before is shuffled anew: every image is visited once all the same.
    pub fn epoch_order(&self, epoch: u64, n: usize) -> Vec<usize> {
        let first = epoch.saturating_mul(self.steps_per_epoch);
        let Some(fork) = self.fork.filter(|fork| fork.step < first + self.steps_per_epoch) else {
            return epoch_order(&self.own, epoch, n);
        };
        if fork.step <= first {
            return epoch_order(&fork.streams, epoch, n);
        }
        let mut order = epoch_order(&self.own, epoch, n);
        let visited = (fork.step - first) as usize * self.batch_size;
        fork.streams.stream("shuffle", epoch).shuffle(&mut order[visited.min(n)..]);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(fork: Option<(f64, u64)>) -> Draws {
        let spec = TrainSpec {
            batch_size: 5,
            seed: 7,
            fork_epoch: fork.map(|f| f.0),
            fork_seed: fork.map(|f| f.1),
            ..TrainSpec::default()
        };
        spec.draws(4)
    }

    #[test]
    fn a_fork_draws_as_its_parent_before_and_otherwise_after() {
        let (parent, fork) = (draws(None), draws(Some((1.5, 1))));
        let other = draws(Some((1.5, 2)));
        assert_eq!(fork.epoch_order(0, 18), parent.epoch_order(0, 18));
        assert_ne!(fork.epoch_order(2, 18), parent.epoch_order(2, 18));
        assert_ne!(fork.epoch_order(2, 18), other.epoch_order(2, 18));
        // Two batches of five are alike; the rest is the same images in another order.
        let [of_parent, of_fork] = [parent, fork].map(|draws| draws.epoch_order(1, 18));
        assert_eq!(of_parent[..10], of_fork[..10]);
        assert_ne!(of_parent[10..], of_fork[10..]);
        let sorted = |mut order: Vec<usize>| {
            order.sort_unstable();
            order
        };
        assert_eq!(sorted(of_fork), (0..18).collect::<Vec<_>>());
        for step in 0..12 {
            assert_eq!(fork.at(step) == parent.at(step), step < 6, "{step}");
        }
        let until: Vec<u64> = (0..9).map(|step| fork.until(step)).collect();
        assert_eq!(until, [4, 4, 4, 4, 6, 6, 8, 8, 12]);
        assert_eq!((parent.until(4), parent.until(8)), (8, 12));
    }

    #[test]
    fn a_fork_at_the_start_of_an_epoch_has_an_order_of_its_own_from_there_on() {
        let parent = draws(None);
        for (at, alike) in [(0.0, 0), (1.0, 1), (3.0, 3)] {
            let fork = draws(Some((at, 1)));
            let same = |epoch| fork.epoch_order(epoch, 20) == parent.epoch_order(epoch, 20);
            assert_eq!((0..5).filter(|&epoch| same(epoch)).count(), alike, "{at}");
            assert!((0..alike as u64).all(same));
        }
    }
}
