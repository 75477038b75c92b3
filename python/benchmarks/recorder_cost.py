"""What recording costs a ResNet-20 in PyTorch: the share of the training that is spent in the recorder.

    python python/benchmarks/recorder_cost.py [--steps 200] [--batch 128] [--threads N]

Prints, for a snapshot every epoch, every 10 steps and every step, the time inside the recorder's calls
as a share of the loop's (what the training waits for), the processor's time of the process that writes as a
share of the training's, and the loop's time beside that of the same loop without a recorder, which means
something on a quiet machine only. The images are random: only times count.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import torch

import lossreel

sys.path.insert(0, str(Path(__file__).parents[2] / "benches"))
from torch_nets import ResNet


class Timed:
    """A recorder whose calls are timed."""

    def __init__(self, recorder):
        self.recorder, self.seconds = recorder, 0.0

    def step(self, **values):
        """As the recorder's."""
        started = time.perf_counter()
        self.recorder.step(**values)
        self.seconds += time.perf_counter() - started

    def epoch(self):
        """As the recorder's."""
        started = time.perf_counter()
        self.recorder.epoch()
        self.seconds += time.perf_counter() - started


def train(steps, batch, per_epoch, out=None, every="epoch"):
    """Trains; the seconds of the loop, of the recorder in it, and the processor's for loop and writing."""
    torch.manual_seed(0)
    model = ResNet(20)
    x, y = torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)

    def step():
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step()
    timed = None
    if out is not None:
        timed = Timed(lossreel.Recorder(out, model, every, steps_per_epoch=per_epoch))
    started, before = time.perf_counter(), os.times()
    for i in range(steps):
        loss = step()
        if timed is not None:
            timed.step(loss=loss, lr=0.1)
            if (i + 1) % per_epoch == 0:
                timed.epoch()
    seconds = time.perf_counter() - started
    if timed is not None:
        timed.recorder.close()
    after = os.times()
    own = after.user + after.system - before.user - before.system
    writing = after.children_user + after.children_system
    writing -= before.children_user + before.children_system
    return seconds, timed.seconds if timed else 0.0, writing / own


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--per-epoch", type=int, default=100)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--repeat", type=int, default=1)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    print(f"ResNet-20, batch {args.batch}, {args.steps} steps, {torch.get_num_threads()} threads")
    for _ in range(args.repeat):
        plain, _, _ = train(args.steps, args.batch, args.per_epoch)
        print(f"without a recorder   {1e3 * plain / args.steps:8.1f} ms a step")
        for every in ("epoch", "10 steps", "1 steps"):
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "run"
                whole, inside, writing = train(args.steps, args.batch, args.per_epoch, out, every)
            print(
                f"every {every:12s}   {1e3 * whole / args.steps:8.1f} ms a step, in the recorder "
                f"{100 * inside / whole:6.3f} %, writing {100 * writing:6.3f} % of the processor's time, "
                f"whole loop {100 * (whole / plain - 1):+.1f} %"
            )


if __name__ == "__main__":
    main()
