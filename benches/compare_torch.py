#!/usr/bin/env python3
"""lossreel beside PyTorch and inference engines on this machine's CPU: training, evaluation, memory.

    python benches/compare_torch.py                        # everything, some twenty minutes
    python benches/compare_torch.py --quick --nets resnet20
    python benches/compare_torch.py --peers eager,compile,onnxruntime,openvino
    python benches/compare_torch.py --out table.md --json rounds.json

Needs `torch` in the Python that runs it (any recent version: `pip install torch --index-url
https://download.pytorch.org/whl/cpu`); builds lossreel with cargo unless --lossreel names a binary.

f32 against f32, the same nets (parameter counts are asserted), the same number of threads. Round
after round PyTorch in NCHW, PyTorch in channels_last and lossreel take turns, so that a change of
the machine's mood meets all of them; medians over the rounds count, and of PyTorch's two layouts
the better one. --peers adds `compile` (torch.compile in both layouts, which needs a C++ compiler)
and, for evaluation, `onnxruntime` and `openvino` (both held to f32); the best of all peers stands
in the table. One whose package is missing is left out, and that is said. A training step is
forward, backward, SGD (Nesterov momentum 0.9, weight decay 5e-4, PyTorch's fused CPU
implementation) on a batch in memory; evaluation is batches of 128 under `torch.inference_mode`
against lossreel's cells of a surface. `eager` is PyTorch as the paper's code runs it. Every
measurement lasts about --seconds, one step at least, after a warm-up. Peak memory is the maximum
resident set of a process that does nothing else.

Stock PyTorch gives its activations back to the system and faults them in again at every layer. A
third contender, `channels_last+malloc`, has glibc told to keep them, which few people do but which
is the most that this PyTorch can reach; its figures stand below the table.
"""

import argparse
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

# (net, batch of training, measurements): the rows of the table.
ROWS = [
    ("resnet20", 128, ["train", "eval"]),
    ("resnet56", 128, ["train", "eval"]),
    ("vgg9", 128, ["train", "eval"]),
    ("wrn-56-4", 128, ["train", "eval"]),
    ("resnet20", 32, ["train"]),
]
LAYOUTS = ["nchw", "channels_last", "channels_last+malloc"]
# Contenders of each peer, and the packages that it needs beside torch.
PEERS = {
    "eager": ([], []),
    "compile": (["compile nchw", "compile channels_last"], []),
    "onnxruntime": (["onnxruntime"], ["onnx", "onnxruntime"]),
    "openvino": (["openvino"], ["openvino"]),
}
INFERENCE_ONLY = ["onnxruntime", "openvino"]
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 32), "MALLOC_MMAP_THRESHOLD_": str(1 << 32)}


