#!/usr/bin/env python3
"""Whether lossreel trains as PyTorch does: one run step by step, and many runs in distribution.

    python benches/parity_torch.py steps              # ResNet-20, 500 images, 20 steps: every loss
    python benches/parity_torch.py seeds --ours 12 --theirs 12     # test accuracy after 3 epochs
    python benches/parity_torch.py steps --steps 50 --json steps.json

`steps` trains with lossreel, exports the batch order (`lossreel export RUN --to batch-order`), and
repeats the run in PyTorch, float32, from the same first weights, with the same images, crops, mirrors
and learning rates. Two programs that sum in another order drift apart: each step multiplies what the
last one left, so the first steps say whether both do the same thing, and the later ones how fast
rounding grows. To tell the two apart PyTorch also repeats the run in float64: its distance to its own
float32 is what rounding alone does.

`seeds` trains ResNet-20 on 5,000 images of CIFAR-10 for 3 epochs by the paper's recipe (SGD, Nesterov
momentum 0.9, lr 0.1 with its drops, weight decay 5e-4, batch 128, crop and mirror) with lossreel and
with a loop in PyTorch that shares nothing with it but the data files and the rates: its own draw of
images, order, crops and weights. It compares the test accuracies by Welch's t.

Needs `torch`, `safetensors` and `numpy`, CIFAR-10's binary files (--data-dir), and a lossreel binary
(--lossreel; built with cargo without one). Exits with 1 where the two disagree: a loss of the first
--strict steps by more than 1e-4 relative, or |t| above 3.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import torch_cifar10
import torch_nets

HERE = Path(__file__).resolve().parent
RECIPE = """[model]
arch = "resnet20"
[data]
set = "cifar10"
dir = {data}
train_samples = {images}
test_samples = {tests}
[train]
epochs = {epochs}
batch_size = 128
seed = {seed}
eval_samples = 100
[record]
every = "1000000 steps"
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mode", choices=["steps", "seeds"])
    parser.add_argument("--lossreel", help="the binary; built with cargo by default")
    parser.add_argument("--data-dir", help="the folder with CIFAR-10's data_batch_1.bin")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures here")
    steps = parser.add_argument_group("steps")
    steps.add_argument("--steps", type=int, default=20)
    steps.add_argument("--images", type=int, default=500)
    steps.add_argument("--strict", type=int, default=5, help="steps that must agree to 1e-4")
    seeds = parser.add_argument_group("seeds")
    seeds.add_argument("--ours", type=int, default=6, help="runs of lossreel")
    seeds.add_argument("--theirs", type=int, default=6, help="runs of PyTorch")
    seeds.add_argument("--first-seed", type=int, default=0)
    seeds.add_argument("--epochs", type=int, default=3)
    seeds.add_argument("--train-images", type=int, default=5000)
    return parser.parse_args()


def binary(args):
    if args.lossreel:
        return str(Path(args.lossreel).resolve())
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=HERE.parent, check=True)
    return str(HERE.parent / "target" / "release" / "lossreel")


def images_of(place, files):
    """The images of CIFAR-10's files as they are, (n, 3, 32, 32) u8, and their labels, (n,) i64."""
    raw = numpy.concatenate([numpy.fromfile(place / name, numpy.uint8) for name in files])
    raw = torch.from_numpy(raw.reshape(-1, torch_cifar10.RECORD))
    return raw[:, 1:].reshape(-1, 3, 32, 32), raw[:, 0].long()


def training_images(place):
    return images_of(place, [f"data_batch_{k}.bin" for k in range(1, 6)])


def augmented(pixels, crop, flip):
    """Images moved by (dy, dx) over black, then mirrored; normalised, f32."""
    padded = F.pad(pixels, (4, 4, 4, 4))
    moved = []
    for image, (dy, dx), mirrored in zip(padded, crop.tolist(), flip.tolist()):
        image = image[:, 4 + dy : 36 + dy, 4 + dx : 36 + dx]
        moved.append(image.flip(2) if mirrored else image)
    return normalised(torch.stack(moved))


def normalised(pixels):
    return (pixels.float() / 255 - torch_cifar10.MEAN) / torch_cifar10.STD


def train_with_lossreel(lossreel, folder, place, seed, images, tests, epochs, threads):
    """A run folder of the recipe."""
    run = folder / f"run-{seed}"
    text = RECIPE.format(
        data=json.dumps(str(place)), images=images, tests=tests, epochs=epochs, seed=seed
    )
    spec = folder / f"spec-{seed}.toml"
    spec.write_text(text)
    command = [lossreel, "train", spec, "--out", run, "--quiet", "--threads", str(threads)]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    return run


def log_of(run, kind):
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


def order_of(lossreel, run, steps=None):
    """The batch order of a run: tensors by name."""
    path = run.with_suffix(".order.safetensors")
    command = [lossreel, "export", run, "--to", "batch-order", "--out", path, "--quiet"]
    command += ["--steps", steps] if steps else []
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    return load_file(path)


def optimizer_of(net):
    return torch.optim.SGD(
        net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )


