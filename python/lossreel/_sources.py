"""Which kind of model something is."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from lossreel._tensors import Source


def source_of(model: Any) -> Source:
    """The source for a torch module, a Keras model, or arrays by name (or a function that gives them).

    Raises:
        TypeError: for anything else.
    """
    # A model of a library exists only where that library is imported.
    # Keras goes first: with its torch backend its models are torch modules as well.
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(model, keras.Model):
        from lossreel._keras import KerasSource

        return KerasSource(model)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        from lossreel._torch import TorchSource

        return TorchSource(model)
    if isinstance(model, Mapping) or callable(model):
        from lossreel._arrays import ArraysSource

        return ArraysSource(model)
    raise TypeError(
        f"the model is a {type(model).__name__}; give a torch.nn.Module, a keras.Model, a dict of "
        "arrays, or a function that returns one"
    )