def arguments():
    parser = argparse.ArgumentParser(description="lossreel beside PyTorch on this CPU")
    parser.add_argument("--nets", default="resnet20,resnet56,vgg9,wrn-56-4", help="comma-separated")
    parser.add_argument("--only", choices=["train", "eval"], help="one measurement instead of both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="about how long a round lasts")
    parser.add_argument("--quick", action="store_true", help="3 rounds of half a second")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layouts", default=",".join(LAYOUTS), help="PyTorch's, comma-separated")
    parser.add_argument("--peers", default="eager", help=f"comma-separated, of {', '.join(PEERS)}")
    parser.add_argument("--backend", default="", help="lossreel's; its own choice by default")
    parser.add_argument("--candle", action="store_true", help="lossreel's candle backend as well")
    parser.add_argument("--lossreel", type=Path, help="the binary; built with cargo by default")
    parser.add_argument("--out", type=Path, help="write the Markdown table here, too")
    parser.add_argument("--json", type=Path, help="write all rounds here")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    unknown = set(args.peers.split(",")) - set(PEERS)
    if unknown:
        parser.error(f"no peer is called {', '.join(sorted(unknown))}; known: {', '.join(PEERS)}")
    if args.quick:
        args.rounds, args.seconds = 3, 0.5
    return args


# ---- the PyTorch side: a process that measures a round each time it is told to ------------------


def worker(arch, batch, what, layout, seconds, threads):
    import torch

    torch.set_num_threads(threads)
    sys.path.insert(0, str(HERE))
    import torch_nets

    imported = peak_rss_mb()
    net = torch_nets.build(arch)
    images, labels = torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
    if "channels_last" in layout:
        net = net.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    parameters = sum(p.numel() for p in net.parameters())
    if layout in INFERENCE_ONLY:
        step, version = engine(layout, net, images, threads)
    elif what == "train":
        net.train()
        optimizer = torch.optim.SGD(
            net.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
        )
        loss_of = torch.nn.functional.cross_entropy
        forward = torch.compile(net) if layout.startswith("compile") else net

        def step():
            optimizer.zero_grad(set_to_none=True)
            loss_of(forward(images), labels).backward()
            optimizer.step()
    else:
        net.eval()
        forward = torch.compile(net) if layout.startswith("compile") else net

        @torch.inference_mode()
        def step():
            forward(images)

    if layout not in INFERENCE_ONLY:
        version = torch.__version__
        if layout.startswith("compile"):
            # Compiled at the first call; the second may still specialise.
            step()
            step()
    about = {"version": version, "parameters": parameters}
    once = None
    for _ in sys.stdin:
        # The first step of all is never counted; a quarter of a round warms the caches up again.
        warming = time.perf_counter()
        while once is None or time.perf_counter() - warming < 0.25 * seconds - once:
            started = time.perf_counter()
            step()
            once = time.perf_counter() - started
        repeats = max(1, round(seconds / once))
        started = time.perf_counter()
        for _ in range(repeats):
            step()
        elapsed = time.perf_counter() - started
        once = elapsed / repeats
        found = {
            "images_per_s": batch * repeats / elapsed,
            "steps": repeats,
            "rss_mb": peak_rss_mb(),
            "rss_import_mb": imported,
            **about,
        }
        print(json.dumps(found), flush=True)


def engine(name, net, images, threads):
    """A function that evaluates `net` on `images` by an inference engine in f32, and the engine's version."""
    import tempfile

    import torch

    net.eval()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "net.onnx")
        # The engines say enough themselves.
        torch.onnx.export(net, (images,), path, input_names=["x"], output_names=["y"], dynamo=False)
        if name == "onnxruntime":
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            feed = {"x": images.numpy()}
            return lambda: session.run(None, feed), onnxruntime.__version__
        import openvino

        core = openvino.Core()
        # On processors with bf16 units OpenVINO computes in bf16 unless it is told not to.
        config = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        compiled = core.compile_model(core.read_model(path), "CPU", config)
        request = compiled.create_infer_request()
        array = images.numpy()
        return lambda: request.infer({0: array}, share_inputs=True), openvino.__version__.split("-")[0]


