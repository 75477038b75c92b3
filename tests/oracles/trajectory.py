"""Expected numbers for src/trajectory: numpy's SVD of paths that both sides compute.

    python tests/oracles/trajectory.py > tests/oracles/trajectory.json

The formula uses whole numbers and the four operations only, so that f64 gives the same bits on
both sides; the result is rounded to f32 once.
"""
import json

import numpy as np


def hashed(i, j):
    return ((31 * i * i + 17 * i * j + 7919 * j + 13 * j * j) % 1009) / 1009.0 - 0.5


def path(snapshots, params, offset):
    def theta(i, j):
        drift = 2.0 * hashed(3, j) * (i / snapshots)
        bend = hashed(5, j + 1) * (((i * i) % (snapshots + 3)) / (snapshots + 3))
        return ((offset + drift) + bend) + 0.1 * hashed(i, j)

    rows = [[theta(i, j) for j in range(params)] for i in range(snapshots)]
    return np.array(rows, dtype=np.float64).astype(np.float32).astype(np.float64)


def case(snapshots, params, offset, centring):
    d = path(snapshots, params, offset)
    d = d - d[-1]
    x = d - d.mean(axis=0) if centring == "centred" else d
    _, s, vt = np.linalg.svd(x, full_matrices=False)
    coords = d @ vt[:2].T
    for k in range(2):  # the farthest snapshot lies on the negative side
        far = coords[np.argmax(np.abs(coords[:, k])), k]
        if far > 0:
            coords[:, k] *= -1
            vt[k] *= -1
    off = np.linalg.norm(d - coords @ vt[:2], axis=1)
    length = np.linalg.norm(d, axis=1)
    residual = np.divide(off, length, out=np.zeros_like(off), where=length > 0)
    return {
        "snapshots": snapshots, "params": params, "offset": offset, "centring": centring,
        "singular_values": s.tolist(),
        "explained_variance": (s[:2] ** 2 / (s**2).sum()).tolist(),
        "coords": coords.tolist(),
        "off_plane_residual": residual.tolist(),
        "directions": vt[:2, :8].tolist(),
    }


shapes = [(12, 501, 0.0), (12, 501, 1000.0), (60, 7, 0.0), (40, 2003, 0.0)]
cases = [case(*shape, centring) for shape in shapes for centring in ("centred", "uncentred")]
print(json.dumps({"numpy": np.__version__, "cases": cases}, separators=(",", ":")).replace(
    "},{", "},\n{"))
