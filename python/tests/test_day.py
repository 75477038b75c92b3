"""A PyTorch user's day: record, plane, surface by one's own loss, film; held against numpy and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import OwnNet, loss_of, state_of, train

import lossreel


def thetas(run):
    return np.stack([s.theta for s in run.snapshots]).astype(np.float64)


def test_the_path_is_numpys_pca(trained):
    plane = trained.run.plane()
    path = thetas(trained.run)
    moved = path - path[-1]
    centred = moved - moved.mean(0)
    _, sizes, rows = np.linalg.svd(centred, full_matrices=False)
    shares = sizes**2 / (sizes**2).sum()
    np.testing.assert_allclose(plane.explained_variance, shares[:2], rtol=0, atol=1e-6)
    coords = moved @ rows[:2].T
    signs = np.sign((coords * plane.coords).sum(0))
    extent = np.abs(coords).max()
    assert np.abs(coords * signs - plane.coords).max() / extent < 1e-6
    assert plane.steps.tolist() == [s.step for s in trained.run.snapshots]
    for direction, row, sign in zip(plane.directions, rows, signs):
        np.testing.assert_allclose(direction, sign * row, atol=1e-5)
    np.testing.assert_array_equal(plane.origin, path[-1].astype(np.float32))


def place(plane, point):
    x, y = (d.astype(np.float64) for d in plane.directions)
    return (plane.origin.astype(np.float64) + point[0] * x + point[1] * y).astype(np.float32)


def loaded(run, theta, buffers_of):
    """A model of its own with a flat vector of weights, and the buffers of a state."""
    model = OwnNet()
    model.load_state_dict(buffers_of)
    at = 0
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(theta[at : at + p.numel()].copy()).view(p.shape))
            at += p.numel()
    assert at == len(theta)
    return model.eval()


def test_losses_are_torchs(trained):
    run, model = trained.run, trained.model.train()
    before = state_of(model)
    surface = lossreel.surface(run, loss_of, model, grid="7x5", name="losses", quiet=True)
    assert surface.losses.shape == (5, 7)
    plane, end = run.plane(), trained.states[-1]
    for i, j in [(0, 0), (2, 3), (4, 6), (1, 5)]:
        point = (surface.x[j], surface.y[i])
        with torch.no_grad():
            loss, right, total = loss_of(loaded(run, place(plane, point), end))
        assert abs(surface.losses[i, j] - float(loss)) < 1e-5 * max(1.0, float(loss))
        assert surface.accuracies[i, j] == pytest.approx(right / total)
    # At a snapshot it is the snapshot's own loss, with its own running statistics; on the surface
    # that of its projection, with those of the end.
    for k in (0, 5, len(trained.states) - 1):
        with torch.no_grad():
            own = loaded(run, run.snapshots[k].theta, trained.states[k])
            shadow = loaded(run, place(plane, plane.coords[k]), end)
            expected = [float(loss_of(m)[0]) for m in (own, shadow)]
        np.testing.assert_allclose(surface.path_losses[k], expected, rtol=1e-5)
    assert surface.header["batch_norm"] != "none"
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} is as it was"
    assert model.training
    assert not model.scale.requires_grad


def test_whatever_the_loss_does_the_model_is_put_back_and_what_is_done_is_kept(trained):
    model, calls = trained.model.train(), []
    before = state_of(model)

    def failing(module):
        calls.append(1)
        if len(calls) > 14:
            raise KeyError("no more data")
        return loss_of(module)

    arguments = {"grid": "6x6", "name": "failing", "quiet": True}
    with pytest.raises(KeyError, match="no more data"):
        lossreel.surface(trained.run, failing, model, **arguments)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert model.training
    done = np.isfinite(trained.run.surface("failing").losses).sum()
    assert 8 <= done < 36
    again = []

    def counting(module):
        again.append(1)
        return loss_of(module)

    surface = lossreel.surface(trained.run, counting, model, **arguments)
    assert np.isfinite(surface.losses).all()
    snapshots = len(trained.run.snapshots)
    assert len(again) == 1 + 36 - done + 2 * snapshots, "only what was missing, and one to compare"


def test_ctrl_c_is_ctrl_c_and_the_same_call_goes_on(trained):
    calls = []

    def interrupted(module):
        calls.append(1)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return loss_of(module)

    arguments = {"grid": "5x5", "name": "interrupted", "quiet": True}
    with pytest.raises(KeyboardInterrupt):
        lossreel.surface(trained.run, interrupted, trained.model, **arguments)
    surface = lossreel.surface(trained.run, loss_of, trained.model, **arguments)
    assert np.isfinite(surface.losses).all()


def test_another_loss_under_the_same_name_is_noticed(trained):
    arguments = {"grid": "4x4", "name": "noticed", "quiet": True}
    lossreel.surface(trained.run, loss_of, trained.model, **arguments)

    def other(module):
        loss, right, total = loss_of(module)
        return 2 * loss, right, total

    with pytest.raises(lossreel.Error, match="another loss"):
        lossreel.surface(trained.run, other, trained.model, **arguments)
    surface = lossreel.surface(trained.run, other, trained.model, force=True, **arguments)
    assert np.isfinite(surface.losses).all()


def test_values_that_say_too_little_are_refused_with_a_remedy(trained):
    run, model = trained.run, trained.model
    arguments = {"grid": "3x3", "name": "refused", "quiet": True}
    with pytest.raises(ValueError, match="samples="):
        lossreel.surface(run, lambda m: (1.0, 0.5), model, **arguments)
    with pytest.raises(ValueError, match="4 values"):
        lossreel.surface(run, lambda m: (1, 2, 3, 4), model, **arguments)
    with pytest.raises(ValueError, match="give loss_fn"):
        lossreel.surface(run, None, model, **arguments)
    with pytest.raises(ValueError, match="`scale`"):
        lossreel.surface(run, loss_of, torch.nn.Linear(4, 8), **arguments)
    surface = lossreel.surface(run, lambda m: (1.0, 0.5), model, samples=10, **arguments)
    assert (surface.losses == 1.0).all()
    assert (surface.accuracies == 0.5).all()


def test_a_loss_that_is_not_finite_is_kept_as_such(trained):
    def broken(module):
        loss = loss_of(module)[0]
        return loss / 0 if loss > 0.9 else loss

    surface = lossreel.surface(
        trained.run, broken, trained.model, grid="5x5", name="broken", quiet=True
    )
    assert np.isinf(surface.losses).any()
    assert np.isfinite(surface.losses).any()


def test_a_curve_goes_through_the_end_of_the_run(trained):
    curve = lossreel.curve(trained.run, loss_of, trained.model, points=5, quiet=True)
    assert curve.x.tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    with torch.no_grad():
        end = float(loss_of(trained.model.eval())[0])
    assert curve.losses[2] == pytest.approx(end, rel=1e-5)
    assert curve.losses.argmin() == 2


def test_the_sharpness_is_the_largest_eigenvalue_of_the_whole_hessian(tmp_path):
    torch.manual_seed(0)
    x, y = torch.randn(40, 3), torch.randn(40, 1)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))

    def loss_fn(module):
        return ((module(x) - y) ** 2).mean()

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lossreel.Recorder(tmp_path / "run", model) as rec:
        for _ in range(3):
            loss = loss_fn(model)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rec.step(loss=loss, lr=0.1)
            rec.epoch()
    found = lossreel.curvature(rec.run, loss_fn, model, eigenvalues=2, quiet=True)
    assert found.eigenvalues.shape == (4, 2)
    assert found.converged.all()
    names = [n for n, _ in model.named_parameters()]
    shapes = [p.shape for p in model.parameters()]

    def flat_loss(theta):
        parts, at = {}, 0
        for name, shape in zip(names, shapes):
            parts[name] = theta[at : at + shape.numel()].view(shape)
            at += shape.numel()
        return ((torch.func.functional_call(model, parts, (x,)) - y) ** 2).mean()

    for k, snapshot in enumerate(rec.run.snapshots):
        theta = torch.from_numpy(snapshot.theta.copy())
        hessian = torch.autograd.functional.hessian(flat_loss, theta).double()
        values = torch.linalg.eigvalsh(hessian).flip(0)[:2].numpy()
        np.testing.assert_allclose(found.eigenvalues[k], values, rtol=2e-4)
    assert rec.run.curvature().sharpness.tolist() == found.sharpness.tolist()
    assert all(p.requires_grad for p in model.parameters())
    with pytest.raises(TypeError, match=r"no \.item\(\)"):
        lossreel.curvature(
            rec.run, lambda m: float(loss_fn(m)), model, data="floats", force=True, quiet=True
        )


def test_where_the_names_are_those_of_one_of_our_nets_the_engine_evaluates(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.ModuleDict(
        {
            "fc1": torch.nn.Linear(64, 128),
            "bn1": torch.nn.BatchNorm1d(128),
            "fc2": torch.nn.Linear(128, 128),
            "bn2": torch.nn.BatchNorm1d(128),
            "linear": torch.nn.Linear(128, 10),
        }
    )
    with lossreel.Recorder(tmp_path / "run", model) as rec:
        for _ in range(3):
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(0.02 * torch.randn_like(p))
            rec.step(loss=1.0)
            rec.epoch()
    surface = lossreel.surface(
        rec.run, arch="mlp", dataset="digits", samples=200, grid="5x5", quiet=True
    )
    from lossreel import _binary

    last = rec.run.snapshots[-1]
    weights = _binary.options(weights=last.path, arch="mlp", dataset="digits", split="train")
    found = _binary.command(["evaluate", *weights, "--samples=200"])
    assert surface.path_losses[-1, 0] == pytest.approx(found["loss"], rel=1e-6)
    assert surface.header["backend"] == "native"
    with pytest.raises(lossreel.Error, match="lenet5"):
        lossreel.surface(rec.run, arch="lenet5", dataset="digits", grid="5x5", quiet=True)


def test_films_and_figures_of_a_net_that_nobody_knows(tmp_path):
    run = train(tmp_path / "run", epochs=2).run
    film = run.film(size="480x270", frames=6)
    assert film.path.name == "shadow.gif"
    assert film.path.read_bytes().startswith(b"GIF89a")
    for scene in ("spectrum", "histograms", "shadow"):
        figure = run.figure(scene, size="480x270")
        assert figure.path.read_bytes().startswith(b"\x89PNG")
    lossreel.surface(run, loss_of, OwnNet(), grid="9x9", quiet=True)
    film = run.film(tmp_path / "film.mp4", size="480x270", frames=6)
    assert b"ftyp" in film.path.read_bytes()[:16]
    view = run.view(size="480x270", frames=4)
    shown = view._repr_mimebundle_()["text/html"]
    assert "data:image/gif;base64," in shown
    assert "data:image/png;base64," in shown
    assert "data:video/mp4;base64," in film._repr_mimebundle_()["text/html"]
    with pytest.raises(lossreel.Error, match="contuor"):
        run.figure("contuor")


def test_the_files_are_what_the_program_reads(trained):
    from lossreel import _binary

    found = _binary.command(["inspect", str(trained.run.path), "--check"])
    assert found["damaged"] == 0
    snapshots = [a for a in found["artifacts"] if a["kind"] == "snapshot"]
    assert [a["state"] for a in snapshots] == ["whole"] * len(trained.states)
