//! The runs of an analysis: the parent, which stops at each fork and goes on, and its children.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{ForkPoint, Settings};
use crate::record::{Existing, Run, Status, Trained};
use crate::spec::{Spec, changed_keys};
use crate::stages::train::{Prepared, create, resume_with_data};
use crate::train::{Event, Verdict};
use crate::{Error, Result};

/// Trains the runs of an analysis in the folder `root`.
pub(super) struct Trainer<'a> {
    pub root: &'a Path,
    /// The parent's.
    pub spec: &'a Spec,
    /// Where children are missing, in order.
    pub forks: &'a [ForkPoint],
    pub settings: &'a Settings,
    pub interrupt: &'a AtomicBool,
}

/// The error of a training that was asked to stop.
pub(super) fn interrupted() -> Error {
    Error::Interrupted {
        remedy: "what is done is kept: the same command goes on from there".into(),
    }
}

impl Trainer<'_> {
    /// The run folder of a child, from 1.
    pub fn child_dir(&self, fork: ForkPoint, child: usize) -> PathBuf {
        self.root.join("runs").join(format!("epoch-{}_child-{child}", fork.epoch))
    }

    /// The spec of a child: nothing but where it forks, and its streams from there on.
    fn child_spec(&self, fork: ForkPoint, child: usize) -> Spec {
        let mut spec = self.spec.clone();
        (spec.train.fork_epoch, spec.train.fork_seed) = (Some(fork.epoch), Some(child as u64));
        spec
    }

    /// Trains the parent, which is stopped at each fork for its children to be made of its state.
    pub fn train_parent(&self, on_event: &mut dyn FnMut(&str, &Event<'_>)) -> Result<()> {
        let root = self.root.join("runs").join("parent");
        let Some(mut prepared) = self.prepare(&root, self.spec)? else {
            let run = Run::open(&root)?;
            return match run.manifest()?.status {
                Status::Ended { verdict: Verdict::Finished, steps } => self.fork_at(&run, steps),
                _ => Ok(()),
            };
        };
        let stop = AtomicBool::new(false);
        loop {
            let step = prepared.state.step;
            self.fork_at(&prepared.run, step)?;
            let next = self.forks.iter().map(|fork| fork.step).find(|&fork| fork > step);
            let verdict = prepared.train(&stop, &mut |event| {
                let is_there = match event {
                    Event::Step { state, .. } => Some(state.step) == next,
                    _ => false,
                };
                if is_there || self.interrupt.load(Ordering::Relaxed) {
                    stop.store(true, Ordering::Relaxed);
                }
                on_event("parent", event);
            })?;
            stop.store(false, Ordering::Relaxed);
            match verdict {
                Verdict::Interrupted if self.interrupt.load(Ordering::Relaxed) => {
                    return Err(interrupted());
                }
                Verdict::Interrupted => {}
                // Children of its last state are copies of it.
                Verdict::Finished => return self.fork_at(&prepared.run, prepared.state.step),
                Verdict::EarlyStopped | Verdict::Diverged { .. } => return Ok(()),
            }
        }
    }

    /// Makes the children of the forks after `step` steps of the parent, which is there, where there is
    /// nothing in their places. What has no step made is no different from a new run.
    fn fork_at(&self, parent: &Run, step: u64) -> Result<()> {
        for fork in self.forks.iter().filter(|fork| fork.step == step && step > 0) {
            for child in 1..=self.settings.children {
                let to = self.child_dir(*fork, child);
                if !to.exists() {
                    parent.fork_into(&to, &self.child_spec(*fork, child).to_toml())?;
                }
            }
        }
        Ok(())
    }

    /// Trains a child to its end. One that was not made of the parent's state (which is past the fork, or
    /// diverged before) is trained from the beginning, to the same bytes.
    pub fn train_child(
        &self,
        fork: ForkPoint,
        child: usize,
        on_event: &mut dyn FnMut(&str, &Event<'_>),
    ) -> Result<()> {
        let root = self.child_dir(fork, child);
        let Some(mut prepared) = self.prepare(&root, &self.child_spec(fork, child))? else {
            return Ok(());
        };
        let name = prepared.run.name();
        match prepared.train(self.interrupt, &mut |event| on_event(&name, event))? {
            Verdict::Interrupted => Err(interrupted()),
            _ => Ok(()),
        }
    }

    /// The run of `spec` in the folder `root`, to be begun or gone on with; none where it has come to its end.
    fn prepare(&self, root: &Path, spec: &Spec) -> Result<Option<Prepared>> {
        let trained = Trained::of(root)?;
        if !matches!(trained, Trained::No | Trained::NotBegun) {
            let keys = changed_keys(&Run::open(root)?.manifest()?.spec, &spec.to_toml());
            if !keys.is_empty() {
                return Err(Error::SpecChanged { keys, path: root.join("spec.toml") });
            }
        }
        Ok(match trained {
            Trained::Yes | Trained::Diverged => None,
            Trained::Cut => Some(resume_with_data(root, spec.data.dir.as_deref())?),
            Trained::NotBegun => Some(create(spec, root, Existing::Replace)?),
            Trained::No => Some(create(spec, root, Existing::Refuse)?),
        })
    }
}
