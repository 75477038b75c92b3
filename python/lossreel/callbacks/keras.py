"""Keras 3, whatever its backend."""

from __future__ import annotations

import os
from typing import Any

import keras

from lossreel._recorder import Recorder


class RecorderCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Records ``model.fit``.

    The loss of a step is what Keras hands to callbacks: the mean over the epoch so far. Where ``fit``
    raises, the run is unfinished.

    Args:
        out: folder of the new run.
        every: when snapshots are taken, as for :class:`lossreel.Recorder`.
        options: more of its arguments.
    """

    def __init__(self, out: str | os.PathLike[str], every: str = "epoch", **options: Any) -> None:
        super().__init__()
        self._out = out
        self._every = every
        self._options = options
        self.recorder: Recorder | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begins the run."""
        steps = (self.params or {}).get("steps")
        options = {"steps_per_epoch": steps, **self._options}
        self.recorder = Recorder(self._out, self.model, self._every, **options)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Records a step."""
        if self.recorder is None:
            return
        logs = logs or {}
        rate = getattr(self.model.optimizer, "learning_rate", None)
        lr = None if rate is None else float(keras.ops.convert_to_numpy(rate))
        accuracy = logs.get("accuracy", logs.get("acc"))
        self.recorder.step(loss=logs.get("loss"), lr=lr, accuracy=accuracy)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Records an epoch with its validation."""
        if self.recorder is None:
            return
        logs = logs or {}
        accuracy = logs.get("val_accuracy", logs.get("val_acc"))
        self.recorder.epoch(test_loss=logs.get("val_loss"), test_accuracy=accuracy)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Ends the run."""
        if self.recorder is not None:
            self.recorder.close()
