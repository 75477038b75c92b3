"""Surfaces, curves and curvatures of a run, evaluated by a function of the caller's."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lossreel import _binary
from lossreel._arrays import RecordedArrays
from lossreel._errors import Error
from lossreel._process import Process
from lossreel._results import Curvature, Curve, Surface
from lossreel._run import Run
from lossreel._sources import source_of
from lossreel._stream import _plain
from lossreel._tensors import Source, Tensor, Vector, by_name, flat, size

LossFn = Callable[[Any], Any]
HvpFn = Callable[[Any, dict[str, Any]], Any]


def surface(
    run: Run | str | os.PathLike[str],
    loss_fn: LossFn | None = None,
    model: Any = None,
    *,
    grid: str = "31x31",
    plane: str = "pca",
    name: str | None = None,
    range: Sequence[float] | None = None,
    data: str = "own data",
    samples: int | None = None,
    force: bool = False,
    quiet: bool = False,
    arch: str | None = None,
    **options: Any,
) -> Surface:
    """Evaluates a loss over a plane of a run and at its snapshots, resumably.

    ``loss_fn`` is called with ``model``, which has the weights of a point and the frozen buffers
    (BatchNorm's statistics of the plane's origin; at a snapshot its own), in eval mode and without
    gradients. Without a model it is called with a dict of arrays by name. It returns the mean loss over
    fixed data, or ``(loss, correct, total)``, or ``(loss, accuracy)`` where ``samples`` is given.
    Whatever happens, the model has its own weights, buffers and mode again afterwards.

    An evaluation that was stopped goes on with the same call. That the loss is the same one is
    checked at one cell; say in ``data`` what else it depends on.

    Args:
        run: the run, or its folder.
        loss_fn: the loss; not needed with ``arch``.
        model: the model that was trained, or one with tensors of the same names.
        grid: columns and rows.
        plane: the plane's name; ``pca`` is made where it is not there.
        name: what the surface is called; as its plane by default.
        range: ``(xmin, xmax, ymin, ymax)`` in units of the directions; holds the path by default.
        data: the data in a few words, for captions; a surface of other words is another one.
        samples: how many samples the loss is a mean over, where the function does not say.
        force: whether another surface of that name is replaced.
        quiet: whether nothing is said of progress.
        arch: an architecture of lossreel's whose tensors the run has (``"resnet20"``): its own engine
            evaluates it then, on ``dataset="cifar10"`` with ``samples``, ``data_dir``, ``norm_stats``.
        options: more of ``lossreel recorded surface``'s.

    Raises:
        Error: in the words of the program.
        ValueError: for a model with other tensors than the run's, or a value that is none.
    """
    run = run if isinstance(run, Run) else Run(run)
    if plane == "pca" and "pca" not in run.planes():
        run.plane()
    bounds = None if range is None else ",".join(repr(float(v)) for v in range)
    args = _binary.options(grid=grid, plane=plane, name=name, range=bounds)
    caller = _Caller(run, loss_fn, model, None, samples)
    shared = _shared(data, samples, force, quiet, arch, options)
    report = caller.carry_out("surface", [*args, *shared], arch)
    return Surface.read(Path(report["folder"]))


def curve(
    run: Run | str | os.PathLike[str],
    loss_fn: LossFn | None = None,
    model: Any = None,
    *,
    points: int = 51,
    range: Sequence[float] = (-1.0, 1.0),
    snapshot: int | None = None,
    name: str = "curve",
    data: str = "own data",
    samples: int | None = None,
    force: bool = False,
    quiet: bool = False,
    arch: str | None = None,
    **options: Any,
) -> Curve:
    """Evaluates a loss along a random line through a state of a run, resumably.

    Args:
        run: the run, or its folder.
        loss_fn: as for :func:`surface`.
        model: as for :func:`surface`.
        points: how many.
        range: first and last coordinate.
        snapshot: the state's number; the last by default.
        name: what the curve is called.
        data: as for :func:`surface`, as ``samples``, ``force``, ``quiet`` and ``arch``.
        samples: as for :func:`surface`.
        force: as for :func:`surface`.
        quiet: as for :func:`surface`.
        arch: as for :func:`surface`.
        options: more of ``lossreel recorded curve``'s: ``seed=1``, ``norm="filter"``,
            ``direction="file.h5"``, ...

    Raises:
        Error: in the words of the program.
        ValueError: as for :func:`surface`.
    """
    run = run if isinstance(run, Run) else Run(run)
    low, high = range
    bounds = f"{float(low)!r},{float(high)!r}"
    args = _binary.options(points=points, range=bounds, snapshot=snapshot, name=name)
    caller = _Caller(run, loss_fn, model, None, samples)
    shared = _shared(data, samples, force, quiet, arch, options)
    return Curve.of(caller.carry_out("curve", [*args, *shared], arch))


def curvature(
    run: Run | str | os.PathLike[str],
    loss_fn: LossFn | None = None,
    model: Any = None,
    *,
    hvp: HvpFn | None = None,
    snapshots: int | str = "all",
    eigenvalues: int = 1,
    tolerance: float = 1e-3,
    iterations: int = 100,
    data: str = "own data",
    samples: int | None = None,
    force: bool = False,
    quiet: bool = False,
    arch: str | None = None,
    **options: Any,
) -> Curvature:
    """The largest eigenvalues of the Hessian of a loss at snapshots of a run, resumably.

    The products with the Hessian are those of PyTorch's autograd, so that for a torch model the loss
    function returns a tensor. For any other model ``hvp(model, direction)`` gives them, direction and
    product as arrays by name.

    Args:
        run: the run, or its folder.
        loss_fn: as for :func:`surface`, but returning a tensor.
        model: as for :func:`surface`.
        hvp: the products, where autograd of PyTorch does not know them.
        snapshots: ``"all"``, or so many of them spread evenly.
        eigenvalues: how many of the largest.
        tolerance: the residual, relative to the largest eigenvalue, that is good enough.
        iterations: products at most, at each snapshot.
        data: as for :func:`surface`, as ``samples``, ``force``, ``quiet`` and ``arch``.
        samples: as for :func:`surface`.
        force: as for :func:`surface`.
        quiet: as for :func:`surface`.
        arch: as for :func:`surface`.
        options: more of ``lossreel recorded curvature``'s.

    Raises:
        Error: in the words of the program.
        TypeError: for a loss of which no derivative is known.
        ValueError: as for :func:`surface`.
    """
    run = run if isinstance(run, Run) else Run(run)
    args = _binary.options(
        snapshots=snapshots, eigenvalues=eigenvalues, tolerance=tolerance, iterations=iterations
    )
    caller = _Caller(run, loss_fn, model, hvp, samples)
    shared = _shared(data, samples, force, quiet, arch, options)
    return Curvature.of(caller.carry_out("curvature", [*args, *shared], arch))


def _shared(
    data: str,
    samples: int | None,
    force: bool,
    quiet: bool,
    arch: str | None,
    options: dict[str, Any],
) -> list[str]:
    data_words = None if arch else data
    common = _binary.options(samples=samples, force=force, quiet=quiet, arch=arch, data=data_words)
    return common + _binary.options(**options)


class _Caller:
    """Answers the questions of the program with the caller's functions."""

    def __init__(
        self,
        run: Run,
        loss_fn: LossFn | None,
        model: Any,
        hvp: HvpFn | None,
        samples: int | None,
    ) -> None:
        self._run = run
        self._loss_fn = loss_fn
        self._model = model
        self._hvp = hvp
        self._samples = samples

    def carry_out(self, what: str, args: Sequence[str], arch: str | None) -> Any:
        """Starts the program, answers it, and returns its result."""
        if self._loss_fn is None and arch is None:
            raise ValueError("there is no loss; give loss_fn, or arch= for one of lossreel's own nets")
        command = [str(_binary.find()), "recorded", what, *args, "--", str(self._run.path)]
        process = Process(command)
        try:
            result = self._answer(process)
        except KeyboardInterrupt:
            _try(process, {"interrupted": True})
            process.stop()
            raise
        except Exception as error:
            _try(process, {"error": f"{type(error).__name__}: {error}"})
            process.stop()
            raise
        except BaseException:
            process.stop()
            raise
        process.finish()
        if result is None:
            raise Error("lossreel ended without a result; run it again")
        return result

    def _answer(self, process: Process) -> Any:
        """Answers until there is a result, or the process ends."""
        hello = self._next(process)
        if hello is None or hello["kind"] == "result":
            return hello and hello["report"]
        parameters, buffers = (
            [Tensor(t["name"], tuple(t["shape"])) for t in hello[key]] for key in ("parameters", "buffers")
        )
        source: Source
        if self._model is None:
            source = RecordedArrays(parameters, buffers)
        else:
            source = source_of(self._model)
            _compare(parameters, source.parameters, "parameter")
            _compare(buffers, source.buffers, "buffer")
        with source.borrowed():
            while True:
                question = self._next(process)
                if question is None or question["kind"] == "result":
                    return question and question["report"]
                values = _read(process, question["raw"])
                self._reply(process, source, question["kind"], values)

    @staticmethod
    def _next(process: Process) -> Any:
        line = process.stdout.readline()
        return json.loads(line) if line else None

    def _reply(self, process: Process, source: Source, kind: str, values: Vector) -> None:
        if kind == "buffers":
            source.load_buffers(values)
        elif kind == "loss":
            answer = self._evaluate(source, values)
            process.write(_line(answer))
        elif kind == "hvp":
            product = self._product(source, values)
            process.write(_line({"raw": product.nbytes}))
            process.write(product.data)
        else:
            raise Error(f"the program asks for `{kind}`; use package and program of one release")

    def _evaluate(self, source: Source, theta: Vector) -> dict[str, Any]:
        assert self._loss_fn is not None
        model = source.load(theta)
        with _without_gradients():
            return _evaluation(self._loss_fn(model), self._samples)

    def _product(self, source: Source, values: Vector) -> Vector:
        theta, direction = np.split(values, 2)
        model = source.load(theta)
        if self._hvp is None:
            product = source.product(self._loss_fn, direction)
        else:
            named = self._hvp(model, by_name(source.parameters, direction))
            product = flat(source.parameters, named, "the products")
        if product.size != size(source.parameters):
            raise ValueError(f"the product has {product.size} values, not {theta.size}")
        return np.ascontiguousarray(product, "<f4")