def repeated(order, first, pixels, labels, dtype):
    """The loss of each step of the run in PyTorch."""
    net = torch_nets.build("resnet20")
    state = net.state_dict()
    lacking = [n for n in state if n not in first and "num_batches" not in n]
    if lacking:
        raise SystemExit(f"snapshot 0 lacks {', '.join(lacking)}")
    net.load_state_dict({n: first.get(n, state[n]) for n in state})
    net = net.to(dtype).train()
    optimizer, losses = optimizer_of(net), []
    begins = order["steps"].tolist()
    for step, (begin, end) in enumerate(zip(begins, begins[1:])):
        chosen = order["images"][begin:end].long()
        batch = augmented(pixels[chosen], order["crop"][begin:end], order["flip"][begin:end])
        for group in optimizer.param_groups:
            group["lr"] = order["lr"][step].item()
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(batch.to(dtype)), labels[chosen])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def steps(args, lossreel, place, folder):
    epochs = math.ceil(args.steps / math.ceil(args.images / 128))
    run = train_with_lossreel(lossreel, folder, place, 1, args.images, 100, epochs, args.threads)
    ours = [line["loss"] for line in log_of(run, "step")][: args.steps]
    order = order_of(lossreel, run, args.steps)
    first = load_file(run / "snapshots" / "000000.safetensors")
    pixels, labels = training_images(place)
    theirs = repeated(order, first, pixels, labels, torch.float32)
    exact = repeated(order, first, pixels, labels, torch.float64)
    distance = [abs(a - b) / abs(b) for a, b in zip(ours, theirs)]
    rounding = [abs(a - b) / abs(b) for a, b in zip(theirs, exact)]
    print("step      lossreel   PyTorch f32   relative   PyTorch f32 to f64")
    for k, (a, b, d, r) in enumerate(zip(ours, theirs, distance, rounding), 1):
        print(f"{k:4d}  {a:12.7f}  {b:12.7f}   {d:8.1e}   {r:8.1e}")
    worst = max(distance[: args.strict])
    print(f"first {args.strict} steps: {worst:.1e} relative at most")
    figures = {"lossreel": ours, "torch": theirs, "torch_f64": exact, "relative": distance}
    return worst <= 1e-4, figures


def accuracy(net, pixels, labels):
    net.eval()
    right = 0
    with torch.inference_mode():
        for begin in range(0, len(labels), 500):
            batch = normalised(pixels[begin : begin + 500])
            right += (net(batch).argmax(1) == labels[begin : begin + 500]).sum().item()
    return right / len(labels)


def train_with_torch(seed, lr, epochs, images, train, test):
    """Test accuracy of a run whose every draw is PyTorch's."""
    # Not the seeds of the other program, though its generator is another anyway.
    draw = torch.Generator().manual_seed(1_000_000 + seed)
    pixels, labels = train
    per_class = images // 10
    chosen = torch.cat([
        torch.nonzero(labels == c).flatten()[torch.randperm((labels == c).sum(), generator=draw)]
        [:per_class]
        for c in range(10)
    ])
    net = torch_nets.build("resnet20", seed=1_000_000 + seed).train()
    optimizer, step = optimizer_of(net), 0
    for _ in range(epochs):
        for batch in chosen[torch.randperm(len(chosen), generator=draw)].split(128):
            crop = torch.randint(-4, 5, (len(batch), 2), generator=draw)
            flip = torch.rand(len(batch), generator=draw) < 0.5
            for group in optimizer.param_groups:
                group["lr"] = lr[step]
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(net(augmented(pixels[batch], crop, flip)), labels[batch]).backward()
            optimizer.step()
            step += 1
    return accuracy(net, *test)


def welch(a, b):
    """Welch's t and its degrees of freedom."""
    va, vb = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    t = (statistics.mean(a) - statistics.mean(b)) / math.sqrt(va + vb)
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    return t, df


def seeds(args, lossreel, place, folder):
    if min(args.ours, args.theirs) < 2:
        raise SystemExit("give --ours and --theirs of 2 or more")
    ours, theirs, lr = [], [], None
    for seed in range(args.first_seed, args.first_seed + args.ours):
        run = train_with_lossreel(
            lossreel, folder, place, seed, args.train_images, 0, args.epochs, args.threads
        )
        lr = lr or order_of(lossreel, run)["lr"].tolist()
        ours.append(log_of(run, "epoch")[-1]["test_accuracy"])
        print(f"lossreel  seed {seed}: {100 * ours[-1]:.2f} %", flush=True)
    train, test = training_images(place), images_of(place, ["test_batch.bin"])
    for seed in range(args.first_seed, args.first_seed + args.theirs):
        found = train_with_torch(seed, lr, args.epochs, args.train_images, train, test)
        theirs.append(found)
        print(f"PyTorch   seed {seed}: {100 * found:.2f} %", flush=True)
    t, df = welch(ours, theirs)
    for name, values in [("lossreel", ours), ("PyTorch", theirs)]:
        mean, sd = 100 * statistics.mean(values), 100 * statistics.stdev(values)
        print(f"{name:9s} {len(values)} runs: test accuracy {mean:.2f} %, sd {sd:.2f}")
    print(f"Welch's t = {t:.2f} with {df:.1f} degrees of freedom")
    return abs(t) <= 3, {"lossreel": ours, "torch": theirs, "t": t, "df": df}


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    place = torch_cifar10.folder(args.data_dir).resolve()
    lossreel = binary(args)
    with tempfile.TemporaryDirectory() as folder:
        mode = {"steps": steps, "seeds": seeds}[args.mode]
        agree, figures = mode(args, lossreel, place, Path(folder))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