def peak_rss_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Torch:
    """A PyTorch process for one row and layout."""

    def __init__(self, args, arch, batch, what, layout):
        self.name = layout if layout in INFERENCE_ONLY else f"torch {layout}"
        command = [sys.executable, __file__, "--worker", arch, str(batch), what, layout]
        command += ["--seconds", str(args.seconds), "--threads", str(args.threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
        if layout.endswith("+malloc"):
            environment |= KEEP_MEMORY
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def measure(self):
        self.process.stdin.write("round\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the process of {self.name} ended; its error stands above")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Lossreel:
    """lossreel: a fresh process each round."""

    def __init__(self, args, arch, batch, what, backend):
        self.name = f"lossreel {backend}".strip()
        self.what = what
        self.command = [str(args.lossreel), "bench", "--json", "--quiet", "--arch", arch]
        self.command += ["--batch-size", str(batch), "--threads", str(args.threads)]
        self.command += ["--only", what, "--rounds", "1", "--round-secs", str(args.seconds)]
        if backend:
            self.command += ["--backend", backend]

    def measure(self):
        report, rss = run(self.command)
        report = json.loads(report)
        return {
            "images_per_s": report[f"{self.what}_images_per_s"],
            "rss_mb": rss,
            "parameters": report["parameters"],
            "backend": report["backend"],
            "peak_gflops": report["peak_gflops"],
            "gflops": report[f"{self.what}_gflops"],
        }

    def close(self):
        pass


def run(command):
    """Runs a command; its stdout and its own peak resident set in MB."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    text = []
    reader = threading.Thread(target=lambda: text.append(process.stdout.read()))
    reader.start()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}")
    return text[0], usage.ru_maxrss / 1024


# ---- rounds and the table ------------------------------------------------------------------------


def measure_row(args, arch, batch, what):
    """All rounds of all contenders, taking turns."""
    layouts = args.layouts.split(",") if "eager" in args.peers.split(",") else []
    for peer in args.peers.split(","):
        names, packages = PEERS[peer]
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        if missing:
            note(f"{peer} is not measured: pip install {' '.join(missing)}")
        elif what == "eval" or peer not in INFERENCE_ONLY:
            layouts += names
    contenders = [Torch(args, arch, batch, what, layout) for layout in layouts]
    contenders.append(Lossreel(args, arch, batch, what, args.backend))
    if args.candle and arch == "resnet20" and batch == 128:
        contenders.append(Lossreel(args, arch, batch, what, "candle"))
    rounds = {c.name: [] for c in contenders}
    try:
        for round_ in range(args.rounds):
            # Each round begins with another contender.
            for i in range(len(contenders)):
                contender = contenders[(i + round_) % len(contenders)]
                found = contender.measure()
                rounds[contender.name].append(found)
                note(f"{arch} batch {batch} {what}: {contender.name} {found['images_per_s']:.1f}")
    finally:
        for contender in contenders:
            contender.close()
    counts = {found["parameters"] for all_of in rounds.values() for found in all_of}
    if len(counts) != 1:
        raise SystemExit(f"{arch}: the nets differ, they have {sorted(counts)} parameters")
    return {"arch": arch, "batch": batch, "what": what, "rounds": rounds}


def note(text):
    print(text, file=sys.stderr, flush=True)


def speed(row, name):
    """Median, smallest, largest images/s."""
    rates = [found["images_per_s"] for found in row["rounds"][name]]
    return statistics.median(rates), min(rates), max(rates)


def best_peer(row):
    """The fastest of the peers, without a malloc that was told to keep memory."""
    names = [n for n in row["rounds"] if not n.startswith("lossreel")]
    stock = [n for n in names if not n.endswith("+malloc")] or names
    return max(stock, key=lambda n: speed(row, n)[0])


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(measured):
    median, low, high = measured
    return f"{number(median)} ({number(low)}-{number(high)})"


def table(args, rows):
    title = {"train": "training", "eval": "evaluation"}
    lines = [
        "| net | | lossreel, images/s | best peer, images/s | which | ratio | memory, MB |",
        "| --- | --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for row in rows:
        ours = f"lossreel {args.backend}".strip()
        theirs = best_peer(row)
        ratio = speed(row, ours)[0] / speed(row, theirs)[0]
        rss = [max(f["rss_mb"] for f in row["rounds"][n]) for n in (ours, theirs)]
        what = title[row["what"]] + (f", batch {row['batch']}" if row["what"] == "train" else "")
        lines.append(
            f"| {row['arch']} | {what} | {cell(speed(row, ours))} | {cell(speed(row, theirs))} "
            f"| {theirs.removeprefix('torch ')} | {ratio:.2f} | {rss[0]:,.0f} against {rss[1]:,.0f} |"
        )
    if args.peers != "eager":
        lines += ["", *every_peer(rows, title)]
    kept = "torch channels_last+malloc"
    for row in rows:
        if kept in row["rounds"] and best_peer(row) != kept:
            ours, theirs = speed(row, f"lossreel {args.backend}".strip()), speed(row, kept)
            lines.append(
                f"\n{row['arch']}, {title[row['what']]}, batch {row['batch']}: PyTorch with malloc "
                f"told to keep memory {cell(theirs)} images/s, lossreel {ours[0] / theirs[0]:.2f} times that."
            )
    for row in rows:
        if "lossreel candle" in row["rounds"] and args.backend != "candle":
            ours, candle = speed(row, f"lossreel {args.backend}".strip()), speed(row, "lossreel candle")
            lines.append(
                f"\n{row['arch']}, {title[row['what']]}: {ours[0] / candle[0]:.1f} times lossreel's "
                f"candle backend ({cell(candle)} images/s)."
            )
    torch_rounds = [f for row in rows for n, f in row["rounds"].items() if n.startswith("torch")]
    first = (torch_rounds or [next(iter(rows[0]["rounds"].values()))])[0][0]
    ours = [f for row in rows for f in row["rounds"][f"lossreel {args.backend}".strip()]]
    peak = statistics.median(f["peak_gflops"] for f in ours)
    lines.append(
        f"\nMedians of {args.rounds} interleaved rounds of about {args.seconds:g} s (smallest and "
        f"largest in brackets), {args.threads} threads of {cpu()} ({caches()}; {peak:.0f} GFLOP/s f32, "
        f"{bandwidth(args.threads):.0f} GB/s), PyTorch {first['version']}, backend {ours[0]['backend']}. PyTorch's memory includes "
        f"{first['rss_import_mb']:,.0f} MB that the import takes."
    )
    low = min(f["peak_gflops"] for f in ours)
    high = max(f["peak_gflops"] for f in ours)
    if low < 0.85 * high:
        # PyTorch's threads wait for each other by spinning and lose far more than their share when
        # somebody else computes: such a table flatters lossreel.
        lines.append(
            f"\n**Not valid: the machine was busy with something else.** The peak measured beside "
            f"each round went from {low:.0f} to {high:.0f} GFLOP/s. Measure again."
        )
    return "\n".join(lines) + "\n"


def every_peer(rows, title):
    """A table of all contenders: medians."""
    names = list(dict.fromkeys(name for row in rows for name in row["rounds"]))
    lines = ["| images/s | " + " | ".join(name.removeprefix("torch ") for name in names) + " |"]
    lines.append("| --- |" + " ---: |" * len(names))
    for row in rows:
        cells = [number(speed(row, n)[0]) if n in row["rounds"] else "" for n in names]
        what = title[row["what"]] + (f", batch {row['batch']}" if row["what"] == "train" else "")
        lines.append(f"| {row['arch']}, {what} | " + " | ".join(cells) + " |")
    versions = {
        n.split()[0]: f[0]["version"] for row in rows for n, f in row["rounds"].items() if "version" in f[0]
    }
    lines.append(
        "\nVersions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."
    )
    return lines


def caches():
    """The sizes of the second and third cache as the system says them."""
    found = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, size = ((index / name).read_text().strip() for name in ("level", "size"))
        except OSError:
            continue
        if level in ("2", "3"):
            found.append(f"L{level} {size}")
    return ", ".join(found) or "caches unknown"


def bandwidth(threads):
    """GB/s of reading two large arrays and writing a third, the best of five."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.ones(1 << 26), torch.ones(1 << 26)
    c = torch.empty_like(a)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        torch.add(a, b, out=c)
        best = min(best, time.perf_counter() - started)
    return 3 * 4 * (1 << 26) / best / 1e9


def cpu():
    try:
        text = Path("/proc/cpuinfo").read_text()
        return next(l.split(":")[1].strip() for l in text.splitlines() if l.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def built_lossreel():
    """Builds the release binary; its path."""
    note("building lossreel")
    command = ["cargo", "build", "--release", "--bin", "lossreel", "--message-format=json"]
    done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True)
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "lossreel":
            return Path(message["executable"])
    raise SystemExit("cargo named no binary")


def main():
    args = arguments()
    if args.worker:
        arch, batch, what, layout = args.worker
        worker(arch, int(batch), what, layout, args.seconds, args.threads)
        return
    args.lossreel = args.lossreel or built_lossreel()
    nets = args.nets.split(",")
    unknown = set(nets) - {arch for arch, _, _ in ROWS}
    if unknown:
        raise SystemExit(
            f"no row for {', '.join(unknown)}; known: {', '.join(dict.fromkeys(r[0] for r in ROWS))}"
        )
    rows = []
    for arch, batch, measurements in ROWS:
        for what in measurements:
            if arch in nets and args.only in (None, what):
                rows.append(measure_row(args, arch, batch, what))
    text = table(args, rows)
    print(text)
    if args.out:
        args.out.write_text(text)
    if args.json:
        about = {k: str(v) for k, v in vars(args).items()}
        args.json.write_text(json.dumps({"cpu": cpu(), "arguments": about, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
