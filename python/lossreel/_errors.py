"""The one exception of the package."""

from __future__ import annotations


class Error(RuntimeError):
    """What went wrong, in the words of the ``lossreel`` program, with what to do about it."""
