"""Expected numbers for tests/oracles.rs: a Hessian-vector product of ResNet-20 by central differences
of its gradient, in f64.

    python tests/oracles/hvp_differences.py > tests/oracles/hvp_differences.json

The paper's ResNet-20 at its full width (projection shortcuts), images of 32 x 32, eval mode; weights,
statistics, images and the vector from the formulas of networks.py and hvp.py, exact in f32. Nothing
here knows how a second derivative is taken: two gradients a short step apart are all there is.

How short: at STEP an f64 gradient's rounding, some 1e-15 of it, leaves 1e-8 of the product, while few
of the hundred thousands of ReLUs are so near to zero that they change side. That the product at half
the step is the same says that none did. In f32 one that is nearer to zero than the rounding of its sum
may lie on the other side, where the Hessian is another; so of BATCHES the images are taken whose
ReLUs keep farthest from zero.
"""
import json
import sys

import torch
import torch.nn.functional as F

from hvp import set_statistics
from networks import ResNet, batch, fill, fingerprint, noise

STEP = 2e-8
INPUT, IMAGES, BATCHES = [3, 32, 32], 1, 60


def margin_of(net, index):
    """How near to zero any ReLU's input comes on the images of a batch."""
    nearest, relu = [], F.relu

    def watched(x):
        nearest.append(x.abs().min().item())
        return relu(x)

    F.relu = watched
    try:
        with torch.no_grad():
            net(batch(index, IMAGES, INPUT)[0])
    finally:
        F.relu = relu
    return min(nearest)


def main():
    net = ResNet(20, 1.0, "projection")
    params = list(net.named_parameters())
    fill(params)
    set_statistics(net)
    net.eval()
    index, margin = max(((k, margin_of(net, k)) for k in range(BATCHES)), key=lambda found: found[1])
    print(f"batch {index}: no ReLU is nearer to zero than {margin:.1e}", file=sys.stderr)
    images, labels = batch(index, IMAGES, INPUT)
    tensors = [p for _, p in params]
    flat = torch.tensor(noise(2_000_000, sum(p.numel() for p in tensors)).astype("float64"))
    v = [part.reshape(p.shape) for part, p in zip(flat.split([p.numel() for p in tensors]), tensors)]
    start = [p.detach().clone() for p in tensors]

    def gradient(at):
        with torch.no_grad():
            for p, s, d in zip(tensors, start, v):
                p.copy_(s + at * d)
        loss = F.cross_entropy(net(images), labels)
        return loss.item(), torch.autograd.grad(loss, tensors)

    def product(step):
        (_, after), (_, before) = gradient(step), gradient(-step)
        return [(a - b) / (2 * step) for a, b in zip(after, before)]

    loss, _ = gradient(0.0)
    products, halved = product(STEP), product(STEP / 2)
    norm = sum(h.square().sum() for h in products).sqrt().item()
    for (name, _), h, other in zip(params, products, halved):
        off = ((h - other).norm() / h.norm()).item()
        assert off < 1e-6, f"{name}: half the step differs by {off:.1e}"
    print(f"loss {loss:.4f}, |Hv| {norm:.6g}", file=sys.stderr)
    found = {
        "model": {"arch": "resnet20"},
        "input": INPUT,
        "images": IMAGES,
        "batch": index,
        "loss": loss,
        "params": [[k, list(p.shape)] for k, p in params],
        "products": [[float(f"{x:.8g}") for x in fingerprint(h)] for h in products],
    }
    json.dump(found, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
