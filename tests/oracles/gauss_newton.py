"""Expected numbers for tests/oracles.rs: products of the generalised Gauss-Newton matrix, f64.

    python tests/oracles/gauss_newton.py > tests/oracles/gauss_newton.json

J' H_L J v by PyTorch's forward and reverse derivatives: J v, then the Hessian of the mean cross-entropy by
the logits, which is (diag(p) - p p') / n, then J' of that. Where curvlinops is installed (PyPI:
curvlinops-for-pytorch) its GGNLinearOperator must give the same. Nets and numbers as in hvp.py.
"""
import json
import sys

import torch
from torch.func import functional_call, jvp, vjp

from hvp import DenseNet121, set_statistics
from networks import Mlp, ResNet, Vgg9, batch, fill, fingerprint, noise

try:
    from curvlinops import GGNLinearOperator
except ImportError:
    GGNLinearOperator = None


def product(net, shape, n):
    params = list(net.named_parameters())
    fill(params)
    set_statistics(net)
    net.eval()
    images, labels = batch(0, n, shape)
    sizes = [p.numel() for _, p in params]
    flat = torch.tensor(noise(2_000_000, sum(sizes)).astype("float64"))
    v = {k: part.reshape(p.shape) for part, (k, p) in zip(flat.split(sizes), params)}
    at = {k: p.detach() for k, p in params}

    def logits(weights):
        return functional_call(net, weights, (images,))

    z, dz = jvp(logits, (at,), (v,))
    p = z.softmax(1)
    back = (p * dz - p * (p * dz).sum(1, keepdim=True)) / n
    _, pull = vjp(logits, at)
    (products,) = pull(back)
    along = sum((products[k] * v[k]).sum() for k in v).item()
    checked = ""
    if GGNLinearOperator is not None:
        for _, q in params:
            q.requires_grad_(True)
        operator = GGNLinearOperator(
            net, torch.nn.CrossEntropyLoss(), [q for _, q in params], [(images, labels)], check_deterministic=False
        )
        theirs = operator @ flat
        ours = torch.cat([products[k].reshape(-1) for k, _ in params])
        off = ((theirs - ours).norm() / ours.norm()).item()
        assert off < 1e-10, off
        checked = f", off curvlinops by {off:.1e}"
    print(f"v'Gv {along:.6g}{checked}", file=sys.stderr)
    assert along > 0
    return {
        "input": shape,
        "images": n,
        "params": [[k, list(q.shape)] for k, q in params],
        "products": [[float(f"{x:.9g}") for x in fingerprint(products[k])] for k, _ in params],
    }


def main():
    cases = []

    def case(model, net, shape, n=5):
        print(model, file=sys.stderr)
        cases.append({"model": model, **product(net, shape, n)})

    for shortcut in ("projection", "option_a"):
        model = {"arch": "resnet20", "width": 0.5, "shortcut": shortcut}
        case(model, ResNet(20, 0.5, shortcut), [3, 12, 10])
    case({"arch": "vgg9", "width": 0.125}, Vgg9(0.125), [3, 9, 8])
    for activation in ("tanh", "gelu", "silu"):
        model = {"arch": "mlp", "hidden": [16, 12], "activation": activation}
        case(model, Mlp([1, 8, 8], [16, 12], activation), [1, 8, 8], 40)
    case({"arch": "densenet121", "width": 0.125}, DenseNet121(4), [3, 8, 8], 3)
    json.dump(cases, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
