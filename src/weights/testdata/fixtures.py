"""Small files of torch.save and h5py for the reader's tests: python fixtures.py FOLDER"""
import argparse
import collections
import sys
import zipfile

import h5py
import numpy as np
import torch

folder = sys.argv[1]
shared = torch.arange(12, dtype=torch.float32)
state = collections.OrderedDict(
    plain=torch.arange(6, dtype=torch.float32).reshape(2, 3),
    transposed=torch.arange(6, dtype=torch.float32).reshape(2, 3).t(),
    window=shared.reshape(3, 4)[1:, 1:3],  # offset 5, strides (4, 1), in a shared storage
    strided=shared[::5],
    parameter=torch.nn.Parameter(torch.tensor([-1.5, 2.5])),
    double=torch.tensor([0.1, -1e300, float("inf")], dtype=torch.float64),
    half=torch.tensor([0.1, -2.0, 65504.0], dtype=torch.float16),
    bfloat=torch.tensor([0.1, -3.0], dtype=torch.bfloat16),
    counter=torch.tensor(117300),
    short=torch.tensor([-300], dtype=torch.int16),
    byte=torch.tensor([0, 255], dtype=torch.uint8),
    flag=torch.tensor([True, False]),
    empty=torch.zeros(0, 3),
)
checkpoint = {
    "epoch": 7,
    "best_prec1": torch.tensor(91.5),
    "acc": 93.66,
    "arch": "resnet20",
    "done": True,
    "args": {"lr": 0.1, "momentum": 0.9},
    "options": argparse.Namespace(lr=0.1),
    "big": 1 << 70,
    "state_dict": state,
}
torch.save(checkpoint, f"{folder}/zoo.pth")
torch.save(checkpoint, f"{folder}/zoo-protocol4.pth", pickle_protocol=4)
torch.save(checkpoint, f"{folder}/zoo.t7", _use_new_zipfile_serialization=False)
torch.save(torch.nn.Linear(2, 1), f"{folder}/module.pth")

# What a big-endian machine writes: the same archive, the elements of the storages swapped.
# torch numbers storages in the order it meets them.
element_size = {}
for tensor in [checkpoint["best_prec1"], *state.values()]:
    element_size.setdefault(tensor.untyped_storage()._cdata, tensor.element_size())
element_size = list(element_size.values())
with (
    zipfile.ZipFile(f"{folder}/zoo.pth") as old,
    zipfile.ZipFile(f"{folder}/zoo-big-endian.pth", "w") as new,
):
    for name in old.namelist():
        content = old.read(name)
        if "/data/" in name:
            size = element_size[int(name.rsplit("/", 1)[1])]
            content = np.frombuffer(content, np.uint8).reshape(-1, size)[:, ::-1].tobytes()
        if name.endswith("/byteorder"):
            content = b"big"
        new.writestr(name, content)
swapped = torch.load(f"{folder}/zoo-big-endian.pth", weights_only=False)["state_dict"]
assert all(torch.equal(swapped[name], state[name]) for name in state)

# A 3 x 2 surface as the paper's code fills it: allocated (nx, ny), filled by flat index.
with h5py.File(f"{folder}/surface-3x2.h5", "w") as file:
    xs, ys = np.array([-1.0, 0.0, 1.0]), np.array([0.0, 5.0])
    file["dir_file"] = "directions.h5"
    file["xcoordinates"], file["ycoordinates"] = xs, ys
    loss = -np.ones((3, 2))
    grid_x, grid_y = np.meshgrid(xs, ys)
    for k in range(5):  # the last cell stays unfilled
        loss.ravel()[k] = 10 * grid_x.ravel()[k] + grid_y.ravel()[k] + 100
    file["train_loss"] = loss

# A surface in compressed chunks, which the paper's code never writes.
with h5py.File(f"{folder}/surface-chunked.h5", "w") as file:
    file["xcoordinates"], file["ycoordinates"] = np.arange(10.0), np.arange(10.0)
    loss = np.arange(100.0).reshape(10, 10)
    file.create_dataset(
        "train_loss", data=loss, chunks=(4, 4), compression="gzip", shuffle=True, fletcher32=True
    )

# Every other way in which other programs write the same numbers.
with h5py.File(f"{folder}/surface-kinds.h5", "w") as file:
    file.create_dataset("xcoordinates", data=np.arange(6.0), dtype=">f8", chunks=(4,), maxshape=(None,))
    file.create_dataset("ycoordinates", data=np.arange(5), dtype="i4")
    values = np.arange(30.0).reshape(5, 6)
    file.create_dataset("train_loss", data=values, dtype="f2", chunks=(2, 3), compression="gzip", maxshape=(None, None))
    file.create_dataset("train_acc", data=values + 0.1, dtype=">f4", chunks=(5, 6), compression="lzf")
    file.create_dataset("test_loss", data=values / 3, dtype="<f8", chunks=(3, 4), compression="gzip", compression_opts=9, shuffle=True)
    # Chunks that nobody wrote have the fill value.
    file.create_dataset("test_acc", shape=(5, 6), dtype="f4", chunks=(2, 2), fillvalue=-1.0)
    file["steps"] = np.arange(7)
    file["note"] = "other tools put this here"
    file.create_group("meta")["seed"] = np.array([1, 2, 3])
# A direction in compressed halves.
with h5py.File(f"{folder}/direction-half.h5", "w") as file:
    group = file.create_group("xdirection")
    for i in range(3):
        group.create_dataset(str(i), data=(np.arange(6.0) - i).reshape(2, 3), dtype="f2", chunks=(1, 3), compression="gzip")
