"""A run's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lossreel import _binary, _files
from lossreel._errors import Error
from lossreel._pictures import Picture, View
from lossreel._results import Curvature, Metrics, Plane, Snapshot, Surface


class Run:
    """A run that training left, lossreel's own or a recorder's.

    Args:
        path: its folder.

    Raises:
        Error: where there is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not (self.path / "manifest.json").is_file():
            raise Error(f"there is no run in {self.path}; record one with lossreel.Recorder")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def manifest(self) -> dict[str, Any]:
        """What made the run and how it ended."""
        return _files.document(self.path / "manifest.json")

    @property
    def is_finished(self) -> bool:
        """Whether its training ended in order."""
        return bool(self.manifest["status"]["state"] == "ended")

    @property
    def layout(self) -> dict[str, Any] | None:
        """Names, shapes and roles of a recorded run's tensors; ``None`` for lossreel's own."""
        path = self.path / "layout.json"
        return _files.document(path) if path.is_file() else None

    @property
    def snapshots(self) -> list[Snapshot]:
        """The snapshots, in order."""
        layout = self.layout or {"parameters": [], "buffers": []}
        parameters, buffers = (tuple(t["name"] for t in layout[key]) for key in ("parameters", "buffers"))
        found = []
        for path in sorted((self.path / "snapshots").glob("[0-9]*.safetensors")):
            _, about = _files.safetensors(path)
            found.append(
                Snapshot(
                    int(path.stem),
                    int(about["step"]),
                    _files.number(about.get("epoch")),
                    _files.number(about.get("lr")),
                    _files.number(about.get("batch_loss")),
                    path,
                    (parameters, buffers),
                )
            )
        return found

    @property
    def metrics(self) -> Metrics:
        """What training logged."""
        return Metrics.read(self.path / "metrics.jsonl")

    def plane(self, directions: str | None = None, *, name: str | None = None, **options: Any) -> Plane:
        """Finds the plane that the path lives in, and where the snapshots are on it.

        Args:
            directions: ``"pca"`` (the default), ``"random"``, or a direction file.
            name: what the plane is called; ``pca`` or ``random`` by default.
            options: more of ``lossreel plane``'s: ``norm="filter"``, ``seed=1``, ...

        Raises:
            Error: in the words of the program.
        """
        args = _binary.options(directions=directions, name=name, **options)
        report = _binary.command(["plane", *args, "--", str(self.path)])
        return Plane.read(Path(report["plane"]))

    def planes(self) -> list[str]:
        """Names of the planes that are there."""
        return sorted(p.stem for p in (self.path / "planes").glob("*.safetensors"))

    def surfaces(self) -> list[str]:
        """Names of the surfaces that are there."""
        return sorted(p.parent.name for p in (self.path / "surfaces").glob("*/grid.json"))

    def surface(self, name: str = "pca") -> Surface:
        """A surface that was evaluated (:func:`lossreel.surface`), finished or not.

        Raises:
            Error: where there is none.
        """
        folder = self.path / "surfaces" / name
        if not (folder / "grid.json").is_file():
            raise Error(
                f"there is no surface `{name}` in {self.path}; evaluate it first: "
                "lossreel.surface(run, loss_fn, model)"
            )
        return Surface.read(folder)

    def curvature(self) -> Curvature:
        """The curvatures that were computed (:func:`lossreel.curvature`)."""
        files = sorted((self.path / "curvature").glob("[0-9]*.json"))
        return Curvature.of([_files.document(path) for path in files])

    def film(
        self,
        out: str | os.PathLike[str] | None = None,
        *,
        as_: str | None = None,
        size: str = "960x540",
        **options: Any,
    ) -> Picture:
        """Makes a film: GIF or MP4, by the name of the file.

        Args:
            out: the file; ``figures/SCENE.gif`` in the run's folder by default.
            as_: the scene. By default ``contour`` where there is a surface, and where there is none
                ``shadow``, which needs the path alone.
            size: pixels across and down.
            options: more of ``lossreel render``'s: ``theme="dark"``, ``frames=60``, ...

        Raises:
            Error: in the words of the program.
        """
        scene = as_ or ("contour" if self.surfaces() else "shadow")
        return self._render(out, scene, ".gif", {"size": size, **options})

    def figure(
        self,
        as_: str | None = None,
        *,
        out: str | os.PathLike[str] | None = None,
        size: str = "960x540",
        **options: Any,
    ) -> Picture:
        """Makes a still: PNG, SVG or PDF, by the name of the file.

        Args:
            as_: the scene; as for :meth:`film`.
            out: the file; ``figures/SCENE.png`` in the run's folder by default.
            size: pixels across and down.
            options: more of ``lossreel render``'s.

        Raises:
            Error: in the words of the program.
        """
        scene = as_ or ("contour" if self.surfaces() else "shadow")
        return self._render(out, scene, ".png", {"size": size, **options})

    def view(self, **options: Any) -> View:
        """The film and the spectrum under it.

        There is no interactive page yet; when there is one, this shows it.

        Raises:
            Error: in the words of the program.
        """
        return View((self.film(**options), self.figure("spectrum")))

    def _render(
        self,
        out: str | os.PathLike[str] | None,
        scene: str,
        suffix: str,
        options: dict[str, Any],
    ) -> Picture:
        path = self.path / "figures" / f"{scene}{suffix}" if out is None else Path(out)
        path.parent.mkdir(parents=True, exist_ok=True)
        if scene in ("shadow", "spectrum") and "pca" not in self.planes():
            self.plane()
        args = _binary.options(as_=scene, out=str(path), **options)
        _binary.command(["render", *args, "--", str(self.path)])
        return Picture(path)
