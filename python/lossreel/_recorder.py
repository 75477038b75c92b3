"""Records a training loop."""

from __future__ import annotations

import atexit
import math
import os
import time
import warnings
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, Union

from lossreel._run import Run
from lossreel._sources import source_of
from lossreel._stream import VERSION, Stream

# A number, or a tensor of one element.
Number = Union[float, Any]


class Recorder:
    """Writes the run folder of a training loop, behind the loop.

    ::

        with lossreel.Recorder("outputs/run", model, every="epoch") as rec:
            for epoch in range(epochs):
                for x, y in loader:
                    ...
                    optimizer.step()
                    rec.step(loss=loss, lr=scheduler.get_last_lr()[0])
                rec.epoch(test_loss=..., test_accuracy=...)

    The state before training and the last one are snapshots always. Where the loop raises, or its
    process is killed, the run is what was recorded up to then, marked as unfinished.

    Args:
        out: folder of the new run.
        model: a ``torch.nn.Module``, a ``keras.Model``, a dict of arrays by name, or a function that
            returns one.
        every: when snapshots are taken: ``"epoch"``, ``"5 epochs"``, ``"10 steps"``, or
            ``"geometric 1.3"`` (after steps 1, r, r^2, ...).
        steps_per_epoch: optimizer steps in an epoch. Snapshots within an epoch need it, to say when
            they were taken; with ``every="epoch"`` a call of :meth:`epoch` will do instead.
        name: what the network is called in titles; the model's own name by default.
        replace: whether a run that is in the folder already is replaced.
        store: ``"f32"``, or ``"bf16"`` or ``"f16"`` to have weights rounded and snapshots half as
            large.

    Raises:
        Error: in the words of the program: the folder holds another run, the policy is none, ...
        TypeError: for a model of no known kind.
        ValueError: for a model without parameters, or snapshots within epochs of unknown length.
    """

    def __init__(
        self,
        out: str | os.PathLike[str],
        model: Any,
        every: str = "epoch",
        *,
        steps_per_epoch: int | None = None,
        name: str | None = None,
        replace: bool = False,
        store: str = "f32",
    ) -> None:
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch is {steps_per_epoch}; use at least 1")
        if steps_per_epoch is None and "epoch" not in every:
            raise ValueError(
                f'with every="{every}" a snapshot falls within an epoch; give '
                "steps_per_epoch=len(loader), so that its place in it is known"
            )
        self._source = source_of(model)
        header = {
            "lossreel_stream": VERSION,
            "name": name or self._source.title,
            "every": every,
            "parameters": [t.header() for t in self._source.parameters],
            "buffers": [t.header() for t in self._source.buffers],
        }
        self._out = Path(out)
        args = [f"--store={store}", *(["--force"] if replace else []), "--", str(out)]
        self._stream = Stream(self._source, header, args)
        self._unit, self._count = self._stream.begun["unit"], self._stream.begun["count"]
        self._length = steps_per_epoch
        self._auto = steps_per_epoch is not None
        self._steps = 0
        self._epochs = 0
        self._epoch_began = 0
        self._taken_at: int | None = None
        self._started = time.perf_counter()
        self._ended = False
        _open.add(self)
        self.snapshot()

    @property
    def run(self) -> Run:
        """The run, as far as it is written; see :meth:`flush`."""
        return Run(self._out)

    @property
    def steps(self) -> int:
        """Steps recorded."""
        return self._steps

    def step(
        self,
        loss: Number | None = None,
        lr: Number | None = None,
        *,
        accuracy: Number | None = None,
        grad_norm: Number | None = None,
    ) -> None:
        """Records an optimizer step that was made.

        Args:
            loss: the batch's mean loss before the update; a tensor is read behind the loop.
            lr: the learning rate.
            accuracy: the share of right answers in the batch, 0..1.
            grad_norm: the L2 norm of the gradient.

        Raises:
            Error: where the recording failed meanwhile.
        """
        if self._is_at_end():
            # Nobody has told of the end of this epoch, and it is over.
            self._end_epoch({})
        self._steps += 1
        position = self._position()
        self._stream.send(
            {
                "kind": "step",
                "step": self._steps,
                **_known(
                    epoch=position,
                    loss=_kept(loss),
                    lr=_kept(lr),
                    accuracy=_kept(accuracy),
                    grad_norm=_kept(grad_norm),
                ),
                "elapsed_secs": self._elapsed(),
            },
            now=False,
        )
        if self._is_due():
            self.snapshot()

    def epoch(
        self,
        *,
        train_loss: Number | None = None,
        train_accuracy: Number | None = None,
        test_loss: Number | None = None,
        test_accuracy: Number | None = None,
    ) -> None:
        """Records the end of an epoch, with what was evaluated after it (accuracies as shares, 0..1).

        Raises:
            Error: where the recording failed meanwhile.
        """
        self._end_epoch(
            _known(
                train_loss=_kept(train_loss),
                train_accuracy=_kept(train_accuracy),
                test_loss=_kept(test_loss),
                test_accuracy=_kept(test_accuracy),
            )
        )
        if self._unit == "epochs" and self._epochs % int(self._count) == 0:
            self.snapshot()

    def snapshot(self) -> None:
        """Takes a snapshot now, whatever the policy; at most one a step.

        Returns when the values are copied, and waits while more than 64 MiB or two snapshots,
        whichever is more, are still to be written.

        Raises:
            Error: where the recording failed meanwhile.
            ValueError: within a first epoch whose length is not known.
        """
        if self._taken_at == self._steps:
            return
        position = self._position()
        if position is None:
            raise ValueError(
                "where in its epoch this snapshot is taken is not known; give the Recorder "
                "steps_per_epoch=len(loader)"
            )
        self._stream.snapshot({"kind": "snapshot", "step": self._steps, "epoch": position}, self._source)
        self._taken_at = self._steps

    def flush(self) -> None:
        """Returns when all that was recorded so far is on disk.

        Raises:
            Error: where the recording failed.
        """
        self._stream.flush()

    def close(self) -> None:
        """Takes the last snapshot and ends the run.

        Raises:
            Error: where the recording failed.
        """
        if self._ended:
            return
        if self._steps > 0 and self._position() is None:
            warnings.warn(
                "no epoch ended and steps_per_epoch is not known, so the run has the first and the "
                "last state only; call rec.epoch() at the end of each epoch",
                stacklevel=2,
            )
            self._length = self._steps
        try:
            self.snapshot()
            if self._is_at_end():
                self._end_epoch({})
        finally:
            self._end(finished=True)

    def abandon(self) -> None:
        """Ends the recording as one that broke off: the run is kept, as unfinished."""
        if not self._ended:
            self._end(finished=False)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
            return
        try:
            self.abandon()
        except Exception as second:
            # The loop's own error is the one to see.
            warnings.warn(f"the recording failed as well: {second}", stacklevel=2)

    def _end_epoch(self, metrics: dict[str, Any]) -> None:
        if self._steps > self._epoch_began:
            self._length = self._steps - self._epoch_began
            self._epochs += 1
            self._epoch_began = self._steps
        self._stream.send(
            {
                "kind": "epoch",
                "epoch": self._epochs,
                "step": self._steps,
                **metrics,
                "elapsed_secs": self._elapsed(),
            }
        )

    def _is_at_end(self) -> bool:
        """Whether an epoch of known length is over, of whose end nobody has told."""
        return self._auto and self._steps - self._epoch_began == self._length

    def _end(self, *, finished: bool) -> None:
        self._ended = True
        _open.discard(self)
        self._stream.close(finished=finished)

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started

    def _position(self) -> float | None:
        """Epochs made, with the part of the one that is under way; unknown in a first one."""
        since = self._steps - self._epoch_began
        if since == 0:
            return float(self._epochs)
        if self._length is None:
            return None
        # One that is longer than the last does not run ahead into the next.
        return self._epochs + min(since / self._length, 1.0)

    def _is_due(self) -> bool:
        if self._unit == "steps":
            return self._steps % int(self._count) == 0
        if self._unit == "geometric":
            return _is_power(self._steps, self._count)
        return self._is_at_end() and (self._epochs + 1) % int(self._count) == 0


# Recorders that nobody closed, to be ended before the interpreter is.
_open: weakref.WeakSet[Recorder] = weakref.WeakSet()


@atexit.register
def _abandon_all() -> None:
    for recorder in list(_open):
        try:
            recorder.abandon()
        except Exception as error:
            warnings.warn(f"a recording failed: {error}", stacklevel=1)


def _is_power(step: int, ratio: float) -> bool:
    """Whether ``step`` is one of 1, r, r^2, ..., rounded up."""
    near = math.floor(math.log(step) / math.log(ratio))
    powers = (math.ceil(ratio**k - 1e-9) for k in range(max(near - 1, 0), near + 2))
    return step in powers


def _known(**numbers: Number | None) -> dict[str, Any]:
    return {key: value for key, value in numbers.items() if value is not None}


def _kept(value: Number | None) -> Any:
    """A number as it is; a tensor's value as it is now, without waiting for it."""
    detach = getattr(value, "detach", None)
    return value if detach is None else detach().clone()
