"""PyTorch Lightning."""

from __future__ import annotations

import math
import os
from typing import Any

try:
    import lightning.pytorch as pl
except ImportError:
    import pytorch_lightning as pl

from lossreel._recorder import Recorder


class RecorderCallback(pl.Callback):  # type: ignore[misc]
    """Records a ``Trainer``'s fit.

    Only the process of rank 0 records. Accuracies and losses of validation are taken from what the
    module logs as ``val_loss`` and ``val_acc`` or ``val_accuracy``.

    Args:
        out: folder of the new run.
        every: when snapshots are taken, as for :class:`lossreel.Recorder`.
        options: more of its arguments.
    """

    def __init__(self, out: str | os.PathLike[str], every: str = "epoch", **options: Any) -> None:
        self._out = out
        self._every = every
        self._options = options
        self._seen = 0
        self.recorder: Recorder | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begins the run."""
        if not trainer.is_global_zero:
            return
        batches = trainer.num_training_batches
        steps = None
        if math.isfinite(batches):
            steps = math.ceil(batches / trainer.accumulate_grad_batches)
        options = {"steps_per_epoch": steps, **self._options}
        self._seen = trainer.global_step
        self.recorder = Recorder(self._out, pl_module, self._every, **options)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Records a step, where the optimizer has made one."""
        if self.recorder is None or trainer.global_step == self._seen:
            return
        self._seen = trainer.global_step
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        groups = trainer.optimizers[0].param_groups if trainer.optimizers else []
        self.recorder.step(loss=loss, lr=groups[0]["lr"] if groups else None)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Records an epoch with its validation."""
        if self.recorder is None:
            return
        found = trainer.callback_metrics
        accuracy = found.get("val_acc", found.get("val_accuracy"))
        self.recorder.epoch(test_loss=found.get("val_loss"), test_accuracy=accuracy)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Ends the run."""
        if self.recorder is not None:
            self.recorder.close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Keeps the run as unfinished."""
        if self.recorder is not None:
            self.recorder.abandon()
