#!/usr/bin/env python3
"""A loss surface by the paper's procedure in PyTorch, and by lossreel: seconds and values.

    python benches/compare_surface.py --data-dir CIFAR10            # ResNet-20, a 7x7 sub-grid
    python benches/compare_surface.py --grid 51x51 --rounds 1       # all of it, about half an hour
    python benches/compare_surface.py --weights checkpoint.t7 --arch resnet56
    python benches/compare_surface.py --engines onnxruntime,openvino

The paper's procedure: at each cell, set the weights to w + a dx + b dy and evaluate the images in
batches of 128. PyTorch does it from images already normalised in memory, under
`torch.inference_mode`, in the better of NCHW and channels_last. lossreel is its own command,
`lossreel surface`, whose plane file gives PyTorch its directions: the same weights, directions,
images and cells. They take turns for --rounds rounds; medians count. lossreel's seconds are those of
the evaluation; the whole process is given beside them.

--engines adds ONNX Runtime and OpenVINO, both held to f32: at each cell the weights in the exported
model are replaced and a session is made of it, as neither can change the weights of one that it has
optimised. The best of all peers counts.

Needs torch, numpy and safetensors, and CIFAR-10's binary files. Without --weights the net is drawn
and trained for --steps steps here.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ARGS = argparse.ArgumentParser(description="a loss surface in PyTorch and in lossreel")
ARGS.add_argument("--arch", default="resnet20")
ARGS.add_argument("--shortcut", default="projection")
ARGS.add_argument("--weights", type=Path, help="a checkpoint that lossreel reads")
ARGS.add_argument("--steps", type=int, default=60, help="training steps of a net drawn here")
ARGS.add_argument("--data-dir", type=Path, help="folder with data_batch_1.bin")
ARGS.add_argument("--samples", type=int, default=1000)
ARGS.add_argument("--grid", default="7x7", help="columns and rows that are timed")
ARGS.add_argument("--range", default="-1,1")
ARGS.add_argument("--rounds", type=int, default=3)
ARGS.add_argument("--threads", type=int, default=2)
ARGS.add_argument("--batch", type=int, default=128, help="PyTorch's, and the engines'")
ARGS.add_argument("--engines", default="", help="onnxruntime, openvino: comma-separated")
ARGS.add_argument("--backend", default="", help="lossreel's; its own choice by default")
ARGS.add_argument("--lossreel", type=Path, help="the binary; built with cargo by default")
ARGS.add_argument("--json", type=Path, help="write everything here")


def main():
    args = ARGS.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import torch
    from safetensors.torch import load_file
    import compare_torch
    import torch_cifar10
    import torch_nets

    torch.set_num_threads(args.threads)
    binary = args.lossreel or compare_torch.built_lossreel()
    place = torch_cifar10.folder(args.data_dir)
    images, labels = torch_cifar10.first_images(place, args.samples)
    net = torch_nets.build(args.arch, args.shortcut)
    with tempfile.TemporaryDirectory() as work:
        weights = args.weights
        if weights is None:
            # In a process of its own: training leaves an allocator behind that evaluates faster.
            weights = Path(work) / "weights.safetensors"
            drawn = (args.arch, args.shortcut, place, args.steps, args.threads, weights)
            process = multiprocessing.get_context("spawn").Process(target=make_weights, args=drawn)
            process.start()
            process.join()
        ours = Ours(args, binary, weights, place, Path(work) / "surface")
        # The plane first: PyTorch needs its directions.
        ours.measure(grid="1x1")
        plane = load_file(Path(work) / "surface" / "plane.safetensors")
        theirs = Theirs(torch, torch_nets, net, plane, images, labels, args)
        layout = theirs.choose_layout()
        contenders = {"torch": lambda: theirs.measure(cells(args)), "lossreel": ours.measure}
        for name in filter(None, args.engines.split(",")):
            engine = Engine(name, theirs, args)
            engine.measure([(0.0, 0.0)])
            contenders[name] = lambda engine=engine: engine.measure(cells(args))
        rounds = []
        for round_ in range(args.rounds):
            names = list(contenders)
            first = round_ % len(names)
            found = {name: contenders[name]() for name in names[first:] + names[:first]}
            rounds.append(found)
            note(", ".join(f"{who} {one['seconds']:.2f} s" for who, one in found.items()))
    report(args, rounds, layout, torch.__version__)


def make_weights(arch, shortcut, place, steps, threads, path):
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import torch
    from safetensors.torch import save_file
    import torch_cifar10
    import torch_nets

    torch.set_num_threads(threads)
    net = torch_nets.build(arch, shortcut)
    torch_cifar10.train_a_little(net, place, steps)
    save_file({n: t.float() for n, t in net.state_dict().items() if "num_batches" not in n}, path)


def cells(args):
    """(a, b) of each cell, row-major with a fastest, as lossreel has them."""
    nx, ny = map(int, args.grid.split("x"))
    ends = list(map(float, args.range.split(",")))
    (x0, x1), (y0, y1) = ends[:2], ends[-2:]
    at = lambda low, high, i, n: low + (high - low) * i / (n - 1) if n > 1 else (low + high) / 2
    return [(at(x0, x1, i, nx), at(y0, y1, j, ny)) for j in range(ny) for i in range(nx)]


class Theirs:
    """The paper's procedure."""

    def __init__(self, torch, torch_nets, net, plane, images, labels, args):
        self.torch, self.net, self.batch = torch, net, args.batch
        self.images, self.labels = images, labels
        views = lambda flat: [v.clone() for v in torch_nets.unflatten(net, flat)]
        self.origin, self.x, self.y = (views(plane[k]) for k in ("origin", "x", "y"))
        buffers = [b for n, b in net.named_buffers() if "num_batches" not in n]
        parts = plane["buffers"].split([b.numel() for b in buffers])
        for buffer, part in zip(buffers, parts):
            buffer.copy_(part)
        net.eval()

    def measure(self, points):
        torch = self.torch
        losses = []
        started = time.perf_counter()
        with torch.inference_mode():
            for a, b in points:
                for p, w, dx, dy in zip(self.net.parameters(), self.origin, self.x, self.y):
                    p.data.copy_(w + a * dx + b * dy)
                total = 0.0
                for i in range(0, len(self.images), self.batch):
                    logits = self.net(self.images[i : i + self.batch])
                    labels = self.labels[i : i + self.batch]
                    loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
                    total += loss.item()
                losses.append(total / len(self.images))
        return {"seconds": time.perf_counter() - started, "losses": losses}

    def choose_layout(self):
        """The better of two, by the same cell."""
        found = {}
        for name in ("contiguous_format", "channels_last"):
            self.use(name)
            self.measure([(0.0, 0.0)])
            found[name] = min(self.measure([(0.0, 0.0)])["seconds"] for _ in range(2))
        best = min(found, key=found.get)
        self.use(best)
        note(f"PyTorch: {', '.join(f'{k} {v:.3f} s a cell' for k, v in found.items())}")
        return {"contiguous_format": "NCHW"}.get(best, best)

    def use(self, name):
        layout = getattr(self.torch, name)
        self.net = self.net.to(memory_format=layout)
        self.images = self.images.contiguous(memory_format=layout)


