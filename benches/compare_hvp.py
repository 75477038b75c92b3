#!/usr/bin/env python3
"""One exact Hessian-vector product of a trained ResNet-20: PyTorch's double backward, lossreel, and
the truth by f64 central differences.

    python benches/compare_hvp.py --data-dir CIFAR10
    python benches/compare_hvp.py --samples 200 --rounds 1 --no-reference

The loss is the mean cross-entropy of the first --samples training images in eval mode. PyTorch goes
through them in batches of --batch, in the better of NCHW and channels_last; so does the reference,
(g(w + hv) - g(w - hv)) / 2h of f64 gradients with |hv| so small that next to no ReLU changes side.
lossreel reads the weights and `v` from safetensors and writes `hv` (`lossreel hvp`). PyTorch and
lossreel take turns for --rounds rounds; medians count.

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

ARGS = argparse.ArgumentParser(description="a Hessian-vector product in PyTorch and in lossreel")
ARGS.add_argument("--arch", default="resnet20")
ARGS.add_argument("--shortcut", default="projection")
ARGS.add_argument("--weights", type=Path, help="safetensors with lossreel's names")
ARGS.add_argument("--steps", type=int, default=60, help="training steps of a net drawn here")
ARGS.add_argument("--data-dir", type=Path, help="folder with data_batch_1.bin")
ARGS.add_argument("--samples", type=int, default=1000)
ARGS.add_argument("--batch", type=int, default=125)
ARGS.add_argument("--rounds", type=int, default=3)
ARGS.add_argument("--threads", type=int, default=2)
ARGS.add_argument("--backend", default="", help="lossreel's; its own choice by default")
ARGS.add_argument("--no-reference", action="store_true", help="leave the f64 differences out")
ARGS.add_argument("--lossreel", type=Path, help="the binary; built with cargo by default")
ARGS.add_argument("--json", type=Path, help="write everything here")


def main():
    args = ARGS.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import torch
    from safetensors.torch import load_file, save_file
    import compare_surface
    import compare_torch
    import torch_cifar10
    import torch_nets

    torch.set_num_threads(args.threads)
    binary = args.lossreel or compare_torch.built_lossreel()
    place = torch_cifar10.folder(args.data_dir)
    images, labels = torch_cifar10.first_images(place, args.samples)
    net = torch_nets.build(args.arch, args.shortcut)
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        weights = args.weights or work / "weights.safetensors"
        if args.weights is None:
            drawn = (args.arch, args.shortcut, place, args.steps, args.threads, weights)
            process = multiprocessing.get_context("spawn").Process(
                target=compare_surface.make_weights, args=drawn
            )
            process.start()
            process.join()
        # The counters of batches are not in the file.
        net.load_state_dict(load_file(weights), strict=False)
        net.eval()
        generator = torch.Generator().manual_seed(1)
        v = torch.randn(sum(p.numel() for p in net.parameters()), generator=generator)
        v /= v.norm()
        save_file({"v": v}, work / "v.safetensors")

        command = [binary, "hvp", "--json", "--quiet", "--weights", weights]
        command += ["--arch", args.arch, "--shortcut", args.shortcut, "--threads", args.threads]
        command += ["--dataset", "cifar10", "--data-dir", place, "--norm-stats", "paper"]
        command += ["--split", "train", "--sample-order", "file", "--samples", args.samples]
        command += ["--vector", work / "v.safetensors", "--out", work / "hv.safetensors"]
        if args.backend:
            command += ["--backend", args.backend]

        def ours():
            done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}")
            found = json.loads(done.stdout)
            return found["hvp_seconds"][0], load_file(work / "hv.safetensors")["hv"]

        layouts = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
        contenders = {
            f"torch {name}": lambda l=layout: double_backward(torch, torch_nets, net, v, images, labels, args.batch, l)
            for name, layout in layouts.items()
        }
        contenders["lossreel"] = ours
        seconds, products = {name: [] for name in contenders}, {}
        for round_ in range(args.rounds):
            names = list(contenders)
            for name in names[round_ % 3 :] + names[: round_ % 3]:
                took, products[name] = contenders[name]()
                seconds[name].append(took)
                print(f"{name} {took:.2f} s", file=sys.stderr, flush=True)
        truth = None
        if not args.no_reference:
            truth = differences(torch, torch_nets, net, v, images, labels, args.batch)
    report(args, seconds, products, truth, v, torch.__version__)


def double_backward(torch, torch_nets, net, v, images, labels, batch, layout):
    """Seconds and H v in f32."""
    net = net.to(memory_format=layout)
    images = images.contiguous(memory_format=layout)
    params = list(net.parameters())
    parts = torch_nets.unflatten(net, v)
    total = [torch.zeros_like(p) for p in params]
    started = time.perf_counter()
    for i in range(0, len(images), batch):
        logits = net(images[i : i + batch])
        loss = torch.nn.functional.cross_entropy(logits, labels[i : i + batch], reduction="sum")
        grads = torch.autograd.grad(loss / len(images), params, create_graph=True)
        along = sum((g * p).sum() for g, p in zip(grads, parts))
        for t, h in zip(total, torch.autograd.grad(along, params)):
            t += h
    flat = torch.cat([t.reshape(-1) for t in total])
    return time.perf_counter() - started, flat


def differences(torch, torch_nets, net, v, images, labels, batch):
    """H v by central differences of f64 gradients."""
    net = net.to(memory_format=torch.contiguous_format).double()
    images, v = images.contiguous().double(), v.double()
    origin, parts = [p.detach().clone() for p in net.parameters()], torch_nets.unflatten(net, v)
    # |v| is 1. At 1e-5 a batch of 50 already has a ReLU that changes side, and the quotient is some
    # other function's; rounding adds about 1.6e-14 / h.
    h = 3e-8

    def gradient(sign):
        with torch.no_grad():
            for p, w, d in zip(net.parameters(), origin, parts):
                p.copy_(w + sign * h * d)
        net.zero_grad()
        for i in range(0, len(images), batch):
            logits = net(images[i : i + batch])
            loss = torch.nn.functional.cross_entropy(logits, labels[i : i + batch], reduction="sum")
            (loss / len(images)).backward()
        return torch.cat([p.grad.reshape(-1) for p in net.parameters()])

    return (gradient(1) - gradient(-1)) / (2 * h)


def report(args, seconds, products, truth, v, version):
    median = {name: statistics.median(all_of) for name, all_of in seconds.items()}
    best = min((n for n in median if n.startswith("torch")), key=median.get)
    off = lambda a, b: float((a.double() - b.double()).norm() / b.double().norm())
    print(f"{args.arch}, {args.samples} images, {args.threads} threads, PyTorch {version}, medians of "
          f"{args.rounds} rounds\n")
    print("| | seconds | off the f64 central differences, relative norm |")
    print("| --- | ---: | ---: |")
    for name, label in [(best, f"PyTorch's double backward ({best[6:]})"), ("lossreel", "lossreel")]:
        print(f"| {label} | {median[name]:.2f} | {off(products[name], truth):.1e} |" if truth is not None
              else f"| {label} | {median[name]:.2f} | - |")
    print(f"\n{median[best] / median['lossreel']:.2f} times as fast; lossreel's product is "
          f"{off(products['lossreel'], products[best]):.1e} off PyTorch's (relative norm); "
          f"curvature along v {float(v @ products['lossreel']):.6g}.")
    if args.json:
        found = {"arguments": {k: str(x) for k, x in vars(args).items()}, "torch": version,
                 "seconds": seconds, "times_as_fast": median[best] / median["lossreel"],
                 "lossreel_off_torch": off(products["lossreel"], products[best])}
        if truth is not None:
            found["off_reference"] = {n: off(p, truth) for n, p in products.items()}
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
