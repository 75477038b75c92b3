"""What `lossreel export` writes, read by the programs that it is written for."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lossreel import _binary


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A small run with a plane and a surface of 5x4 cells."""
    folder = tmp_path_factory.mktemp("exports")
    settings = [
        "model.arch=mlp",
        "data.train_samples=200",
        "data.test_samples=100",
        "train.batch_size=50",
        "train.epochs=2",
    ]
    command(
        folder,
        *["train", "--dataset", "digits", "--out", "run"],
        *[part for setting in settings for part in ("--set", setting)],
    )
    command(folder, "plane", "run")
    command(folder, "surface", "run", "--grid", "5x4")
    return folder / "run"


def command(folder: Path, *arguments: str) -> None:
    subprocess.run([str(_binary.find()), "--quiet", *arguments], cwd=folder, check=True)


def losses(run: Path) -> np.ndarray:
    """The surface's losses, by the table, row by row."""
    command(run.parent, "export", "run", "--to", "csv", "--out", "surface.csv")
    with (run.parent / "surface.csv").open() as file:
        return np.array([float(row["loss"]) for row in csv.DictReader(file)])


def test_vtks_reader_has_the_surface(run):
    vtk = pytest.importorskip("vtk")
    command(run.parent, "export", "run", "--to", "vtp", "--out", "surface.vtp")
    reader = vtk.vtkXMLPolyDataReader()
    reader.SetFileName(str(run.parent / "surface.vtp"))
    reader.Update()
    assert reader.GetErrorCode() == 0
    mesh = reader.GetOutput()
    assert (mesh.GetNumberOfPoints(), mesh.GetNumberOfPolys()) == (5 * 4, 4 * 3)
    heights = [mesh.GetPoint(at)[2] for at in range(20)]
    np.testing.assert_allclose(sorted(heights), sorted(losses(run)), rtol=1e-5)


def test_numpy_and_h5py_have_the_same_surface(run):
    command(run.parent, "export", "run", "--to", "npz", "--out", "surface.npz")
    arrays = np.load(run.parent / "surface.npz")
    np.testing.assert_allclose(np.sort(arrays["surface_loss"].ravel()), np.sort(losses(run)), rtol=1e-6)
    h5py = pytest.importorskip("h5py")
    command(run.parent, "export", "run", "--to", "h5", "--out", "surface.h5")
    with h5py.File(run.parent / "surface.h5") as file:
        found = np.sort(np.asarray(file["train_loss"]).ravel())
    np.testing.assert_allclose(found, np.sort(losses(run)), rtol=1e-6)
