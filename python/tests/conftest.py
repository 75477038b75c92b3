"""A user's net, data and training, small enough to be trained anew for a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import lossreel  # noqa: E402

# Where other programs compute as well, threads that wait for one another are slower than one.
torch.set_num_threads(1)


class OwnNet(torch.nn.Module):
    """A net that lossreel does not know: attention over six tokens, tied ends, a frozen scale."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Linear(4, 8, bias=False)
        self.attend = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = torch.nn.LayerNorm(8)
        self.batch = torch.nn.BatchNorm1d(6)
        self.tied = self.embed
        self.scale = torch.nn.Parameter(torch.tensor(1.5), requires_grad=False)
        self.head = torch.nn.Linear(48, 3)
        self.dropout = torch.nn.Dropout(0.2)

    def forward(self, x):
        tokens = self.embed(x)
        tokens = self.norm(tokens + self.attend(tokens, tokens, tokens)[0])
        return self.head(self.dropout(torch.tanh(self.batch(tokens) * self.scale)).flatten(1))


def data():
    """180 samples of six tokens, three classes."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(180, 6, 4, generator=generator)
    y = (x[:, 0, 0] + x[:, 3, 1] > 0).long() + (x[:, 5].sum(1) > 1).long()
    return x, y


def loss_of(model):
    """The mean loss over all data, with the number of right answers."""
    x, y = data()
    logits = model(x)
    right = int((logits.argmax(1) == y).sum())
    return torch.nn.functional.cross_entropy(logits, y), right, len(y)


@dataclass
class Trained:
    """A recorded run and the states that the model went through."""

    run: lossreel.Run
    model: torch.nn.Module
    states: list[dict[str, torch.Tensor]]


def state_of(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def train(out: Path, epochs: int = 4, every: str = "2 steps") -> Trained:
    """Six steps an epoch, a snapshot every second."""
    torch.manual_seed(0)
    model = OwnNet()
    x, y = data()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    states = [state_of(model)]
    with lossreel.Recorder(out, model, every, steps_per_epoch=6) as rec:
        for epoch in range(epochs):
            for i in range(6):
                batch = slice(30 * i, 30 * i + 30)
                loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rec.step(loss=loss, lr=0.02)
                if (6 * epoch + i + 1) % 2 == 0:
                    states.append(state_of(model))
            rec.epoch(test_loss=1.0 / (epoch + 1), test_accuracy=0.5)
    return Trained(rec.run, model, states)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run that tests share; they do not train on, and give what they write names of their own."""
    return train(tmp_path_factory.mktemp("runs") / "own")
