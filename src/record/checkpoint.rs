//! The newest state from which training goes on as if it had never stopped.

use super::snapshots::{read_state, write_state};
use super::{FORMAT_VERSION, Run};
use crate::disk;
use crate::train::{Setup, TrainState};
use crate::weights::SafetensorsFile;
use crate::{Error, Result};

/// Prefix of the optimizer's vectors among the tensors.
const OPTIMIZER: &str = "optimizer.";

impl Run {
    /// Replaces the checkpoint.
    pub(super) fn write_checkpoint(&self, setup: &Setup, state: &TrainState) -> Result<()> {
        let layout = &setup.backend.network().layout;
        let shape = [layout.dim()];
        let slots: Vec<(String, &[f32])> =
            state.optimizer.slots().map(|(name, v)| (format!("{OPTIMIZER}{name}"), v)).collect();
        let extra: Vec<_> = slots.iter().map(|(n, v)| (n.as_str(), shape.as_slice(), *v)).collect();
        // Floats as their bits: a resumed sum must be the same sum.
        let metadata = [
            ("format_version", FORMAT_VERSION.to_string()),
            ("layout_digest", layout.digest()),
            ("step", state.step.to_string()),
            ("optimizer", state.optimizer.rule().to_string()),
            ("optimizer_t", state.optimizer.t().to_string()),
            ("epoch_loss_bits", state.epoch_loss.to_bits().to_string()),
            ("epoch_correct", state.epoch_correct.to_string()),
            ("epoch_images", state.epoch_images.to_string()),
            ("best_test_loss_bits", state.best_test_loss.to_bits().to_string()),
            ("epochs_since_best", state.epochs_since_best.to_string()),
        ]
        .map(|(k, v)| (k.to_string(), v));
        write_state(
            &self.checkpoint_path(),
            layout,
            &state.theta,
            &state.buffers,
            &extra,
            &metadata,
        )
    }

    /// Reads the checkpoint into a state of `setup`.
    ///
    /// # Errors
    /// [`Error::NoCheckpoint`] when there is none, [`Error::BadFile`] when it is damaged or of another
    /// network.
    pub fn read_checkpoint(&self, setup: &Setup) -> Result<TrainState> {
        let path = self.checkpoint_path();
        if !disk::is_there(&path)? {
            return Err(Error::NoCheckpoint { path: self.root.clone() });
        }
        let mut file = SafetensorsFile::open(&path)?;
        file.verify()?;
        let bad = |what: String| Error::BadFile {
            what,
            remedy: "start the run again from the beginning".into(),
            path: path.clone(),
        };
        let layout = &setup.backend.network().layout;
        if file.meta("layout_digest") != Some(&layout.digest()) {
            return Err(bad("the checkpoint is of another network".into()));
        }
        let number = |key: &str| {
            file.meta(key)
                .and_then(|v| v.parse::<u64>().ok())
                .ok_or_else(|| bad(format!("the checkpoint's `{key}` is missing or no number")))
        };
        let mut state = setup.begin()?;
        state.step = number("step")?;
        state.epoch_loss = f64::from_bits(number("epoch_loss_bits")?);
        state.epoch_correct = number("epoch_correct")?;
        state.epoch_images = number("epoch_images")?;
        state.best_test_loss = f64::from_bits(number("best_test_loss_bits")?);
        state.epochs_since_best = number("epochs_since_best")?;
        let t = number("optimizer_t")?;
        (state.theta, state.buffers) = read_state(&mut file, layout)?;
        let names: Vec<String> =
            file.names().filter(|n| n.starts_with(OPTIMIZER)).map(str::to_string).collect();
        let mut slots = Vec::new();
        for name in names {
            let values = file.read(&name)?.data;
            slots.push((name[OPTIMIZER.len()..].to_string(), values));
        }
        state.optimizer.restore(t, slots)?;
        Ok(state)
    }
}
