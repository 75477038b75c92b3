"""What a model's tensors are, and how they get into one flat vector and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Tensor:
    """A parameter or a buffer.

    ``role`` is ``weight``, ``bias`` or ``norm``; ``None`` lets the name and the rank decide.
    """

    name: str
    shape: tuple[int, ...]
    role: str | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    def header(self) -> dict[str, Any]:
        """As the stream has it."""
        line: dict[str, Any] = {"name": self.name, "shape": list(self.shape)}
        return line if self.role is None else {**line, "role": self.role}


class Source(Protocol):
    """A model of some library."""

    title: str
    parameters: list[Tensor]
    buffers: list[Tensor]

    def copy(self, theta: Vector, buffers: Vector) -> None:
        """Copies the model's state into flat vectors, (P,) and (B,)."""

    def load(self, theta: Vector) -> Any:
        """Gives the model the parameters ``theta``, (P,), and returns what a loss is called with."""

    def load_buffers(self, buffers: Vector) -> None:
        """Gives the model the buffers, (B,)."""

    def borrowed(self) -> AbstractContextManager[None]:
        """Within it the model is in eval mode; after it all is as it was before."""

    def product(self, loss_fn: Any, vector: Vector) -> Vector:
        """The product of the Hessian of a loss at the loaded parameters with ``vector``, (P,)."""


def size(tensors: list[Tensor]) -> int:
    """Values of all of them."""
    return sum(t.size for t in tensors)


def slices(tensors: list[Tensor]) -> Iterator[tuple[Tensor, slice]]:
    """Each with its place in the flat vector."""
    at = 0
    for tensor in tensors:
        yield tensor, slice(at, at + tensor.size)
        at += tensor.size


def by_name(tensors: list[Tensor], flat: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Views of a flat vector, one for each tensor, in its shape."""
    return {t.name: flat[place].reshape(t.shape) for t, place in slices(tensors)}


def flat(tensors: list[Tensor], named: Mapping[str, Any], what: str) -> Vector:
    """One vector of arrays by name.

    Raises:
        ValueError: for an array that is missing or has another shape.
    """
    out = np.empty(size(tensors), np.float32)
    for tensor, place in slices(tensors):
        if tensor.name not in named:
            raise ValueError(f"{what} lack `{tensor.name}`; give an array for each parameter")
        array = np.asarray(named[tensor.name])
        if array.shape != tensor.shape:
            raise ValueError(f"`{tensor.name}` of {what} has the shape {array.shape}, not {tensor.shape}")
        out[place] = array.reshape(-1)
    return out
