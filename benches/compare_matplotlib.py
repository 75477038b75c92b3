"""The same film by lossreel and by matplotlib: seconds, bytes, memory.

    pip install matplotlib numpy pillow
    python benches/compare_matplotlib.py outputs/demo/with_shortcuts [--lossreel target/release/lossreel]

matplotlib draws as loss-landscape-anim does: FuncAnimation without blitting over one contourf of
the same grid, a line and a point for the same path, a text that counts; written by its Pillow
writer (GIF) and its ffmpeg writer (MP4, where ffmpeg is installed). Both films have the same pixel
size, frames and rate. lossreel draws more into each frame (labelled contours, read-out, curves);
nothing is taken away for that. lossreel's time is that of the whole command, reading included;
matplotlib's starts after its import and its reading.

The last lines take lossreel's own pictures, as PNG files, through Pillow, which is what matplotlib's
writer does with its pictures: the same film to the pixel, so that only the GIF writers differ.

Memory is the largest resident size of each process (matplotlib runs in a child of its own).
"""

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path


def read(run):
    """Grid (xs, ys, values[iy][ix]) and path [(x, y)] of a run folder."""
    import numpy as np

    grid = json.loads((run / "surfaces/pca/grid.json").read_text())["grid"]
    xs, ys = (np.linspace(grid[a]["min"], grid[a]["max"], grid[a]["n"]) for a in "xy")
    values = np.full(len(xs) * len(ys), np.nan)
    for line in (run / "surfaces/pca/cells.jsonl").read_text().splitlines():
        cell = json.loads(line)
        values[cell["k"]] = cell["loss"] if cell["loss"] is not None else np.nan
    raw = (run / "planes/pca.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
    about = json.loads(header["__metadata__"]["about"])
    return xs, ys, values.reshape(len(ys), len(xs)), [(p["x"], p["y"]) for p in about["path"]]


def matplotlib_film(run, out, size, frames, fps, pipe):
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot as plt
    from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter

    xs, ys, values, path = read(run)
    path = np.array(path)
    start = time.perf_counter()
    dpi = 100
    fig, ax = plt.subplots(figsize=(size[0] / dpi, size[1] / dpi), dpi=dpi)
    ax.contourf(xs, ys, values, levels=35, cmap="YlGnBu", alpha=0.9)
    ax.set_title("The path on the loss surface")
    ax.set_xlabel("PC1")
    ax.set_ylabel("PC2")
    (line,) = ax.plot([], [], color="r", lw=1)
    (point,) = ax.plot([], [], "ro")
    ax.plot(path[-1, 0], path[-1, 1], "bx", label="final model")
    ax.legend(loc="upper right")
    text = ax.text(0.05, 0.95, "", transform=ax.transAxes)
    along = np.linspace(0, len(path) - 1, frames)
    t = np.arange(len(path))

    def draw(i):
        seen = np.append(along[along < along[i]], along[i])
        line.set_data(np.interp(seen, t, path[:, 0]), np.interp(seen, t, path[:, 1]))
        point.set_data([np.interp(along[i], t, path[:, 0])], [np.interp(along[i], t, path[:, 1])])
        text.set_text(f"epoch {along[i]:.2f}")
        return line, point, text

    writer = PillowWriter(fps=fps) if out.endswith(".gif") else FFMpegWriter(fps=fps)
    FuncAnimation(fig, draw, frames=frames, blit=False, repeat=False).save(out, writer, dpi=dpi)
    seconds = time.perf_counter() - start
    pipe.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def by_matplotlib(*args):
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=matplotlib_film, args=(*args, there))
    child.start()
    seconds, kib = here.recv()
    child.join()
    return seconds, kib / 1024


def by_lossreel(binary, run, out, size, frames, fps):
    command = [binary, "-q", "render", run, "--out", out, "--size", f"{size[0]}x{size[1]}"]
    command += ["--frames", str(frames), "--fps", str(fps)]
    start = time.perf_counter()
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        raise SystemExit("lossreel failed")
    return seconds, usage.ru_maxrss / 1024


def pillow(folder, out, fps):
    """As matplotlib's PillowWriter saves: frames converted one by one by Pillow."""
    from PIL import Image

    frames = [Image.open(p).convert("RGB") for p in sorted(folder.glob("*.png"))]
    frames[0].save(out, save_all=True, append_images=frames[1:], duration=int(1000 / fps), loop=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--lossreel", default="target/release/lossreel")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--fps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1, help="of lossreel; the median is taken")
    args = parser.parse_args()
    size = tuple(int(n) for n in args.size.split("x"))
    results = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for kind in ["gif", "mp4"] if shutil.which("ffmpeg") else ["gif"]:
            theirs, ours = str(folder / f"matplotlib.{kind}"), str(folder / f"lossreel.{kind}")
            seconds, mib = by_matplotlib(args.run, theirs, size, args.frames, args.fps)
            runs = [
                by_lossreel(args.lossreel, args.run, ours, size, args.frames, args.fps)
                for _ in range(args.rounds)
            ]
            own, own_mib = sorted(runs)[len(runs) // 2]
            bytes_ = [os.path.getsize(f) for f in (theirs, ours)]
            print(
                f"{kind}: matplotlib {args.frames / seconds:.2f} frames/s, {bytes_[0]:,} bytes, "
                f"{mib:.0f} MiB; lossreel {args.frames / own:.1f} frames/s, {bytes_[1]:,} bytes, "
                f"{own_mib:.0f} MiB; {seconds / own:.1f} times as fast, "
                f"{100 * bytes_[1] / bytes_[0]:.0f} % of the bytes",
                flush=True,
            )
            results.append({"kind": kind, "ratio": seconds / own, "bytes": bytes_})
        by_lossreel(args.lossreel, args.run, folder / "%05d.png", size, args.frames, args.fps)
        pillow(folder, folder / "pillow.gif", args.fps)
        bytes_ = [os.path.getsize(folder / f) for f in ("pillow.gif", "lossreel.gif")]
        print(
            f"the same pictures as GIF: Pillow {bytes_[0]:,} bytes, lossreel {bytes_[1]:,} bytes: "
            f"{100 * bytes_[1] / bytes_[0]:.0f} %"
        )


if __name__ == "__main__":
    main()
