//! When snapshots are taken: at the times of policies, and when something happens.

use std::collections::VecDeque;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::names::named_enum;
use crate::{Error, Result};

named_enum! {
    /// Something that happens in a training and is worth a snapshot.
    pub enum Trigger("occasion") {
        /// The last state before the learning rate drops: the rates of the last two steps are equal, and
        /// that of the next is below [`DROP`] of them. A rate that falls all the time (a cosine) does not
        /// drop.
        LrDrop = "on:lr_drop",
        /// The batch loss of the step that led here is above the mean of the [`SPIKE_WINDOW`] steps before
        /// it by more than [`SPIKE_DEVIATIONS`] of their standard deviations. At least [`SPIKE_LEAST`]
        /// steps must come before it.
        LossSpike = "on:loss_spike",
        /// The end of an epoch whose test loss is below that of every earlier epoch.
        NewBest = "on:new_best",
    }
}

/// A learning rate below this part of the one before has dropped.
pub const DROP: f64 = 2.0 / 3.0;

/// Steps whose losses a loss is compared with to tell whether it is a spike.
pub const SPIKE_WINDOW: usize = 100;

/// Steps that there must be at least to tell.
pub const SPIKE_LEAST: usize = 20;

/// Standard deviations that a spike is above the mean.
pub const SPIKE_DEVIATIONS: f64 = 5.0;

/// When snapshots are taken, beside the first and the last state: at the times of some policies, and on
/// what happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Occasions {
    /// At these times.
    pub at: Vec<Policy>,
    /// When one of these happens.
    pub on: Vec<Trigger>,
}

impl Default for Occasions {
    fn default() -> Self {
        Self { at: vec![Policy::default()], on: Vec::new() }
    }
}

impl Occasions {
    /// Whether the state after `step` steps is taken for its time alone.
    pub fn takes(&self, step: u64, steps_per_epoch: u64) -> bool {
        step == 0 || self.at.iter().any(|policy| policy.takes(step, steps_per_epoch))
    }

    /// Whether `trigger` is among them.
    pub fn has(&self, trigger: Trigger) -> bool {
        self.on.contains(&trigger)
    }
}

impl FromStr for Occasions {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut found = Self { at: Vec::new(), on: Vec::new() };
        for part in text.split(',').map(str::trim) {
            if part.starts_with("on:") {
                found.on.push(part.parse()?);
            } else {
                found.at.push(Policy::parse("record.every", part)?);
            }
        }
        Ok(found)
    }
}

impl TryFrom<String> for Occasions {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Occasions> for String {
    fn from(occasions: Occasions) -> String {
        let at = occasions.at.into_iter().map(String::from);
        let on = occasions.on.into_iter().map(|trigger| trigger.to_string());
        at.chain(on).collect::<Vec<_>>().join(", ")
    }
}

/// Tells a loss spike from the losses of the steps before it. All that it knows are the last losses of the
/// log, so that it decides alike after a resumption.
#[derive(Debug, Default)]
pub(super) struct SpikeWatch {
    losses: VecDeque<f64>,
}

impl SpikeWatch {
    /// Takes in the loss of a step and says whether it is a spike. A loss that is not finite is neither.
    pub fn is_spike(&mut self, loss: f64) -> bool {
        if !loss.is_finite() {
            return false;
        }
        let n = self.losses.len() as f64;
        // Summed anew in order, not updated: the same bits wherever the window was filled.
        let mean = self.losses.iter().sum::<f64>() / n;
        let variance = self.losses.iter().map(|l| (l - mean) * (l - mean)).sum::<f64>() / n;
        let enough = self.losses.len() >= SPIKE_LEAST;
        let spike = enough && loss > mean + SPIKE_DEVIATIONS * variance.sqrt();
        if self.losses.len() == SPIKE_WINDOW {
            self.losses.pop_front();
        }
        self.losses.push_back(loss);
        spike
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occasions_are_policies_and_triggers_in_any_order() {
        let found: Occasions = "on:new_best, 2 epochs,step:7, on:lr_drop".parse().unwrap();
        assert_eq!(found.at, [Policy::Epochs(2), Policy::Steps(7)]);
        assert!(found.has(Trigger::NewBest) && !found.has(Trigger::LossSpike));
        let steps: Vec<u64> = (0..=21).filter(|&s| found.takes(s, 5)).collect();
        assert_eq!(steps, [0, 7, 10, 14, 20, 21]);
        let text = String::from(found.clone());
        assert_eq!(text, "2 epochs, 7 steps, on:new_best, on:lr_drop");
        assert_eq!(text.parse::<Occasions>().unwrap(), found);
        let only: Occasions = "on:loss_spike".parse().unwrap();
        assert!(only.takes(0, 5) && !only.takes(5, 5));
        let error = "epoch, on:lr_dorp".parse::<Occasions>().unwrap_err().to_string();
        assert!(error.contains("did you mean `on:lr_drop`"), "{error}");
        assert!("epoch,".parse::<Occasions>().is_err());
    }

    #[test]
    fn a_spike_stands_out_of_the_losses_before_it_and_a_resumed_watch_sees_the_same() {
        // Losses that fall slowly and swing by 0.1, with one of 3 among them.
        let loss = |step: usize| match step {
            150 => 3.0,
            _ => 2.0 - 0.002 * step as f64 + 0.1 * ((step * 7 % 11) as f64 / 11.0 - 0.5),
        };
        let mut watch = SpikeWatch::default();
        let spikes: Vec<usize> = (0..300).filter(|&s| watch.is_spike(loss(s))).collect();
        assert_eq!(spikes, [150]);
        // Too early to tell.
        let mut early = SpikeWatch::default();
        assert!(!(0..SPIKE_LEAST).any(|s| early.is_spike(if s == 19 { 50.0 } else { loss(s) })));
        // Only the last steps count: a watch filled from them has the same window.
        let mut resumed = SpikeWatch::default();
        (0..300).skip(300 - SPIKE_WINDOW).for_each(|s| _ = resumed.is_spike(loss(s)));
        assert_eq!(resumed.losses, watch.losses);
        assert!(!watch.is_spike(f64::NAN) && watch.losses.len() == SPIKE_WINDOW);
    }
}
