"""Expected numbers for tests/oracles.rs: spectra of whole Hessians in PyTorch, f64.

    python tests/oracles/curvature.py > tests/oracles/curvature.json

Every column of the Hessian by double backward, then a dense symmetric eigenvalue solver: nothing
that Lanczos' process could get wrong alike. Nets and numbers as in hvp.py: mean cross-entropy in
eval mode, weights, images and statistics from the formula of networks.py.
"""
import json
import sys

import torch
import torch.nn.functional as F

from hvp import set_statistics
from networks import Mlp, ResNet, batch, fill

torch.set_num_threads(1)  # thousands of tiny passes


def spectrum(net, shape, n):
    params = list(net.named_parameters())
    fill(params)
    set_statistics(net)
    net.eval()
    images, labels = batch(0, n, shape)
    tensors = [p for _, p in params]
    loss = F.cross_entropy(net(images), labels)
    grads = torch.autograd.grad(loss, tensors, create_graph=True)
    flat = torch.cat([g.reshape(-1) for g in grads])
    rows = []
    for g in flat:
        row = torch.autograd.grad(g, tensors, retain_graph=True)
        rows.append(torch.cat([r.reshape(-1) for r in row]))
    hessian = torch.stack(rows)
    off = (hessian - hessian.T).abs().max() / hessian.abs().max()
    values = torch.linalg.eigvalsh(0.5 * (hessian + hessian.T)).flip(0)
    print(f"{len(values)} parameters, asymmetry {off:.1e}, {values[:3]}, {values[-1]}", file=sys.stderr)
    return {
        "input": shape,
        "images": n,
        "loss": loss.item(),
        "largest": [float(f"{v:.9g}") for v in values[:4]],
        "smallest": float(f"{values[-1]:.9g}"),
    }


def main():
    cases = []
    for activation in ("tanh", "gelu"):
        model = {"arch": "mlp", "hidden": [16, 12], "activation": activation}
        net = Mlp([1, 8, 8], [16, 12], activation)
        cases.append({"model": model, **spectrum(net, [1, 8, 8], 40)})
    model = {"arch": "resnet8", "width": 0.125, "norm": "none"}
    cases.append({"model": model, **spectrum(ResNet(8, 0.125, norm=False), [3, 9, 7], 20)})
    json.dump(cases, sys.stdout, separators=(",", ":"))
    print()


main()
