"""PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from lossreel._tensors import Tensor, Vector, size, slices


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The module inside of wrappers that put a prefix before its names."""
    while True:
        if isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
            module = module.module
        elif isinstance(getattr(module, "_orig_mod", None), torch.nn.Module):
            module = module._orig_mod
        else:
            return module


def _is_norm(module: torch.nn.Module) -> bool:
    return "norm" in type(module).__name__.lower()


def _role(name: str, tensor: torch.Tensor, norms: set[int]) -> str | None:
    if id(tensor) in norms and tensor.dim() <= 1:
        return "norm"
    if tensor.dim() <= 1 and name.endswith("bias"):
        return "bias"
    return None


class TorchSource:
    """A module's parameters (tied ones once, frozen ones too) and floating-point buffers by name.

    Integer buffers (``num_batches_tracked``) are left out: they have no place in a loss. What is not
    f32 becomes f32.

    Raises:
        ValueError: for a module without parameters, or with complex or quantized ones.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = unwrapped(module)
        self.title = type(self.module).__name__
        named = list(self.module.named_parameters())
        if not named:
            raise ValueError(f"{self.title} has no parameter; build the model before its recorder")
        kept = [(n, b) for n, b in self.module.named_buffers() if b.is_floating_point()]
        for name, tensor in named:
            if not tensor.is_floating_point() or tensor.is_quantized:
                raise ValueError(f"`{name}` is {tensor.dtype}; only floating-point can be recorded")
        norms = {
            id(p)
            for module in self.module.modules()
            if _is_norm(module)
            for p in module.parameters(recurse=False)
        }
        self.parameters = [Tensor(n, tuple(p.shape), _role(n, p, norms)) for n, p in named]
        self.buffers = [Tensor(n, tuple(b.shape)) for n, b in kept]
        self._names = [n for n, _ in named]
        self._buffer_names = [n for n, _ in kept]
        self._views: dict[int, tuple[Vector, list[torch.Tensor]]] = {}

    def _live(self) -> list[torch.Tensor]:
        """The parameters as they are now: a training loop may put others in their place."""
        named = dict(self.module.named_parameters())
        return [named[name] for name in self._names]

    def _live_buffers(self) -> list[torch.Tensor]:
        named = dict(self.module.named_buffers())
        return [named[name] for name in self._buffer_names]

    def _parts(self, vector: Vector, tensors: list[Tensor]) -> list[torch.Tensor]:
        """Views of a vector in the tensors' shapes; made once for a vector that comes again."""
        known = self._views.get(id(vector))
        if known is not None and known[0] is vector:
            return known[1]
        whole = torch.from_numpy(vector)
        views = [whole[place].view(t.shape) for t, place in slices(tensors)]
        if vector.flags.owndata:
            self._views[id(vector)] = (vector, views)
        return views

    def copy(self, theta: Vector, buffers: Vector) -> None:
        """Copies the module's state into flat vectors, (P,) and (B,)."""
        with torch.no_grad():
            parts = self._parts(theta, self.parameters)
            torch._foreach_copy_(parts, [p.detach() for p in self._live()])
            if self.buffers:
                torch._foreach_copy_(self._parts(buffers, self.buffers), self._live_buffers())

    def load(self, theta: Vector) -> torch.nn.Module:
        """Gives the module the parameters ``theta``, (P,)."""
        with torch.no_grad():
            for p, (t, place) in zip(self._live(), slices(self.parameters)):
                p.copy_(torch.from_numpy(theta[place]).view(t.shape))
        return self.module

    def load_buffers(self, buffers: Vector) -> None:
        """Gives the module the buffers, (B,)."""
        with torch.no_grad():
            for b, (t, place) in zip(self._live_buffers(), slices(self.buffers)):
                b.copy_(torch.from_numpy(buffers[place]).view(t.shape))

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Within it the module is in eval mode; after it all is as it was before."""
        modes = [(m, m.training) for m in self.module.modules()]
        grads = [p.requires_grad for p in self._live()]
        before = [p.detach().clone() for p in self._live()]
        before_buffers = [(b, b.detach().clone()) for b in self.module.buffers()]
        self.module.eval()
        try:
            yield
        finally:
            with torch.no_grad():
                for p, value, grad in zip(self._live(), before, grads):
                    p.copy_(value)
                    p.requires_grad_(grad)
                for b, value in before_buffers:
                    b.copy_(value)
            for module, training in modes:
                module.training = training

    def product(self, loss_fn: Callable[..., Any], vector: Vector) -> Vector:
        """The product of the Hessian of ``loss_fn(module)`` with ``vector``, by autograd, (P,).

        Raises:
            TypeError: where the loss is no tensor with a graph.
        """
        parameters = self._live()
        for p in parameters:
            p.requires_grad_(True)
        with torch.enable_grad():
            found = loss_fn(self.module)
            loss = found[0] if isinstance(found, (tuple, list)) else found
            if not isinstance(loss, torch.Tensor):
                raise TypeError(
                    "for curvature the loss function must return a tensor that autograd can go back "
                    "through: no float(), no .item(), no torch.no_grad()"
                )
            if not loss.requires_grad:
                return np.zeros(size(self.parameters), np.float32)
            gradient = torch.autograd.grad(
                loss, parameters, create_graph=True, allow_unused=True, materialize_grads=True
            )
            parts = [
                torch.from_numpy(vector[place]).view(t.shape).to(p)
                for p, (t, place) in zip(parameters, slices(self.parameters))
            ]
            along = sum((g * v).sum() for g, v in zip(gradient, parts))
            if not along.requires_grad:
                return np.zeros(size(self.parameters), np.float32)
            product = torch.autograd.grad(along, parameters, allow_unused=True, materialize_grads=True)
        flat = torch.cat([h.detach().to("cpu", torch.float32).reshape(-1) for h in product])
        out: Vector = flat.numpy()
        return out
