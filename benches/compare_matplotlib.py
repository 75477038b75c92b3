"""The same film by lossreel and by loss-landscape-anim (matplotlib): frames a second, bytes, memory.

    pip install matplotlib numpy pillow torch && pip install --no-deps loss-landscape-anim
    python benches/compare_matplotlib.py outputs/demo/with_shortcuts [--beside outputs/demo/without_shortcuts]

The peer is loss-landscape-anim's own `animate_contour`, called on the same grid and the same path:
FuncAnimation without blitting over one contourf, a line, a point and two texts that count. It has
one style and names one writer, ImageMagick; here its frames go to matplotlib's Pillow writer (GIF)
and ffmpeg writer (MP4, where ffmpeg is installed), which are faster. Both films have the same pixel
size, frames and rate. lossreel draws more into each frame (labelled contours, read-out, curves);
nothing is taken away for that. lossreel's time is that of the whole command, reading included;
matplotlib's starts after its imports and its reading.

Rounds alternate between the two, and medians are reported: of elapsed time, and of processor time,
which says the same on a machine that has other work to do. Then, lossreel alone: films in space (one
surface, and two with --beside). The last line takes lossreel's own pictures, as PNG files, through
Pillow, which is what matplotlib's writer does with its pictures: the same film to the pixel, so that
only the GIF writers differ.

Memory is the largest resident size of each process (matplotlib runs in a child of its own).
"""

import argparse
import contextlib
import importlib.util
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path