def _compare(recorded: list[Tensor], given: list[Tensor], what: str) -> None:
    """Refuses a model with other tensors than the run's.

    Raises:
        ValueError: naming the first that differs.
    """
    pairs = {t.name: t.shape for t in given}
    for tensor in recorded:
        if pairs.get(tensor.name) != tensor.shape:
            found = pairs.get(tensor.name, "none")
            raise ValueError(
                f"the run's {what} `{tensor.name}` has the shape {tensor.shape}, the model's {found}; "
                "give the model that was recorded"
            )
    if [t.name for t in recorded] != [t.name for t in given]:
        raise ValueError(
            f"the model's {what}s are more than the run's, or in another order; give the model that "
            "was recorded"
        )


def _evaluation(value: Any, samples: int | None) -> dict[str, Any]:
    """A loss function's value as an answer.

    Raises:
        ValueError: for a value of no known form.
    """
    if not isinstance(value, (tuple, list)):
        return {"loss": _plain(value), **({"total": samples} if samples else {})}
    if len(value) == 3:
        loss, correct, total = value
        return {"loss": _plain(loss), "correct": int(correct), "total": int(total)}
    if len(value) == 2 and samples:
        loss, accuracy = value
        return {
            "loss": _plain(loss),
            "correct": round(float(accuracy) * samples),
            "total": samples,
        }
    if len(value) == 2:
        raise ValueError(
            "a share of right answers says nothing without their number; give samples=, or return "
            "(loss, correct, total)"
        )
    raise ValueError(
        f"the loss function returned {len(value)} values; return the loss, (loss, accuracy) or "
        "(loss, correct, total)"
    )


def _without_gradients() -> Any:
    import contextlib
    import sys

    torch = sys.modules.get("torch")
    return contextlib.nullcontext() if torch is None else torch.no_grad()


def _read(process: Process, count: int) -> Vector:
    out = bytearray(count)
    view, done = memoryview(out), 0
    while done < count:
        got = process.stdout.readinto(view[done:])
        if not got:
            raise Error("the program went away in the middle of a question; run it again")
        done += got
    return np.frombuffer(out, "<f4")


def _line(answer: dict[str, Any]) -> bytes:
    return (json.dumps(answer) + "\n").encode()


def _try(process: Process, answer: dict[str, Any]) -> None:
    """Tells the process why there is no answer, if it still listens."""
    with contextlib.suppress(OSError):
        process.write(_line(answer))
