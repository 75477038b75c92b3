"""What is recorded goes to the ``lossreel record`` process behind the training."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Union

import numpy as np

from lossreel import _binary
from lossreel._errors import Error
from lossreel._process import Process
from lossreel._tensors import Source, Vector, size

VERSION = 1
# What may wait to be written at most, in bytes, or two snapshots, whichever is more.
_MOST_BYTES = 64 << 20
# Lines that may wait at most, and for how many seconds they are gathered: to wake the thread that writes
# costs more than what it does.
_MOST_LINES = 1 << 16
_GATHER = 1.0

_Values = dict[str, Any]


class State:
    """Room for one snapshot: the parameters and, right behind them, the buffers."""

    def __init__(self, parameters: int, buffers: int) -> None:
        self.theta: Vector = np.empty(parameters, np.float32)
        self.buffers: Vector = np.empty(buffers, np.float32)


# Lines, with the state that the last of them announces; None at the end.
_Item = Union["tuple[list[_Values], State | None]", None]


class Stream:
    """The pipe to the process, and the thread that writes to it.

    Every method returns at once, but where the bound on what waits is reached. An error of the process
    comes back from the next call.
    """

    def __init__(self, source: Source, header: _Values, args: Sequence[str]) -> None:
        self._process = Process([str(_binary.find()), "record", *args])
        self._error: Error | None = None
        self._gone = False
        self._queue: queue.Queue[_Item] = queue.Queue()
        self._gathered: list[_Values] = []
        self._handed_over = time.monotonic()
        parameters, buffers = size(source.parameters), size(source.buffers)
        snapshot = 4 * (parameters + buffers)
        self._make: Callable[[], State] = lambda: State(parameters, buffers)
        self._room = max(2, _MOST_BYTES // snapshot)
        self._free: queue.Queue[State] = queue.Queue()
        self._closed = False
        try:
            self._process.write(_line(header))
        except OSError:
            self._process.finish()
            raise
        self.begun = self._reply()
        self._writer = threading.Thread(target=self._write, name="lossreel recorder", daemon=True)
        self._writer.start()

    def send(self, line: _Values, *, now: bool = True) -> None:
        """Hands over a line: now, or with those of the second after it."""
        self.check()
        self._gathered.append(line)
        is_time = now or time.monotonic() - self._handed_over > _GATHER
        if is_time or len(self._gathered) >= _MOST_LINES:
            self._hand_over(None)

    def _hand_over(self, state: State | None) -> None:
        self._queue.put((self._gathered, state))
        self._gathered = []
        self._handed_over = time.monotonic()

    def snapshot(self, line: _Values, source: Source) -> None:
        """Copies the state of ``source`` and hands it over."""
        self.check()
        state = self._take()
        source.copy(state.theta, state.buffers)
        self._gathered.append(line)
        self._hand_over(state)

    def _take(self) -> State:
        """Room for a snapshot; waits for that of an earlier one where all is in use."""
        try:
            return self._free.get_nowait()
        except queue.Empty:
            pass
        if self._room > 0:
            self._room -= 1
            return self._make()
        return self._free.get()

    def check(self) -> None:
        """Raises the error that ended the recording.

        Raises:
            Error: in the words of the process.
        """
        if self._error is not None:
            raise self._error

    def flush(self) -> None:
        """Returns when all that was handed over is on disk."""
        self.send({"kind": "flush"})
        self._queue.join()
        self.check()
        self._reply()

    def close(self, *, finished: bool) -> None:
        """Ends the stream, in order or as one that broke off, and waits until all is written."""
        if self._closed:
            return
        self._closed = True
        # Said, and not left to the end of the pipe: a process that this one forked (a worker of a
        # DataLoader) may hold it open.
        self._gathered.append({"kind": "end" if finished else "abandon"})
        self._hand_over(None)
        self._queue.put(None)
        self._writer.join()
        if not self._gone:
            self._process.stdout.readline()
            try:
                self._process.finish()
            except Error as error:
                self._error = self._error or error
        self.check()

    def _reply(self) -> _Values:
        """The process's next line; where it has ended, its error."""
        line = self._process.stdout.readline()
        if not line:
            self._end()
            self.check()
        reply: _Values = json.loads(line)
        return reply

    def _end(self) -> None:
        """The process is gone: what it said is the error of all calls from now on."""
        self._gone = True
        try:
            self._process.finish()
            self._error = Error("the recording process ended before its time; record the run again")
        except Error as error:
            self._error = error

    def _write(self) -> None:
        while True:
            item = self._queue.get()
            try:
                if item is None:
                    if self._error is not None:
                        self._send([_line({"kind": "abandon"})])
                    self._process.close_input()
                    return
                values, state = item
                if self._error is None:
                    self._send(self._lines(values), state)
                if state is not None:
                    self._free.put(state)
            finally:
                self._queue.task_done()

    def _lines(self, values: list[_Values]) -> list[bytes]:
        """As they are written; a value that is no number is an error of the next call."""
        lines = []
        for line in values:
            try:
                lines.append(_line(line))
            except Exception as error:
                problem = f"what was recorded of step {line.get('step')} is no number: {error}"
                self._error = Error(f"{problem}; record numbers or tensors of one element")
                break
        return lines

    def _send(self, lines: list[bytes], state: State | None = None) -> None:
        if self._gone:
            return
        data = b"".join(lines)
        try:
            if data:
                self._process.write(data)
            if state is not None and self._error is None:
                self._process.write(state.theta.data)
                if state.buffers.size:
                    self._process.write(state.buffers.data)
        except OSError:
            self._end()


def _line(values: _Values) -> bytes:
    return (json.dumps({key: _plain(value) for key, value in values.items()}) + "\n").encode()


def _plain(value: Any) -> Any:
    """Numbers as JSON has them: of tensors, and where they are not finite."""
    if value is None or isinstance(value, (str, bool, int, list, dict)):
        return value
    number = float(value)
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "inf" if number > 0 else "-inf"
    return number
