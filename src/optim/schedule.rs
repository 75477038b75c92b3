//! Learning-rate schedules: the rate at a step as a pure function, so that a resumed run needs no
//! scheduler state.
//!
//! With a warm-up of w steps the rate climbs linearly from `warmup_start * lr`, as
//! `torch.optim.lr_scheduler.LinearLR`, and the schedule proper begins after it: cosine and
//! one-cycle span the remaining steps (as `SequentialLR` chains them). The milestones of `step`
//! count epochs from the very start, warm-up included; the decay of `wsd` is a part of the whole run.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::names::named_enum;

named_enum! {
    /// The shapes of a schedule.
    #[derive(Default)]
    pub enum ScheduleKind("schedule") {
        /// The base rate throughout.
        Constant = "constant",
        /// Times `gamma` at each milestone: the paper's.
        #[default]
        Step = "step",
        /// Half a cosine from the base rate down to `min_lr` (Loshchilov & Hutter 2017).
        Cosine = "cosine",
        /// Up to the base rate and far down again, both by half a cosine (Smith & Topin 2018).
        OneCycle = "one_cycle",
        /// Warm-up, the base rate, and a decay down to `min_lr` at the end (Hu et al. 2024).
        Wsd = "wsd",
    }
}

named_enum! {
    /// How the rate of `wsd` falls.
    #[derive(Default)]
    pub enum DecayShape("shape of a decay") {
        /// In a straight line.
        #[default]
        Linear = "linear",
        /// As 1 - sqrt(part of the decay) (Haegele et al. 2024).
        OneMinusSqrt = "one_minus_sqrt",
    }
}

/// The `[schedule]` table of a spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScheduleConfig {
    /// The shape.
    pub kind: ScheduleKind,
    /// step: the epochs at which the rate drops; by default 1/2, 3/4 and 11/12 of the run, which
    /// for 300 epochs are the paper's 150, 225 and 275.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milestones: Option<Vec<u64>>,
    /// step: the factor of each drop.
    pub gamma: f64,
    /// cosine and wsd: the rate it ends at.
    pub min_lr: f64,
    /// wsd: the part of the run in which the rate falls; by default 0.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay_fraction: Option<f64>,
    /// wsd: how it falls; by default in a straight line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay_shape: Option<DecayShape>,
    /// one_cycle: the part of the run in which the rate rises.
    pub pct_start: f64,
    /// one_cycle: the base rate over the first one.
    pub div_factor: f64,
    /// one_cycle: the first rate over the last one.
    pub final_div_factor: f64,
    /// Epochs of linear warm-up before any of them; a fraction of an epoch will do.
    pub warmup_epochs: f64,
    /// The first rate of the warm-up over the base rate.
    pub warmup_start: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            kind: ScheduleKind::default(),
            milestones: None,
            gamma: 0.1,
            min_lr: 0.0,
            decay_fraction: None,
            decay_shape: None,
            pct_start: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
            warmup_epochs: 0.0,
            warmup_start: 0.01,
        }
    }
}

impl ScheduleConfig {
    /// Checks every value against a run of `epochs` and writes the milestones out.
    ///
    /// # Errors
    /// [`Error::BadValue`] naming the key (`schedule.gamma`, ...).
    pub fn resolve(mut self, epochs: u64) -> Result<Self> {
        if self.kind == ScheduleKind::Step {
            self.milestones.get_or_insert_with(|| default_milestones(epochs));
        }
        if self.kind == ScheduleKind::Wsd {
            self.decay_fraction.get_or_insert(0.2);
            self.decay_shape.get_or_insert_default();
        }
        let check = |key: &str, value: f64, ok: bool, remedy: &str| {
            if ok && value.is_finite() {
                return Ok(());
            }
            Err(Error::bad_value(format!("schedule.{key}"), value, "out of its range", remedy))
        };
        check("gamma", self.gamma, self.gamma > 0.0, "choose a positive factor, such as 0.1")?;
        check("min_lr", self.min_lr, self.min_lr >= 0.0, "choose a rate of zero or more")?;
        if let Some(part) = self.decay_fraction {
            let within = (0.0..=1.0).contains(&part);
            check("decay_fraction", part, within, "choose a part of the run, 0 to 1")?;
        }
        let rising = (0.0..=1.0).contains(&self.pct_start);
        check("pct_start", self.pct_start, rising, "choose a part of the run, 0 to 1")?;
        for (key, value) in
            [("div_factor", self.div_factor), ("final_div_factor", self.final_div_factor)]
        {
            check(key, value, value > 0.0, "choose a positive factor")?;
        }
        let within = (0.0..=epochs as f64).contains(&self.warmup_epochs);
        let remedy = format!("choose 0 to train.epochs, {epochs}");
        check("warmup_epochs", self.warmup_epochs, within, &remedy)?;
        let within = (0.0..=1.0).contains(&self.warmup_start);
        check("warmup_start", self.warmup_start, within, "choose a part of the base rate, 0 to 1")?;
        if let Some(milestones) = &self.milestones
            && !milestones.is_sorted()
        {
            return Err(Error::bad_value(
                "schedule.milestones",
                format!("{milestones:?}"),
                "out of order",
                "list the epochs in rising order",
            ));
        }
        Ok(self)
    }