class Engine:
    """An inference engine with a session for each cell."""

    def __init__(self, name, theirs, args):
        import tempfile

        import onnx

        torch = theirs.torch
        self.name, self.theirs, self.threads = name, theirs, args.threads
        self.images = theirs.images.contiguous()
        # Parameters of equal values would be exported as one; every cell sets its own.
        for parameter in theirs.net.parameters():
            parameter.data.normal_()
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "net.onnx")
            # With its own weights in it, unfolded, under the names that PyTorch has for them.
            torch.onnx.export(
                theirs.net, (self.images[: args.batch],), path, input_names=["x"], output_names=["y"],
                dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, dynamo=False, do_constant_folding=False,
                training=torch.onnx.TrainingMode.PRESERVE,
            )
            self.model = onnx.load(path)
        at = {tensor.name: tensor for tensor in self.model.graph.initializer}
        names = [name for name, _ in theirs.net.named_parameters()]
        missing = [name for name in names if name not in at]
        if missing:
            raise SystemExit(f"the exported model has no {', '.join(missing[:3])}")
        self.tensors = [at[name] for name in names]

    def session(self):
        serialized = self.model.SerializeToString()
        if self.name == "onnxruntime":
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self.threads
            options.inter_op_num_threads = 1
            session = onnxruntime.InferenceSession(serialized, options, providers=["CPUExecutionProvider"])
            return lambda images: session.run(None, {"x": images})[0]
        import openvino

        core = openvino.Core()
        config = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": self.threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        request = core.compile_model(core.read_model(serialized, b""), "CPU", config).create_infer_request()
        return lambda images: request.infer({0: images}, share_inputs=True)[0]

    def measure(self, points):
        theirs, torch = self.theirs, self.theirs.torch
        images, labels = self.images.numpy(), theirs.labels
        losses = []
        started = time.perf_counter()
        for a, b in points:
            for tensor, w, dx, dy in zip(self.tensors, theirs.origin, theirs.x, theirs.y):
                tensor.raw_data = (w + a * dx + b * dy).contiguous().numpy().tobytes()
            run = self.session()
            total = 0.0
            for i in range(0, len(images), theirs.batch):
                logits = torch.from_numpy(run(images[i : i + theirs.batch]).copy())
                total += torch.nn.functional.cross_entropy(
                    logits, labels[i : i + theirs.batch], reduction="sum"
                ).item()
            losses.append(total / len(images))
        return {"seconds": time.perf_counter() - started, "losses": losses}


