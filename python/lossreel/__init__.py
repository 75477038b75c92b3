"""Record where a network's weights go while it trains, and film the path on the loss surface.

``Recorder`` writes a run in a training loop; ``Run`` opens one; ``surface``, ``curve`` and
``curvature`` evaluate one's own loss over it. The work is done by the ``lossreel`` program, which the wheel
carries: ``python -m lossreel`` runs it, too.
"""

from __future__ import annotations

from lossreel._errors import Error
from lossreel._own_loss import curvature, curve, surface
from lossreel._pictures import Picture, View
from lossreel._recorder import Recorder
from lossreel._results import Curvature, Curve, Metrics, Plane, Snapshot, Surface
from lossreel._run import Run

__all__ = [
    "Curvature",
    "Curve",
    "Error",
    "Metrics",
    "Picture",
    "Plane",
    "Recorder",
    "Run",
    "Snapshot",
    "Surface",
    "View",
    "curvature",
    "curve",
    "surface",
]
