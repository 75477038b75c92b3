"""Keras models, whatever their backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lossreel._tensors import Tensor, Vector, slices

_STATISTICS = ("moving_mean", "moving_variance", "moving_var")


def _name(variable: Any) -> str:
    return str(getattr(variable, "path", variable.name)).replace("/", ".")


def _is_kernel(name: str, shape: tuple[int, ...]) -> bool:
    return name.rsplit(".", 1)[-1].endswith("kernel") and len(shape) > 1


def _to_rows(name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Kernels with their outputs first, as filters are normalised: Keras has them last."""
    return np.moveaxis(array, -1, 0) if _is_kernel(name, array.shape) else array


class KerasSource:
    """A model's variables by path: moving statistics are buffers, the rest parameters.

    Kernels are recorded with the axis of their outputs first, as every direction that is normalised
    filter by filter needs it, and given back as Keras has them. Integer variables (states of random
    generators) are left out.

    Raises:
        ValueError: for a model that is not built yet.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.title = str(model.name)
        kept = [v for v in model.variables if "float" in str(v.dtype)]
        own = {_name(v) for v in model.weights}
        kept = [v for v in kept if _name(v) in own]
        is_statistic = {_name(v): _name(v).endswith(_STATISTICS) for v in kept}
        self._parameters = [v for v in kept if not is_statistic[_name(v)]]
        self._buffers = [v for v in kept if is_statistic[_name(v)]]
        if not self._parameters:
            raise ValueError(f"{self.title} has no weights yet; build it, or call it on a batch first")
        self.parameters = [self._tensor(v) for v in self._parameters]
        self.buffers = [Tensor(_name(v), tuple(v.shape)) for v in self._buffers]

    @staticmethod
    def _tensor(variable: Any) -> Tensor:
        name, shape = _name(variable), tuple(variable.shape)
        if _is_kernel(name, shape):
            shape = (shape[-1], *shape[:-1])
        last = name.rsplit(".", 1)[-1]
        role = "norm" if last in ("gamma", "beta") else None
        return Tensor(name, shape, "bias" if last.endswith("bias") else role)

    def copy(self, theta: Vector, buffers: Vector) -> None:
        """Copies the model's state into flat vectors, (P,) and (B,)."""
        for variables, tensors, into in (
            (self._parameters, self.parameters, theta),
            (self._buffers, self.buffers, buffers),
        ):
            for variable, (tensor, place) in zip(variables, slices(tensors)):
                into[place] = _to_rows(tensor.name, _numpy(variable)).reshape(-1)

    def load(self, theta: Vector) -> Any:
        """Gives the model the parameters ``theta``, (P,)."""
        for variable, (tensor, place) in zip(self._parameters, slices(self.parameters)):
            array = theta[place].reshape(tensor.shape)
            kernel = _is_kernel(tensor.name, tensor.shape)
            variable.assign(np.moveaxis(array, 0, -1) if kernel else array)
        return self.model

    def load_buffers(self, buffers: Vector) -> None:
        """Gives the model its moving statistics, (B,)."""
        for variable, (tensor, place) in zip(self._buffers, slices(self.buffers)):
            variable.assign(buffers[place].reshape(tensor.shape))

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """After it the variables are as they were; the loss calls the model with training=False."""
        before = [(v, np.array(_numpy(v))) for v in (*self._parameters, *self._buffers)]
        try:
            yield
        finally:
            for variable, value in before:
                variable.assign(value)

    def product(self, loss_fn: Any, vector: Vector) -> Vector:
        """No derivative is known here.

        Raises:
            TypeError: always, with what to do.
        """
        del loss_fn, vector
        raise TypeError(
            "the derivatives of a Keras model depend on its backend; give hvp=, a function of the "
            "model and of a direction by name that returns the Hessian's product by name"
        )


def _numpy(variable: Any) -> np.ndarray[Any, Any]:
    numpy = getattr(variable, "numpy", None)
    if numpy is None:
        return np.asarray(variable)
    value = variable.value
    value = value.detach() if hasattr(value, "detach") else value
    return np.asarray(value.cpu() if hasattr(value, "cpu") and callable(value.cpu) else value)
