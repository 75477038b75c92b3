"""Films and figures as a notebook shows them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KINDS = {
    ".gif": "image/gif",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".mp4": "video/mp4",
    ".pdf": "application/pdf",
}


@dataclass(frozen=True)
class Picture:
    """A film or a figure in a file; a notebook shows it in the cell."""

    path: Path

    @property
    def kind(self) -> str:
        """Its media type."""
        return _KINDS.get(self.path.suffix.lower(), "application/octet-stream")

    def html(self) -> str:
        """The file itself as an element of a page."""
        data = f"data:{self.kind};base64,{base64.b64encode(self.path.read_bytes()).decode()}"
        if self.kind.startswith("video/"):
            return f'<video controls loop src="{data}" style="max-width:100%"></video>'
        if self.kind.startswith("image/"):
            return f'<img src="{data}" alt="{self.path.name}" style="max-width:100%">'
        return f'<a href="{data}" download="{self.path.name}">{self.path.name}</a>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.html()}


@dataclass(frozen=True)
class View:
    """Several pictures one under the other."""

    pictures: tuple[Picture, ...]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": "\n".join(p.html() for p in self.pictures)}
