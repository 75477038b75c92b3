"""Writes digits.bin.gz: the UCI optical digits as scikit-learn ships them, in its order.

A record is 65 bytes: the label (0..9), then 64 pixel values (0..16), 8 rows of 8.
Needs scikit-learn. Run in this folder: python make_digits.py
"""

import gzip

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
pixels = digits.data.astype(np.uint8)
assert (pixels == digits.data).all() and pixels.shape == (1797, 64) and pixels.max() == 16
records = np.concatenate([digits.target.astype(np.uint8)[:, None], pixels], axis=1)
with open("digits.bin.gz", "wb") as out:
    with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=9, mtime=0) as packed:
        packed.write(records.tobytes())
