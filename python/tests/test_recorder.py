"""What a recorder writes, and what is left when something goes wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from conftest import OwnNet, state_of

import lossreel


def test_snapshots_hold_every_parameter_once_and_every_float_buffer_exactly(trained):
    run = trained.run
    snapshots = run.snapshots
    assert [s.step for s in snapshots] == list(range(0, 25, 2))
    assert [s.epoch for s in snapshots] == pytest.approx([s.step / 6 for s in snapshots])
    expected = {n for n, _ in trained.model.named_parameters()} | {
        "batch.running_mean",
        "batch.running_var",
    }
    for snapshot, state in zip(snapshots, trained.states):
        tensors = snapshot.tensors
        assert set(tensors) == expected, "tied once, frozen too, no num_batches_tracked"
        for name, array in tensors.items():
            np.testing.assert_array_equal(array, state[name].numpy(), err_msg=name)
    roles = {p["name"]: p["role"] for p in run.layout["parameters"]}
    assert roles["norm.weight"] == roles["norm.bias"] == roles["batch.bias"] == "norm"
    assert roles["attend.in_proj_bias"] == roles["head.bias"] == "bias"
    assert roles["embed.weight"] == roles["attend.in_proj_weight"] == "weight"


def test_other_readers_read_the_snapshots(trained):
    from safetensors.torch import load_file

    last = trained.run.snapshots[-1]
    missing, unexpected = OwnNet().load_state_dict(load_file(last.path), strict=False)
    assert not unexpected
    assert missing == ["tied.weight"], "which is embed.weight"


def test_metrics_are_columns_and_the_run_is_finished(trained):
    metrics = trained.run.metrics
    assert metrics.steps["step"].tolist() == list(range(1, 25))
    assert metrics.steps["epoch"][5] == 1.0
    assert np.isfinite(metrics.steps["loss"]).all()
    assert np.isnan(metrics.steps["grad_norm"]).all()
    assert metrics.epochs["test_loss"] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    means = metrics.steps["loss"].reshape(4, 6).mean(1)
    np.testing.assert_allclose(metrics.epochs["running_loss"], means, rtol=1e-12)
    assert trained.run.is_finished


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_floating_types_become_f32(tmp_path, dtype):
    model = torch.nn.Linear(3, 2).to(dtype)
    with lossreel.Recorder(tmp_path / "run", model) as rec:
        rec.step(loss=torch.tensor(float("nan")), lr=1e-3)
        rec.epoch()
    first = rec.run.snapshots[0].tensors["weight"]
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, model.weight.detach().float().numpy())
    assert np.isnan(rec.run.metrics.steps["loss"][0])


def test_snapshots_can_be_rounded_to_half_their_size(tmp_path):
    model = torch.nn.Linear(300, 200)
    with lossreel.Recorder(tmp_path / "run", model, store="bf16") as rec:
        rec.step(loss=1.0)
        rec.epoch()
    snapshot = rec.run.snapshots[-1]
    want = model.weight.detach().bfloat16().float().numpy()
    np.testing.assert_array_equal(snapshot.tensors["weight"], want)
    assert snapshot.path.stat().st_size < 2.2 * 60_200


def record(out, every, steps, **options):
    model = torch.nn.Linear(1, 1)
    with lossreel.Recorder(out, model, every, **options) as rec:
        for i in range(steps):
            rec.step(loss=1.0)
            if (i + 1) % 10 == 0 and "steps_per_epoch" not in options:
                rec.epoch()
    return [s.step for s in rec.run.snapshots]


@pytest.mark.parametrize(
    ("every", "options", "expected"),
    [
        ("epoch", {}, [0, 10, 20, 30, 35]),
        ("epoch", {"steps_per_epoch": 10}, [0, 10, 20, 30, 35]),
        ("2 epochs", {}, [0, 20, 35]),
        ("7 steps", {"steps_per_epoch": 10}, [0, 7, 14, 21, 28, 35]),
        ("geometric 1.5", {"steps_per_epoch": 10}, [0, 1, 2, 3, 4, 6, 8, 12, 18, 26, 35]),
    ],
)
def test_policies_take_the_snapshots_they_name_and_both_ends(tmp_path, every, options, expected):
    assert record(tmp_path / "run", every, 35, **options) == expected


def test_epochs_of_known_length_end_by_themselves(tmp_path):
    model = torch.nn.Linear(1, 1)
    with lossreel.Recorder(tmp_path / "run", model, "2 epochs", steps_per_epoch=3) as rec:
        for step in range(12):
            rec.step(loss=float(step))
            if step == 5:
                rec.epoch(test_loss=7.0)
    epochs = rec.run.metrics.epochs
    assert epochs["epoch"].tolist() == [1, 2, 3, 4]
    assert epochs["running_loss"].tolist() == [1, 4, 7, 10]
    assert np.isnan(epochs["test_loss"]).tolist() == [True, False, True, True]
    assert [s.step for s in rec.run.snapshots] == [0, 6, 12]


def test_a_loop_without_epochs_is_told_of(tmp_path):
    model = torch.nn.Linear(1, 1)
    rec = lossreel.Recorder(tmp_path / "run", model)
    rec.step(loss=1.0)
    with pytest.raises(ValueError, match="steps_per_epoch"):
        rec.snapshot()
    with pytest.warns(UserWarning, match=r"rec\.epoch\(\)"):
        rec.close()
    assert [s.epoch for s in rec.run.snapshots] == [0.0, 1.0]
    with pytest.raises(ValueError, match=r"len\(loader\)"):
        lossreel.Recorder(tmp_path / "other", model, "10 steps")


def test_errors_are_the_programs_words(tmp_path):
    model = torch.nn.Linear(1, 1)
    lossreel.Recorder(tmp_path / "run", model).close()
    with pytest.raises(lossreel.Error, match="a run is there already"):
        lossreel.Recorder(tmp_path / "run", model)
    lossreel.Recorder(tmp_path / "run", model, replace=True).close()
    with pytest.raises(lossreel.Error, match="geometric 1.3"):
        lossreel.Recorder(tmp_path / "other", model, "0 epochs")
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        lossreel.Recorder(tmp_path / "other", 3)
    with pytest.raises(ValueError, match="no parameter"):
        lossreel.Recorder(tmp_path / "other", torch.nn.ReLU())
    with pytest.raises(lossreel.Error, match="there is no run"):
        lossreel.Run(tmp_path / "nothing")


def test_a_loop_that_raises_keeps_its_error_and_an_unfinished_run(tmp_path):
    model = torch.nn.Linear(1, 1)
    with pytest.raises(ZeroDivisionError), lossreel.Recorder(tmp_path / "run", model) as rec:
        rec.step(loss=1.0)
        rec.epoch()
        rec.step(loss=1 / 0)
    run = rec.run
    assert not run.is_finished
    assert [s.step for s in run.snapshots] == [0, 1]
    assert len(run.metrics.steps["step"]) == 1


def test_a_loop_that_raises_ends_though_workers_of_its_own_live_on(tmp_path):
    model = torch.nn.Linear(1, 1)
    data = torch.utils.data.TensorDataset(torch.randn(64, 1))
    loader = torch.utils.data.DataLoader(data, 8, num_workers=2, persistent_workers=True)
    started = time.monotonic()
    with pytest.raises(ZeroDivisionError), lossreel.Recorder(tmp_path / "run", model) as rec:
        for _ in loader:
            rec.step(loss=1.0)
        batches = iter(loader)
        next(batches)
        1 / 0  # noqa: B018
    assert time.monotonic() - started < 30
    assert not rec.run.is_finished
    assert len(rec.run.metrics.steps["step"]) == 8


def test_what_is_no_number_is_said_at_the_next_call(tmp_path):
    rec = lossreel.Recorder(tmp_path / "run", torch.nn.Linear(1, 1))
    rec.step(loss=torch.ones(3))
    with pytest.raises(lossreel.Error, match="step 1 is no number"):
        rec.flush()
    with pytest.raises(lossreel.Error, match="step 1"):
        rec.close()
    assert not rec.run.is_finished


def test_an_error_of_the_disk_comes_back_to_the_loop(tmp_path):
    model = torch.nn.Linear(1, 1)
    rec = lossreel.Recorder(tmp_path / "run", model)
    rec.flush()
    shutil.rmtree(tmp_path / "run" / "snapshots")
    with pytest.raises(lossreel.Error, match=r"cannot .*snapshot"):  # noqa: PT012
        for _ in range(200):
            rec.step(loss=1.0)
            rec.epoch()
            time.sleep(0.02)
    with pytest.raises(lossreel.Error, match="snapshot"):
        rec.close()


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_leaves_what_it_recorded(tmp_path, how):
    program = textwrap.dedent(
        f"""
        import time, torch, lossreel
        model = torch.nn.Linear(400, 400)
        rec = lossreel.Recorder({str(tmp_path / "run")!r}, model, "epoch")
        for step in range(10**6):
            with torch.no_grad():
                model.weight.fill_(step + 1)
            rec.step(loss=float(step))
            if step % 2:
                rec.epoch()
            if step == 40:
                print("now", flush=True)
            time.sleep(0.002)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"now\n"
    process.send_signal(how)
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 20
    run = lossreel.Run(tmp_path / "run")
    while (count := len(run.snapshots)) < 20 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert count >= 20
    assert not run.is_finished
    time.sleep(0.5)
    for snapshot in run.snapshots[1:]:
        np.testing.assert_array_equal(snapshot.tensors["weight"], np.full((400, 400), snapshot.step))
    assert run.plane().explained_variance[0] > 0.9


