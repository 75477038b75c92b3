"""CIFAR-10's binary files as PyTorch tensors, normalised as lossreel does it, and a short training
that makes a net's batch norms and weights plausible."""

import os
from pathlib import Path

import numpy
import torch

RECORD = 1 + 3 * 32 * 32
# Li et al. 2018.
MEAN = torch.tensor([125.3, 123.0, 113.9], dtype=torch.float64).div(255).float().view(3, 1, 1)
STD = torch.tensor([63.0, 62.1, 66.7], dtype=torch.float64).div(255).float().view(3, 1, 1)


def folder(given):
    """The folder with `data_batch_1.bin`: the one given, or where lossreel looks."""
    places = [given] if given else [
        Path(__file__).resolve().parent.parent / "datasets" / "cifar10",
        Path(os.environ.get("LOSSREEL_DATA", ".")) / "cifar-10-batches-bin",
    ]
    for place in places:
        for inside in (place, place / "cifar-10-batches-bin"):
            if (inside / "data_batch_1.bin").exists():
                return inside
    raise SystemExit(f"no data_batch_1.bin in {', '.join(map(str, places))}; name --data-dir")


def first_images(place, samples):
    """The first training images, (n, 3, 32, 32) f32, and their labels, (n,) i64."""
    if not 1 <= samples <= 10_000:
        raise SystemExit("give 1 to 10000 samples: they come from the first file")
    raw = numpy.fromfile(place / "data_batch_1.bin", numpy.uint8, samples * RECORD)
    raw = torch.from_numpy(raw.reshape(samples, RECORD))
    images = (raw[:, 1:].view(samples, 3, 32, 32).float() / 255 - MEAN) / STD
    return images, raw[:, 0].long()


def train_a_little(net, place, steps, batch=128):
    """SGD on the first images: enough that a surface has a basin and running statistics mean
    something."""
    images, labels = first_images(place, 10_000)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    net.train()
    for step in range(steps):
        chosen = [(step * batch + i) % len(images) for i in range(batch)]
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(net(images[chosen]), labels[chosen]).backward()
        optimizer.step()
    net.eval()
