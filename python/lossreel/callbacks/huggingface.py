"""The ``Trainer`` of Hugging Face's transformers."""

from __future__ import annotations

import math
import os
from typing import Any

from transformers import TrainerCallback

from lossreel._recorder import Recorder


class RecorderCallback(TrainerCallback):  # type: ignore[misc]
    """Records a ``Trainer``'s training.

    The trainer tells callbacks a loss only where it logs one: with ``logging_steps=1`` that is each
    step's, else the mean since the last; steps between have none. Only the main process records.

    Args:
        out: folder of the new run.
        every: when snapshots are taken, as for :class:`lossreel.Recorder`.
        options: more of its arguments.
    """

    def __init__(self, out: str | os.PathLike[str], every: str = "epoch", **options: Any) -> None:
        self._out = out
        self._every = every
        self._options = options
        # A step or an epoch that has ended, of which more may be told before the next begins.
        self._step_due = False
        self._epoch_due = False
        self.recorder: Recorder | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begins the run."""
        if not state.is_world_process_zero:
            return
        steps = None
        if state.max_steps > 0 and state.num_train_epochs > 0:
            steps = max(1, math.ceil(state.max_steps / state.num_train_epochs))
        options = {"steps_per_epoch": steps, **self._options}
        self.recorder = Recorder(self._out, kwargs["model"], self._every, **options)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Whatever ended before has ended."""
        self._settle({}, **kwargs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A step was made; its loss may come yet."""
        self._step_due = True

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Records the step with what was logged of it."""
        if self._step_due and logs and "loss" in logs:
            self._step(logs, **kwargs)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """An epoch has ended; its evaluation may come yet."""
        if self._step_due:
            self._step({}, **kwargs)
        self._epoch_due = True

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,
        metrics: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Records the epoch with its evaluation."""
        if self._epoch_due:
            self._settle(metrics or {}, **kwargs)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ends the run."""
        self._settle({}, **kwargs)
        if self.recorder is not None:
            self.recorder.close()

    def _step(self, logs: dict[str, Any], lr_scheduler: Any = None, **_: Any) -> None:
        self._step_due = False
        if self.recorder is None:
            return
        lr = logs.get("learning_rate")
        if lr is None and lr_scheduler is not None:
            lr = lr_scheduler.get_last_lr()[0]
        self.recorder.step(loss=logs.get("loss"), lr=lr, grad_norm=logs.get("grad_norm"))

    def _settle(self, metrics: dict[str, Any], **kwargs: Any) -> None:
        if self._step_due:
            self._step({}, **kwargs)
        if self._epoch_due and self.recorder is not None:
            accuracy = metrics.get("eval_accuracy")
            self.recorder.epoch(test_loss=metrics.get("eval_loss"), test_accuracy=accuracy)
        self._epoch_due = False