def test_recording_leaves_the_model_alone(tmp_path):
    torch.manual_seed(3)
    model = OwnNet().train()
    before = state_of(model)
    with lossreel.Recorder(tmp_path / "run", model) as rec:
        rec.step(loss=1.0)
        rec.epoch()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert model.training
    assert all(p.requires_grad == (n != "scale") for n, p in model.named_parameters())


def test_arrays_by_name_are_recorded_as_they_become(tmp_path):
    weights = {"w": np.zeros((2, 3)), "b": np.zeros(3, np.float32)}
    with lossreel.Recorder(tmp_path / "run", lambda: weights) as rec:
        for step in range(3):
            weights = {"w": weights["w"] + 1, "b": weights["b"] - step}
            rec.step(loss=1.0)
            rec.epoch()
    last = rec.run.snapshots[-1].tensors
    np.testing.assert_array_equal(last["w"], np.full((2, 3), 3.0))
    np.testing.assert_array_equal(last["b"], np.full(3, -3.0))
    surface = lossreel.surface(rec.run, lambda a: float((a["w"] ** 2).sum()), grid="5x5")
    assert surface.path_losses[-1, 0] == pytest.approx(54.0)


def test_wrappers_do_not_change_names(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    wrapped = torch.nn.DataParallel(model)
    with lossreel.Recorder(tmp_path / "run", wrapped) as rec:
        rec.step(loss=1.0)
        rec.epoch()
    assert list(rec.run.snapshots[0].tensors) == ["0.weight", "0.bias"]
