"""What stages leave in a run, as numpy arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossreel import _files
from lossreel._errors import Error

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Snapshot:
    """A state of the network; its tensors are mapped into memory when they are asked for."""

    index: int
    step: int
    epoch: float
    lr: float
    loss: float
    path: Path = field(repr=False)
    names: tuple[tuple[str, ...], tuple[str, ...]] = field(repr=False)

    @property
    def tensors(self) -> dict[str, NDArray[Any]]:
        """Parameters and buffers by name, read-only."""
        tensors, _ = _files.safetensors(self.path)
        order = [*self.names[0], *self.names[1]]
        return {name: tensors[name] for name in order} if order else tensors

    @property
    def theta(self) -> NDArray[np.float32]:
        """The parameters as one vector, (P,)."""
        tensors, _ = _files.safetensors(self.path)
        names = self.names[0] or tuple(tensors)
        return np.concatenate([tensors[n].reshape(-1) for n in names]).astype(np.float32)


@dataclass(frozen=True)
class Metrics:
    """What training logged, by column; what is not known is NaN."""

    steps: dict[str, Floats]
    epochs: dict[str, Floats]

    @classmethod
    def read(cls, path: Path) -> Metrics:
        """Reads ``metrics.jsonl``."""
        rows: dict[str, list[dict[str, Any]]] = {"step": [], "epoch": []}
        for line in _files.lines(path):
            rows.get(line.pop("kind"), []).append(line)
        tables = []
        for kind in ("step", "epoch"):
            keys = dict.fromkeys(key for row in rows[kind] for key in row)
            tables.append({k: _files.numbers([row.get(k) for row in rows[kind]]) for k in keys})
        return cls(*tables)


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane through parameter space and the run's path on it.

    A point (a, b) is ``origin + a * directions[0] + b * directions[1]``.
    """

    name: str
    path: Path = field(repr=False)
    about: dict[str, Any] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Plane:
        """Reads a plane's file.

        Raises:
            Error: where there is none, or it is damaged.
        """
        _, metadata = _files.safetensors(path)
        if "about" not in metadata:
            raise Error(f"{path} is no plane of lossreel's; make it again with run.plane()")
        return cls(path.stem, path, json.loads(metadata["about"]))

    def _points(self, key: str) -> Floats:
        points = [p for run in self.about["paths"] for p in run["path"]]
        return _files.numbers([p[key] for p in points])

    @property
    def explained_variance(self) -> Floats:
        """Share of the path's variance along each direction, (2,); empty where they are no PCA's."""
        return _files.numbers(self.about["explained_variance"])

    @property
    def null_explained_variance(self) -> Floats:
        """The same for random walks as long as the path, (2,): what says nothing."""
        return _files.numbers(self.about["null_explained_variance"])

    @property
    def spectrum(self) -> Floats:
        """Squared singular values of the path, falling."""
        return _files.numbers(self.about["spectrum"])

    @property
    def coords(self) -> Floats:
        """Where the snapshots are on the plane, (n, 2)."""
        return np.stack([self._points("x"), self._points("y")], axis=1)

    @property
    def steps(self) -> NDArray[np.int64]:
        """Optimizer steps of each, (n,)."""
        return self._points("step").astype(np.int64)

    @property
    def epochs(self) -> Floats:
        """Epochs of each, (n,)."""
        return self._points("epoch")

    @property
    def off_plane_residual(self) -> Floats:
        """How much of each displacement from the origin the plane misses, 0..1, (n,)."""
        return self._points("off_plane_residual")

    @property
    def origin(self) -> NDArray[np.float32]:
        """The point (0, 0), (P,), mapped into memory."""
        return _files.safetensors(self.path)[0]["origin"]

    @property
    def directions(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The two directions, (P,) each, mapped into memory."""
        tensors = _files.safetensors(self.path)[0]
        return tensors["x"], tensors["y"]


@dataclass(frozen=True, eq=False)
class Surface:
    """The loss over a plane; what is not evaluated yet is NaN.

    ``losses`` and ``accuracies`` are (len(y), len(x)). ``path_losses`` has, for each snapshot, its own
    loss and that of its projection on the plane, (n, 2).
    """

    folder: Path = field(repr=False)
    x: Floats
    y: Floats
    losses: Floats
    accuracies: Floats
    path_losses: Floats
    header: dict[str, Any] = field(repr=False)

    @classmethod
    def read(cls, folder: Path) -> Surface:
        """Reads a surface's folder, finished or not.

        Raises:
            Error: where there is none.
        """
        header = _files.document(folder / "grid.json")
        axes = [header["grid"][axis] for axis in ("x", "y")]
        x, y = (np.linspace(a["min"], a["max"], a["n"]) for a in axes)
        losses, right = (np.full(len(x) * len(y), np.nan) for _ in range(2))
        for cell in _files.lines(folder / "cells.jsonl"):
            losses[cell["k"]] = _files.number(cell["loss"])
            right[cell["k"]] = cell["correct"]
        samples = header["samples"]
        shape = (len(y), len(x))
        known = right / samples if samples else np.full_like(right, np.nan)
        path = [
            [_files.number(p["true_loss"]), _files.number(p["plane_loss"])]
            for p in sorted(_files.lines(folder / "paths.jsonl"), key=lambda p: p["snapshot"])
        ]
        return cls(
            folder,
            x,
            y,
            losses.reshape(shape),
            known.reshape(shape),
            np.array(path, np.float64).reshape(-1, 2),
            header,
        )


@dataclass(frozen=True, eq=False)
class Curve:
    """The loss along a line through a state of the network, (n,) each."""

    x: Floats
    losses: Floats
    accuracies: Floats
    about: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, report: dict[str, Any]) -> Curve:
        """From what the program printed."""
        points = report["points"]
        x, losses, accuracies = (_files.numbers([p[k] for p in points]) for k in ("x", "loss", "accuracy"))
        return cls(x, losses, accuracies, {k: v for k, v in report.items() if k != "points"})


@dataclass(frozen=True, eq=False)
class Curvature:
    """The ends of the Hessian's spectrum at snapshots.

    ``eigenvalues``, (n, k), falling in each row, with their ``residuals``; ``smallest``, (n,); NaN where
    one was not asked for or did not converge; ``steps`` and ``epochs``, (n,).
    """

    steps: NDArray[np.int64]
    epochs: Floats
    eigenvalues: Floats
    residuals: Floats
    smallest: Floats
    converged: NDArray[np.bool_]
    records: list[dict[str, Any]] = field(repr=False)

    @property
    def sharpness(self) -> Floats:
        """The largest eigenvalue at each snapshot, (n,)."""
        return self.eigenvalues[:, 0]

    @classmethod
    def of(cls, records: list[dict[str, Any]]) -> Curvature:
        """From what the program printed, one record a snapshot."""
        most = max((len(r["eigenvalues"]) for r in records), default=1) or 1

        def table(key: str) -> Floats:
            rows = [_files.numbers(r[key]) for r in records]
            wide = [np.pad(row, (0, most - len(row)), constant_values=np.nan) for row in rows]
            return np.array(wide, np.float64).reshape(len(records), most)

        return cls(
            np.array([r["step"] for r in records], np.int64),
            _files.numbers([r["epoch"] for r in records]),
            table("eigenvalues"),
            table("residuals"),
            _files.numbers([r["smallest"][0] if r["smallest"] else float("nan") for r in records]),
            np.array([r["converged"] for r in records], bool),
            records,
        )
