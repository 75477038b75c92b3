"""A ``lossreel`` process: its pipes, its words on stderr, its end."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, cast

from lossreel._errors import Error

# What an error begins with, and what one in the use of the program does.
_PREFIXES = ("lossreel: ", "error: ")
# fcntl.F_SETPIPE_SZ, which Python has a name for from 3.10 on.
_SET_PIPE_SIZE = 1031


class Process:
    """Runs ``args`` with pipes.

    Progress is passed on to ``sys.stderr``, which in a notebook is the cell's own. What the program
    says last with its name in front is the error, where it fails. It has a session of its own, so
    that Ctrl-C reaches this process alone, which then ends the other in order.
    """

    def __init__(self, args: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(
                list(args),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise Error(f"cannot start {args[0]}: {error}; install the wheel again") from error
        self.stdin = cast("IO[bytes]", self._process.stdin)
        self.stdout = io.BufferedReader(cast("io.RawIOBase", self._process.stdout), 1 << 20)
        self._said: list[str] = []
        self._reader = threading.Thread(target=self._pass_on, daemon=True)
        self._reader.start()
        _enlarge(self.stdin)

    def _pass_on(self) -> None:
        stderr = cast("IO[bytes]", self._process.stderr)
        for raw in iter(stderr.readline, b""):
            line = raw.decode("utf-8", "replace").rstrip("\n")
            # An error may have several lines: those after the first belong to it.
            if line.startswith(_PREFIXES) or self._said:
                self._said.append(line)
            elif line.strip():
                print(line, file=sys.stderr)

    def write(self, data: bytes | memoryview) -> None:
        """Writes all of ``data``, and waits while the pipe is full.

        Raises:
            OSError: where the process is gone.
        """
        view = memoryview(data).cast("B")
        while len(view):
            view = view[self.stdin.write(view) :]

    def close_input(self) -> None:
        """Ends what is written to the process."""
        with contextlib.suppress(OSError):
            self.stdin.close()

    def finish(self) -> None:
        """Closes the pipes, waits for the end, and passes remarks on.

        Raises:
            Error: with the process's own words, where it failed.
        """
        self.close_input()
        code = self._process.wait()
        self._reader.join()
        self.stdout.close()
        if self._process.stderr is not None:
            self._process.stderr.close()
        said = "\n".join(self._said)
        if code != 0:
            raise Error(_last(said) or f"lossreel ended with exit code {code}")
        if said:
            print(said, file=sys.stderr)

    def stop(self) -> None:
        """Ends the process at its next safe point, whatever it is at."""
        self._process.terminate()
        # It may be in the middle of a question that is longer than the pipe.
        self.stdout.close()
        with contextlib.suppress(Error):
            self.finish()


def _last(said: str) -> str:
    """The last of the program's remarks, which is its error, without its name."""
    start = max(said.rfind("\n" + prefix) for prefix in _PREFIXES) + 1
    last = said[start:]
    for prefix in _PREFIXES:
        last = last.removeprefix(prefix)
    return last.strip()


def _enlarge(pipe: IO[bytes]) -> None:
    """Lets more wait in a pipe than the 64 KiB that Linux has; fewer switches between processes."""
    try:
        import fcntl

        fcntl.fcntl(pipe.fileno(), _SET_PIPE_SIZE, 1 << 20)
    except (ImportError, OSError):
        pass
