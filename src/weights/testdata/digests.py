"""Digests of trained checkpoints as PyTorch reads them: python digests.py DATA > digests.json

For each tensor its name, shape and the first 12 hex digits of the SHA-256 of its f32 bytes.
"""
import hashlib
import json
import sys

import torch

files = {}
for name in ["akamaster-resnet20/resnet20-12fca82f.th", "li2018-resnet56/model_300.t7"]:
    saved = torch.load(f"{sys.argv[1]}/{name}", map_location="cpu", weights_only=False)
    files[name] = [
        [
            key,
            list(value.shape),
            hashlib.sha256(value.float().contiguous().numpy().tobytes()).hexdigest()[:12],
        ]
        for key, value in saved["state_dict"].items()
    ]
lines = [
    json.dumps(name) + ":[\n" + ",\n".join(json.dumps(t) for t in tensors) + "\n]"
    for name, tensors in files.items()
]
print("{" + ",\n".join(lines) + "}")
