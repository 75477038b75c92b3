"""Arrays by name: the way for any library, JAX among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from lossreel._tensors import Tensor, Vector, by_name, flat, size


class ArraysSource:
    """A mapping of names to arrays, or a function that returns one anew; all are parameters.

    Raises:
        ValueError: where there is no array.
    """

    title = "arrays"
    buffers: list[Tensor] = []  # noqa: RUF012

    def __init__(self, arrays: Mapping[str, Any] | Callable[[], Mapping[str, Any]]) -> None:
        self._get: Callable[[], Mapping[str, Any]] = (
            (lambda: arrays) if isinstance(arrays, Mapping) else arrays
        )
        named = self._get()
        self.parameters = [Tensor(name, tuple(np.shape(array))) for name, array in named.items()]
        if not self.parameters:
            raise ValueError("there is no array to record; give at least one, by name")

    def copy(self, theta: Vector, buffers: Vector) -> None:
        """Copies the arrays into one vector, (P,)."""
        del buffers
        theta[:] = flat(self.parameters, self._get(), "the model's arrays")

    def load(self, theta: Vector) -> dict[str, Any]:
        """Arrays of ``theta``, (P,), by name."""
        return by_name(self.parameters, theta)

    def load_buffers(self, buffers: Vector) -> None:
        """There are none."""

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """The arrays are never touched."""
        yield

    def product(self, loss_fn: Any, vector: Vector) -> Vector:
        """No derivative is known here.

        Raises:
            TypeError: always, with what to do.
        """
        del loss_fn, vector
        raise TypeError(
            "the derivatives of a loss of arrays are not known here; give hvp=, a function of the "
            "arrays and of a direction, both by name, that returns the product by name"
        )


class RecordedArrays(ArraysSource):
    """The arrays of a run's layout, for a loss that takes arrays and no model.

    Parameters and buffers come together, by name.
    """

    def __init__(self, parameters: list[Tensor], buffers: list[Tensor]) -> None:
        self.parameters = parameters
        self.buffers = buffers
        self._state = np.zeros(size(buffers), np.float32)

    def load(self, theta: Vector) -> dict[str, Any]:
        """Arrays of ``theta`` and of the buffers, by name."""
        return {**by_name(self.parameters, theta), **by_name(self.buffers, self._state)}

    def load_buffers(self, buffers: Vector) -> None:
        """Keeps the buffers for the arrays to come."""
        self._state = buffers