def read(run):
    """Grid (xs, ys, values[iy][ix]), path [(x, y)], and loss and accuracy by epoch of a run folder."""
    import numpy as np

    grid = json.loads((run / "surfaces/pca/grid.json").read_text())["grid"]
    xs, ys = (np.linspace(grid[a]["min"], grid[a]["max"], grid[a]["n"]) for a in "xy")
    values = np.full(len(xs) * len(ys), np.nan)
    for line in (run / "surfaces/pca/cells.jsonl").read_text().splitlines():
        cell = json.loads(line)
        values[cell["k"]] = cell["loss"] if cell["loss"] is not None else np.nan
    raw = (run / "planes/pca.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
    path = json.loads(header["__metadata__"]["about"])["path"]
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    epochs = [e for e in lines if "train_accuracy" in e]
    curves = [[e[key] for e in epochs] for key in ("train_loss", "train_accuracy")]
    return xs, ys, values.reshape(len(ys), len(xs)), [(p["x"], p["y"]) for p in path], curves


def peer():
    """loss-landscape-anim's module of plots, without the package around it, which trains."""
    package = importlib.util.find_spec("loss_landscape_anim")
    if package is None:
        raise SystemExit("pip install --no-deps loss-landscape-anim")
    file = Path(package.submodule_search_locations[0]) / "_plot.py"
    spec = importlib.util.spec_from_file_location("peer_plot", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def processor_seconds():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def matplotlib_film(run, out, size, frames, fps, pipe):
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib.animation import Animation
    from matplotlib.lines import Line2D

    os.chdir(Path(out).parent)  # where it writes
    plot = peer()
    xs, ys, values, path, curves = read(run)
    along = np.linspace(0, len(path) - 1, frames)
    steps = np.stack([np.interp(along, np.arange(len(path)), c) for c in np.transpose(path)], axis=1)
    told = [np.interp(np.linspace(0, len(c) - 1, frames), np.arange(len(c)), c) for c in curves]
    save, writer = Animation.save, "pillow" if out.endswith(".gif") else "ffmpeg"
    Animation.save = lambda self, name, **rest: save(self, name, **{**rest, "writer": writer})
    # It moves its point to two numbers, for which matplotlib wants sequences since 3.9.
    set_data = Line2D.set_data
    Line2D.set_data = lambda self, *xy: set_data(self, *map(np.atleast_1d, xy))
    start, used = time.perf_counter(), processor_seconds()
    with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):
        plot.animate_contour(
            steps,
            *told,
            values,
            (xs, ys),
            path[-1],
            float(np.nanmin(values)),
            (0.6, 0.2),
            fps,
            figsize=(size[0] / 100, size[1] / 100),
            filename=Path(out).name,
        )
    seconds, used = time.perf_counter() - start, processor_seconds() - used
    pipe.send((seconds, used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def by_matplotlib(*args):
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=matplotlib_film, args=(*args, there))
    child.start()
    there.close()
    try:
        measured = here.recv()
    except EOFError:
        raise SystemExit("matplotlib failed") from None
    child.join()
    return measured


def by_lossreel(binary, runs, out, size, frames, fps, *more):
    command = [binary, "-q", "render", *runs, "--out", out, "--size", f"{size[0]}x{size[1]}"]
    command += ["--frames", frames, "--fps", fps, *more]
    start = time.perf_counter()
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        raise SystemExit("lossreel failed")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def medians(rounds):
    return [statistics.median(column) for column in zip(*rounds)]


def pillow(folder, out, fps):
    """As matplotlib's PillowWriter saves: frames converted one by one by Pillow."""
    from PIL import Image

    frames = [Image.open(p).convert("RGB") for p in sorted(folder.glob("*.png"))]
    frames[0].save(out, save_all=True, append_images=frames[1:], duration=int(1000 / fps), loop=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=lambda p: Path(p).resolve())
    parser.add_argument("--beside", type=Path, help="a second run, for two surfaces in space")
    parser.add_argument("--lossreel", default="target/release/lossreel")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--fps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    size = tuple(int(n) for n in args.size.split("x"))
    film = (size, args.frames, args.fps)
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before; {args.rounds} rounds")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for kind in ["gif", "mp4"] if shutil.which("ffmpeg") else ["gif"]:
            names = [str(folder / f"{who}.{kind}") for who in ("matplotlib", "lossreel")]
            theirs, ours = [], []
            for _ in range(args.rounds):
                theirs.append(by_matplotlib(args.run, names[0], *film))
                ours.append(by_lossreel(args.lossreel, [args.run], names[1], *film))
            (t_secs, t_used, t_mib), (secs, used, mib) = medians(theirs), medians(ours)
            bytes_ = [os.path.getsize(name) for name in names]
            print(
                f"\n{kind}: matplotlib {args.frames / t_secs:.2f} frames/s, {bytes_[0]:,} bytes, "
                f"{t_mib:.0f} MiB; lossreel {args.frames / secs:.1f} frames/s, {bytes_[1]:,} bytes, "
                f"{mib:.0f} MiB: {t_secs / secs:.1f} times as fast, {t_used / used:.1f} times less "
                f"processor time, {100 * bytes_[1] / bytes_[0]:.0f} % of the bytes",
                flush=True,
            )
        for runs in [[args.run], [args.run, args.beside]][: 2 if args.beside else 1]:
            out, space = folder / "space.mp4", ("--as", "surface")
            rounds = [
                by_lossreel(args.lossreel, runs, out, size, 10 * 30, 30, *space)
                for _ in range(args.rounds)
            ]
            secs, used, mib = medians(rounds)
            print(
                f"in space, {len(runs)} surface(s): {300 / secs:.1f} frames/s, "
                f"{1000 * used / 300:.0f} ms of processor time a frame, {mib:.0f} MiB",
                flush=True,
            )
        by_lossreel(args.lossreel, [args.run], folder / "%05d.png", *film)
        pillow(folder, folder / "pillow.gif", args.fps)
        bytes_ = [os.path.getsize(folder / f) for f in ("pillow.gif", "lossreel.gif")]
        print(
            f"the same pictures as GIF: Pillow {bytes_[0]:,} bytes, lossreel {bytes_[1]:,} bytes: "
            f"{100 * bytes_[1] / bytes_[0]:.0f} %"
        )
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