    /// The learning rate of step `step`, counted from 0, in a run of `total_steps`.
    /// A step past the end has the last one's rate.
    pub fn lr_at(&self, base_lr: f64, step: u64, steps_per_epoch: u64, total_steps: u64) -> f64 {
        let step = step.min(total_steps.saturating_sub(1));
        let warmup =
            ((self.warmup_epochs * steps_per_epoch as f64).round() as u64).min(total_steps);
        if step < warmup {
            let ramp = step as f64 / warmup as f64;
            return base_lr * (self.warmup_start + (1.0 - self.warmup_start) * ramp);
        }
        let (at, total) = ((step - warmup) as f64, (total_steps - warmup) as f64);
        match self.kind {
            ScheduleKind::Constant => base_lr,
            ScheduleKind::Step => {
                let steps_per_epoch = steps_per_epoch.max(1);
                let epoch = step / steps_per_epoch;
                let drops = |milestones: &[u64]| milestones.iter().filter(|&&m| m <= epoch).count();
                let drops = match &self.milestones {
                    Some(milestones) => drops(milestones),
                    None => drops(&default_milestones(total_steps.div_ceil(steps_per_epoch))),
                };
                base_lr * self.gamma.powi(drops as i32)
            }
            ScheduleKind::Cosine => anneal(base_lr, self.min_lr, at / total.max(1.0)),
            ScheduleKind::Wsd => {
                let share = self.decay_fraction.unwrap_or(0.2);
                let falling = (share * total_steps as f64).round().min(total);
                let part = ((at - (total - falling)) / falling.max(1.0)).max(0.0);
                let left = match self.decay_shape.unwrap_or_default() {
                    DecayShape::Linear => 1.0 - part,
                    DecayShape::OneMinusSqrt => 1.0 - part.sqrt(),
                };
                self.min_lr + (base_lr - self.min_lr) * left
            }
            ScheduleKind::OneCycle => {
                // PyTorch's phases: up to step `peak`, then down to the last step.
                let first = base_lr / self.div_factor;
                let last = first / self.final_div_factor;
                let peak = (self.pct_start * total - 1.0).max(0.0);
                if at < peak {
                    anneal(first, base_lr, at / peak)
                } else {
                    anneal(base_lr, last, (at - peak) / (total - 1.0 - peak).max(1.0))
                }
            }
        }
    }
}

/// Half a cosine from `from` at 0 to `to` at 1.
fn anneal(from: f64, to: f64, part: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * part).cos())
}

/// The paper's 150, 225 and 275 of 300 epochs, in proportion; none at or beyond the end.
fn default_milestones(epochs: u64) -> Vec<u64> {
    let at = |part: f64| (part * epochs as f64).round() as u64;
    let mut milestones = vec![at(1.0 / 2.0), at(3.0 / 4.0), at(11.0 / 12.0)];
    milestones.retain(|m| (1..epochs).contains(m));
    milestones.dedup();
    milestones
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_milestones_are_the_papers_in_proportion() {
        assert_eq!(default_milestones(300), [150, 225, 275]);
        assert_eq!(default_milestones(10), [5, 8, 9]);
        assert_eq!(default_milestones(2), [1]);
        assert!(default_milestones(1).is_empty());
    }

    #[test]
    fn every_kind_stays_finite_in_a_run_of_any_length() {
        for &kind in ScheduleKind::ALL {
            for pct_start in [0.0, 0.3, 1.0] {
                for warmup_epochs in [0.0, 0.5, 1.0] {
                    let base = ScheduleConfig::default();
                    let config = ScheduleConfig { kind, pct_start, warmup_epochs, ..base };
                    let config = config.resolve(1).unwrap();
                    for total in 0..4 {
                        for step in 0..5 {
                            let lr = config.lr_at(0.1, step, total, total);
                            assert!((0.0..=0.1 + 1e-15).contains(&lr), "{config:?} {step}: {lr}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_bad_value_is_an_error_that_names_its_key() {
        for (toml, key) in [
            ("gamma = 0", "schedule.gamma"),
            ("min_lr = -1", "schedule.min_lr"),
            ("pct_start = 1.5", "schedule.pct_start"),
            ("decay_fraction = 1.5", "schedule.decay_fraction"),
            ("div_factor = 0", "schedule.div_factor"),
            ("final_div_factor = nan", "schedule.final_div_factor"),
            ("warmup_epochs = 11", "schedule.warmup_epochs"),
            ("warmup_start = -1", "schedule.warmup_start"),
            ("milestones = [5, 2]", "schedule.milestones"),
        ] {
            let config: ScheduleConfig = toml::from_str(toml).unwrap();
            let message = config.resolve(10).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{key}` is ")), "{toml}: {message}");
        }
    }
}