class Ours:
    """`lossreel surface`."""

    def __init__(self, args, binary, weights, place, folder):
        self.folder, self.grid = folder, args.grid
        self.command = [binary, "surface", "--json", "--quiet", "--force", "--out", folder]
        self.command += ["--weights", weights, "--arch", args.arch, "--shortcut", args.shortcut]
        self.command += ["--dataset", "cifar10", "--data-dir", place, "--norm-stats", "paper"]
        self.command += ["--split", "train", "--sample-order", "file", "--samples", args.samples]
        self.command += ["--threads", args.threads, f"--range={args.range}"]
        if args.backend:
            self.command += ["--backend", args.backend]

    def measure(self, grid=None):
        command = [str(c) for c in [*self.command, "--grid", grid or self.grid]]
        started = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        whole = time.perf_counter() - started
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
        lines = (self.folder / "cells.jsonl").read_text().splitlines()
        by_cell = {c["k"]: float(c["loss"]) for c in map(json.loads, lines)}
        losses = [by_cell[k] for k in range(len(by_cell))]
        seconds = json.loads(done.stdout)["seconds"]
        return {"seconds": seconds, "process_seconds": whole, "losses": losses}


def report(args, rounds, layout, version):
    count = len(cells(args))
    median = lambda who, key: statistics.median(r[who][key] for r in rounds)
    peers = [who for who in rounds[0] if who != "lossreel"]
    best = min(peers, key=lambda who: median(who, "seconds"))
    theirs, ours = median(best, "seconds"), median("lossreel", "seconds")
    process = median("lossreel", "process_seconds")
    pairs = list(zip(rounds[0]["torch"]["losses"], rounds[0]["lossreel"]["losses"]))
    off = max(abs(t - o) / max(abs(t), 1e-12) for t, o in pairs)
    for peer in peers:
        there = zip(rounds[0]["torch"]["losses"], rounds[0][peer]["losses"])
        if any(abs(t - p) > 1e-3 * max(abs(t), 1e-3) for t, p in there):
            raise SystemExit(f"{peer} gives other losses than PyTorch")
    full = lambda seconds: f"{seconds / count * 51 * 51 / 60:.1f} min"
    print(f"{args.arch}, {args.grid} cells of {args.samples} images, {args.threads} threads, "
          f"PyTorch {version} {layout}, medians of {len(rounds)} rounds\n")
    print("| | seconds | cells/s | a 51x51 surface |")
    print("| --- | ---: | ---: | ---: |")
    for peer in peers:
        name = {"torch": "the paper's procedure in PyTorch"}.get(peer, f"{peer}, a session a cell")
        seconds = median(peer, "seconds")
        print(f"| {name} | {seconds:.2f} | {count / seconds:.2f} | {full(seconds)} |")
    print(f"| lossreel surface | {ours:.2f} | {count / ours:.2f} | {full(ours)} |")
    print(f"\n{theirs / ours:.2f} times as fast as the best of them ({theirs / process:.2f} with starting the process and "
          f"reading its files, {process:.2f} s). Largest relative difference of a cell's loss: {off:.1e}; "
          f"losses from {min(t for t, _ in pairs):.4g} to {max(t for t, _ in pairs):.4g}.")
    if args.json:
        about = {k: str(v) for k, v in vars(args).items()}
        found = {"arguments": about, "torch": version, "layout": layout, "rounds": rounds,
                 "best_peer": best, "times_as_fast": theirs / ours, "largest_relative_difference": off}
        args.json.write_text(json.dumps(found, indent=1))


def note(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
