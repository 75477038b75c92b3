"""Expected numbers for tests/oracles.rs: Hessian-vector products by PyTorch's double backward, f64.

    python tests/oracles/hvp.py > tests/oracles/hvp.json

The loss is the mean cross-entropy in eval mode: running statistics are constants. Weights, images,
statistics and the vector come from the formula of networks.py, exact in f32.
"""
import json
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

from networks import CLASSES, Mlp, ResNet, Vgg9, batch, f32, fill, fingerprint, noise


class Bottleneck(nn.Module):
    def __init__(self, inputs, growth):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))
        return torch.cat([y, x], 1)


class Transition(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, inputs // 2, 1, bias=False)

    def forward(self, x):
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)


class DenseNet121(nn.Module):
    def __init__(self, growth):
        super().__init__()
        inputs = 2 * growth
        self.conv1 = nn.Conv2d(3, inputs, 3, padding=1, bias=False)
        for i, layers in enumerate((6, 12, 24, 16), 1):
            block = [Bottleneck(inputs + k * growth, growth) for k in range(layers)]
            inputs += layers * growth
            setattr(self, f"dense{i}", nn.Sequential(*block))
            if i < 4:
                setattr(self, f"trans{i}", Transition(inputs))
                inputs //= 2
        self.bn, self.linear = nn.BatchNorm2d(inputs), nn.Linear(inputs, CLASSES)

    def forward(self, x):
        x = self.conv1(x)
        for i in range(1, 5):
            x = getattr(self, f"dense{i}")(x)
            x = getattr(self, f"trans{i}")(x) if i < 4 else x
        return self.linear(F.relu(self.bn(x)).mean((2, 3)))


def set_statistics(net):
    """Running means around 0, variances around 2, from the formula; multiplied in f64."""
    start = 500_000
    for name, b in net.named_buffers():
        if "num_batches" in name:
            continue
        u = noise(start, b.numel()).astype("float64")
        b.copy_(torch.tensor(f32(2.0 + u if name.endswith("var") else 0.3 * u).astype("float64")))
        start += b.numel()


def product(net, shape, n):
    params = list(net.named_parameters())
    fill(params)
    set_statistics(net)
    net.eval()
    images, labels = batch(0, n, shape)
    tensors = [p for _, p in params]
    flat = torch.tensor(noise(2_000_000, sum(p.numel() for p in tensors)).astype("float64"))
    v = [part.reshape(p.shape) for part, p in zip(flat.split([p.numel() for p in tensors]), tensors)]
    loss = F.cross_entropy(net(images), labels)
    grads = torch.autograd.grad(loss, tensors, create_graph=True)
    along = sum((g * p).sum() for g, p in zip(grads, v))
    products = torch.autograd.grad(along, tensors)
    # The oracle's own check: the loss's curvature along v by second differences, at a step so
    # short that no ReLU changes side.
    curvature = sum((h * p).sum() for h, p in zip(products, v)).item()
    step, slopes = 1e-7, []
    for sign in (1, -1):
        with torch.no_grad():
            for p, d in zip(tensors, v):
                p.add_(sign * step * d)
        moved = torch.autograd.grad(F.cross_entropy(net(images), labels), tensors)
        slopes.append(sum((g * p).sum() for g, p in zip(moved, v)).item())
        with torch.no_grad():
            for p, d in zip(tensors, v):
                p.sub_(sign * step * d)
    differences = (slopes[0] - slopes[1]) / (2 * step)
    off = abs(curvature - differences) / abs(curvature)
    print(f"loss {loss.item():.4f}, v'Hv {curvature:.6g}, by differences off by {off:.1e}", file=sys.stderr)
    assert off < 1e-5
    return {
        "input": shape,
        "images": n,
        "loss": loss.item(),
        "params": [[k, list(p.shape)] for k, p in params],
        "products": [[float(f"{x:.9g}") for x in fingerprint(h)] for h in products],
    }


def main():
    cases = []

    def case(model, net, shape, n=5):
        print(model, file=sys.stderr)
        cases.append({"model": model, **product(net, shape, n)})

    small = {"arch": "resnet20", "width": 0.5}
    for shortcut in ("projection", "option_a"):
        case({**small, "shortcut": shortcut}, ResNet(20, 0.5, shortcut), [3, 12, 10])
    case({"arch": "resnet8", "width": 0.25, "norm": "none"}, ResNet(8, 0.25, norm=False), [3, 9, 7])
    case({"arch": "vgg9", "width": 0.125}, Vgg9(0.125), [3, 9, 8])
    case({"arch": "vgg9", "width": 0.125, "activation": "gelu"}, Vgg9(0.125, "gelu"), [3, 8, 8])
    for activation in ("tanh", "gelu", "silu", "sigmoid", "leaky_relu"):
        model = {"arch": "mlp", "hidden": [16, 12], "activation": activation}
        case(model, Mlp([1, 8, 8], [16, 12], activation), [1, 8, 8], 40)
    case({"arch": "densenet121", "width": 0.125}, DenseNet121(4), [3, 8, 8], 3)
    json.dump(cases, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
