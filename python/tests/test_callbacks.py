"""The callbacks, each in the loop of its own library where that is installed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lossreel


def test_lightning(tmp_path):
    pl = pytest.importorskip("lightning.pytorch")
    from lossreel.callbacks.lightning import RecorderCallback

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Linear(4, 2)

        def training_step(self, batch, _):
            x, y = batch
            return torch.nn.functional.cross_entropy(self.net(x), y)

        def validation_step(self, batch, _):
            x, y = batch
            self.log("val_loss", torch.nn.functional.cross_entropy(self.net(x), y))
            self.log("val_acc", (self.net(x).argmax(1) == y).float().mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    x = torch.randn(40, 4)
    data = torch.utils.data.TensorDataset(x, (x[:, 0] > 0).long())
    loader = torch.utils.data.DataLoader(data, batch_size=10)
    module = Module()
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        callbacks=[RecorderCallback(tmp_path / "run", "2 steps")],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, loader, loader)
    run = lossreel.Run(tmp_path / "run")
    assert run.is_finished
    assert [s.step for s in run.snapshots] == [0, 2, 4, 6, 8, 10, 12]
    np.testing.assert_array_equal(
        run.snapshots[-1].tensors["net.weight"], module.net.weight.detach().numpy()
    )
    metrics = run.metrics
    assert metrics.steps["lr"] == pytest.approx([0.1] * 12)
    assert np.isfinite(metrics.steps["loss"]).all()
    assert np.isfinite(metrics.epochs["test_loss"]).all()
    assert len(metrics.epochs["test_accuracy"]) == 3


def test_hugging_face(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from lossreel.callbacks.huggingface import RecorderCallback

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(4, 2)

        def forward(self, x, labels):
            logits = self.fc(x)
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    x = torch.randn(32, 4)
    rows = [{"x": row, "labels": int(row[0] > 0)} for row in x]
    net = Net()
    args = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"),
        num_train_epochs=2,
        per_device_train_batch_size=8,
        learning_rate=0.01,
        logging_steps=1,
        eval_strategy="epoch",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(
        model=net,
        args=args,
        train_dataset=rows,
        eval_dataset=rows,
        callbacks=[RecorderCallback(tmp_path / "run")],
    )
    trainer.train()
    run = lossreel.Run(tmp_path / "run")
    assert run.is_finished
    assert [s.step for s in run.snapshots] == [0, 4, 8]
    np.testing.assert_array_equal(run.snapshots[-1].tensors["fc.weight"], net.fc.weight.detach().numpy())
    assert np.isfinite(run.metrics.steps["loss"]).all()
    assert np.isfinite(run.metrics.epochs["test_loss"]).all()


def test_keras(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    from lossreel.callbacks.keras import RecorderCallback

    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    model.fit(
        x,
        y,
        batch_size=10,
        epochs=3,
        verbose=0,
        validation_data=(x, y),
        callbacks=[RecorderCallback(tmp_path / "run")],
    )
    run = lossreel.Run(tmp_path / "run")
    assert run.is_finished
    assert [s.step for s in run.snapshots] == [0, 4, 8, 12]
    layout = run.layout
    assert [b["name"].rsplit(".", 1)[-1] for b in layout["buffers"]] == ["moving_mean", "moving_variance"]
    kernel = next(p for p in layout["parameters"] if p["shape"] == [5, 4])
    last = run.snapshots[-1].tensors
    np.testing.assert_array_equal(
        last[kernel["name"]], keras.ops.convert_to_numpy(model.layers[0].kernel).T
    )
    metrics = run.metrics
    assert np.isfinite(metrics.epochs["test_accuracy"]).all()

    def loss_fn(net):
        return float(loss(y, net(x, training=False)))

    expected = loss_fn(model)
    surface = lossreel.surface(run, loss_fn, model, grid="3x3", quiet=True)
    assert surface.path_losses[-1, 0] == pytest.approx(expected, rel=1e-5)
    assert loss_fn(model) == pytest.approx(expected, rel=1e-7)
