//! Which snapshots stay.
//!
//! The choice depends on the snapshots alone, and whoever is left out once never comes back, whatever
//! follows: leaving out again and again as snapshots come gives what leaving out at the end would give.
//! A resumed run, which takes some of them a second time, therefore ends with the same files.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The snapshots that stay beside the first and the last. Without a number all do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Keep {
    /// So many of the newest.
    pub last: Option<usize>,
    /// So many of those with the lowest test loss. Only a snapshot at the end of an epoch has one.
    pub best: Option<usize>,
}

/// A snapshot on disk, as [`Keep`] sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    /// Its number.
    pub index: usize,
    /// Steps made.
    pub step: u64,
    /// The test loss, where this is the end of an epoch.
    pub test_loss: Option<f64>,
    /// Whether the training ended here because the loss was no longer finite.
    pub diverged: bool,
}

impl Keep {
    /// Whether nothing is ever left out.
    pub fn is_all(self) -> bool {
        self.last.is_none() && self.best.is_none()
    }

    /// How many of `taken` snapshots stay at most.
    pub fn most(self, taken: usize) -> usize {
        if self.is_all() {
            return taken;
        }
        // The first, and the last where it is not one of the newest that are asked for.
        let asked = self.last.unwrap_or(1).saturating_add(self.best.unwrap_or(0));
        taken.min(asked.saturating_add(1))
    }

    /// Which of `held`, in the order they were taken, stay.
    pub(super) fn stays(self, held: &[Held]) -> Vec<bool> {
        if self.is_all() {
            return vec![true; held.len()];
        }
        // Where training broke is no state of the path: it stays, and does not count.
        let mut stays: Vec<bool> = held.iter().map(|s| s.diverged || s.step == 0).collect();
        let counted: Vec<usize> = (0..held.len()).filter(|&i| !held[i].diverged).collect();
        let newest = self.last.unwrap_or(1).max(1);
        counted.iter().rev().take(newest).for_each(|&i| stays[i] = true);
        let loss = |i: usize| held[i].test_loss.filter(|loss| !loss.is_nan());
        let mut by_loss: Vec<(f64, usize)> =
            counted.iter().filter_map(|&i| Some((loss(i)?, i))).collect();
        by_loss.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        by_loss.iter().take(self.best.unwrap_or(0)).for_each(|&(_, i)| stays[i] = true);
        stays
    }
}

impl FromStr for Keep {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |problem: &str| {
            Error::bad_value(
                "record.keep",
                format!("\"{text}\""),
                problem,
                "use \"all\", \"last=10\", \"best=3\" or \"last=10, best=3\"",
            )
        };
        if text.trim() == "all" {
            return Ok(Self::default());
        }
        let mut keep = Self::default();
        for part in text.split(',') {
            let (what, n) = part.split_once('=').ok_or_else(|| bad("which says not how many"))?;
            let n = match n.trim().parse::<usize>() {
                Ok(n) if n > 0 => n,
                _ => return Err(bad("whose number is not a positive whole one")),
            };
            let slot = match what.trim() {
                "last" => &mut keep.last,
                "best" => &mut keep.best,
                _ => return Err(bad("not a choice of snapshots")),
            };
            if slot.replace(n).is_some() {
                return Err(bad("which says one thing twice"));
            }
        }
        Ok(keep)
    }
}

impl TryFrom<String> for Keep {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> String {
        let last = keep.last.map(|n| format!("last={n}"));
        let best = keep.best.map(|n| format!("best={n}"));
        let parts: Vec<String> = last.into_iter().chain(best).collect();
        if parts.is_empty() { "all".into() } else { parts.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Snapshots every five steps; every second is the end of an epoch, with these test losses.
    fn path(losses: &[f64]) -> Vec<Held> {
        let held = |index: usize| Held {
            index,
            step: 5 * index as u64,
            test_loss: (index > 0 && index.is_multiple_of(2)).then(|| losses[index / 2 - 1]),
            diverged: false,
        };
        (0..=2 * losses.len()).map(held).collect()
    }

    fn kept(keep: &str, held: &[Held]) -> Vec<usize> {
        let stays = keep.parse::<Keep>().unwrap().stays(held);
        held.iter().zip(stays).filter(|(_, stays)| *stays).map(|(s, _)| s.index).collect()
    }

    #[test]
    fn the_first_the_last_and_those_asked_for_stay() {
        let held = path(&[3.0, 1.0, 2.0, f64::NAN, 1.5]);
        for (keep, most) in [("all", 11), ("last=3", 4), ("best=2", 4), ("last=99", 11)] {
            assert_eq!(keep.parse::<Keep>().unwrap().most(11), most, "{keep}");
        }
        assert_eq!(kept("all", &held).len(), 11);
        assert_eq!(kept("last=3", &held), [0, 8, 9, 10]);
        assert_eq!(kept("best=2", &held), [0, 4, 10]);
        assert_eq!(kept("best=3, last=2", &held), [0, 4, 6, 9, 10]);
        assert_eq!(kept("last=99", &held).len(), 11);
        let mut broken = held;
        broken.push(Held { index: 11, step: 55, test_loss: None, diverged: true });
        assert_eq!(kept("last=1", &broken), [0, 10, 11]);
    }

    #[test]
    fn leaving_out_as_snapshots_come_is_leaving_out_at_the_end() {
        let losses: Vec<f64> = (0..40).map(|i| f64::from(i * 37 % 23)).collect();
        let all = path(&losses);
        for keep in ["last=3", "best=4", "last=2, best=5"] {
            let rule: Keep = keep.parse().unwrap();
            // At every snapshot, or now and then.
            for every in [1, 7, 80] {
                let mut held: Vec<Held> = Vec::new();
                for (i, next) in all.iter().enumerate() {
                    held.push(next.clone());
                    if i % every == 0 || i + 1 == all.len() {
                        let stays = rule.stays(&held);
                        let mut stays = stays.iter();
                        held.retain(|_| *stays.next().unwrap());
                    }
                }
                let held: Vec<usize> = held.iter().map(|s| s.index).collect();
                assert_eq!(held, kept(keep, &all), "{keep}, {every}");
            }
        }
    }

    #[test]
    fn a_choice_survives_being_written_and_bad_ones_are_refused() {
        for text in ["all", "last=5", "best=2", "last=5, best=2"] {
            assert_eq!(String::from(text.parse::<Keep>().unwrap()), text);
        }
        for text in ["", "last", "last=0", "worst=3", "last=1,last=2", "last=-1", "5"] {
            let error = text.parse::<Keep>().unwrap_err().to_string();
            assert!(error.contains("record.keep") && error.contains("best=3"), "{error}");
        }
    }
}
