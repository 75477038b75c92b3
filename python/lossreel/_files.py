"""Reads a run's files: safetensors, mapped into memory, and JSON with numbers that are not finite."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossreel._errors import Error

_TYPES = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "I64": np.int64, "BF16": np.uint16}


def safetensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The tensors of a file, mapped into memory and read-only, and its metadata.

    bfloat16 has no type in numpy: it is read, as float32.

    Raises:
        Error: for a file that is damaged, or not there.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        whole = np.memmap(path, np.uint8, "r", offset=8 + length)
    except (OSError, ValueError) as error:
        raise Error(f"cannot read {path}: {error}") from error
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, about in header.items():
        start, end = about["data_offsets"]
        raw = np.asarray(whole[start:end]).view(_TYPES[about["dtype"]]).reshape(about["shape"])
        if about["dtype"] == "BF16":
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = raw
    return tensors, metadata


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines; a last line that was cut short is left out."""
    if not path.is_file():
        return
    for text in path.read_bytes().split(b"\n")[:-1]:
        if text.strip():
            line = json.loads(text)
            # A checksum of the line, for whoever writes the file.
            line.pop("crc", None)
            yield line


def document(path: Path) -> dict[str, Any]:
    """A JSON file.

    Raises:
        Error: where there is none, or it does not parse.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Error(f"cannot read {path}: {error}") from error
    return found


def number(value: Any) -> float:
    """A number that may be written as "NaN", "inf" or "-inf"; NaN where there is none."""
    return float("nan") if value is None else float(value)


def numbers(values: list[Any] | None) -> NDArray[np.float64]:
    """An array of such."""
    return np.array([number(v) for v in values or []], np.float64)
