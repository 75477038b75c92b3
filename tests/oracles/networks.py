"""Expected numbers for tests/oracles.rs: whole networks in PyTorch, computed in f64.

    python -P tests/oracles/networks.py [DATA] > tests/oracles/networks.json

Three parts. `train`: loss, gradient and BatchNorm statistics of one pass in train mode, for small
nets whose weights and images come from a formula that both sides compute exactly. `sgd`: the
weights of a residual net after ten steps of SGD. `real`: the shipped checkpoints on the first
images of CIFAR-10; DATA is the folder with the files (without it that part is taken over from the
networks.json that is there).

f64 from weights rounded to f32: what stays between these numbers and ours is our own rounding.
"""
import json
import os
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(2)
torch.set_default_dtype(torch.float64)
CLASSES = 10


def noise(start, n):
    """n values in [-1, 1) from an integer hash of start, start + 1, ... , exact in f32."""
    x = np.arange(start, start + n, dtype=np.uint32)
    with np.errstate(over="ignore"):
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x7FEB352D)
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
    return ((x >> np.uint32(9)).astype(np.float64) / 2.0**22 - 1.0).astype(np.float32)


def f32(x):
    return np.asarray(x, dtype=np.float32)


def fill(params):
    """Kaiming-like weights, scales around 1, shifts around 0; multiplied in f64, rounded once."""
    start = 0
    for name, p in params:
        u = noise(start, p.numel()).astype(np.float64)
        if p.dim() > 1:
            values = np.sqrt(6.0 / (p.numel() // p.shape[0])) * u
        elif name.endswith("weight"):
            values = 1.0 + 0.3 * u
        else:
            values = 0.2 * u
        p.data = torch.tensor(f32(values).astype(np.float64)).reshape(p.shape)
        start += p.numel()


def batch(index, n, shape):
    count = n * int(np.prod(shape))
    images = f32(1.7 * noise(1_000_000 * (index + 1), count).astype(np.float64))
    labels = [(7 * i + index) % CLASSES for i in range(n)]
    return torch.tensor(images.astype(np.float64)).reshape(n, *shape), torch.tensor(labels)


def fingerprint(t):
    """Norm, a projection, and three entries of a tensor."""
    v = t.detach().numpy().astype(np.float64).ravel()
    dot = float(v @ noise(77, v.size).astype(np.float64))
    return [float(np.linalg.norm(v)), dot, v[0], v[v.size // 2], v[-1]]


ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class Mlp(nn.Module):
    def __init__(self, shape, hidden, activation="relu", norm=True):
        super().__init__()
        self.act, self.depth, inputs = ACTIVATIONS[activation](), len(hidden), int(np.prod(shape))
        for i, units in enumerate(hidden, 1):
            setattr(self, f"fc{i}", nn.Linear(inputs, units))
            setattr(self, f"bn{i}", nn.BatchNorm1d(units) if norm else nn.Identity())
            inputs = units
        self.linear = nn.Linear(inputs, CLASSES)

    def forward(self, x):
        x = x.flatten(1)
        for i in range(1, self.depth + 1):
            x = self.act(getattr(self, f"bn{i}")(getattr(self, f"fc{i}")(x)))
        return self.linear(x)


class Block(nn.Module):
    def __init__(self, inputs, out, stride, shortcut, norm):
        super().__init__()
        bn = nn.BatchNorm2d if norm else (lambda _: nn.Identity())
        self.conv1 = nn.Conv2d(inputs, out, 3, stride, 1, bias=not norm)
        self.bn1 = bn(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=not norm)
        self.bn2 = bn(out)
        self.kind, self.changes = shortcut, stride != 1 or inputs != out
        self.shortcut = nn.Sequential()
        if shortcut == "projection" and self.changes:
            conv = nn.Conv2d(inputs, out, 1, stride, bias=not norm)
            self.shortcut = nn.Sequential(conv, bn(out))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.kind == "option_a" and self.changes:
            # akamaster/pytorch_resnet_cifar10's LambdaLayer
            more = y.shape[1] - x.shape[1]
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, more // 2, more - more // 2))
        elif self.kind == "projection":
            x = self.shortcut(x)
        return F.relu(y if self.kind == "none" else y + x)


class ResNet(nn.Module):
    def __init__(self, depth, width=1.0, shortcut="projection", norm=True):
        super().__init__()
        n, inputs = (depth - 2) // 6, round(16 * width)
        self.conv1 = nn.Conv2d(3, inputs, 3, 1, 1, bias=not norm)
        self.bn1 = nn.BatchNorm2d(inputs) if norm else nn.Identity()
        for stage, channels in enumerate((16, 32, 64), 1):
            blocks = []
            for block in range(n):
                stride = 2 if stage > 1 and block == 0 else 1
                blocks.append(Block(inputs, round(channels * width), stride, shortcut, norm))
                inputs = round(channels * width)
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(inputs, CLASSES)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class Bottleneck(nn.Module):
    """Without normalisation: fifty layers of BatchNorm on small batches multiply rounding."""

    def __init__(self, inputs, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, out, 1), nn.Identity()
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, stride, 1), nn.Identity()
        self.conv3, self.bn3 = nn.Conv2d(out, 4 * out, 1), nn.Identity()
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != 4 * out:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, 4 * out, 1, stride))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


class PreAct(nn.Module):
    """kuangliu/pytorch-cifar's PreActBlock."""

    def __init__(self, inputs, out, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, out, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(out), nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.changes = stride != 1 or inputs != out
        if self.changes:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, out, 1, stride, bias=False))

    def forward(self, x):
        y = F.relu(self.bn1(x))
        carried = self.shortcut(y) if self.changes else x
        return self.conv2(F.relu(self.bn2(self.conv1(y)))) + carried


class FourStages(nn.Module):
    """ResNets with ImageNet's four stages; `stem` as ours are called."""

    def __init__(self, kind, blocks, width, stem="cifar"):
        super().__init__()
        inputs = round(64 * width)
        form = (7, 2, 3) if stem == "imagenet" else (3, 1, 1)
        self.conv1 = nn.Conv2d(3, inputs, *form, bias=kind == "bottleneck")
        self.bn1 = nn.BatchNorm2d(inputs) if kind == "basic" else nn.Identity()
        self.kind, self.pooled = kind, stem != "cifar"
        for stage, channels in enumerate((64, 128, 256, 512), 1):
            made, out = [], round(channels * width)
            for block in range(blocks[stage - 1]):
                stride = 2 if stage > 1 and block == 0 else 1
                if kind == "basic":
                    made.append(Block(inputs, out, stride, "projection", True))
                else:
                    made.append((Bottleneck if kind == "bottleneck" else PreAct)(inputs, out, stride))
                inputs = 4 * out if kind == "bottleneck" else out
            setattr(self, f"layer{stage}", nn.Sequential(*made))
        self.linear = nn.Linear(inputs, CLASSES)

    def forward(self, x):
        x = self.bn1(self.conv1(x))
        x = x if self.kind == "preact" else F.relu(x)
        x = F.max_pool2d(x, 3, 2, 1) if self.pooled else x
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.linear(x.mean((2, 3)))


class Vgg9(nn.Module):
    def __init__(self, width, activation="relu", head="hidden"):
        super().__init__()
        layers, inputs, act = [], 3, ACTIVATIONS[activation]
        for channels, convs in ((64, 2), (128, 2), (256, 3)):
            out = round(channels * width)
            for _ in range(convs):
                layers += [nn.Conv2d(inputs, out, 3, 1, 1), nn.BatchNorm2d(out), act()]
                inputs = out
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.fc = nn.Sequential()
        if head == "hidden":
            self.fc = nn.Sequential(nn.Linear(inputs, inputs), nn.BatchNorm1d(inputs), act())
        self.classifier = nn.Linear(inputs, CLASSES)

    def forward(self, x):
        return self.classifier(self.fc(self.features(x).flatten(1)))


class LeNet5(nn.Module):
    def __init__(self, norm, padding=(2, 2), inputs=64):
        super().__init__()
        bn = nn.BatchNorm2d if norm else (lambda _: nn.Identity())
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 5, padding=padding[0]), bn(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 16, 5, padding=padding[1]), bn(16)
        self.fc1, self.fc2, self.fc3 = nn.Linear(inputs, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.qkv, self.proj, self.heads = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim), heads

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(n, t, d))


class VitBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, eps=1e-6), Attention(dim, heads)
        self.norm2, self.mlp = nn.LayerNorm(dim, eps=1e-6), nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


class Vit(nn.Module):
    def __init__(self, side, patch, dim, depth, heads):
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, dim, patch, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, (side // patch) ** 2 + 1, dim))
        self.blocks = nn.Sequential(*[VitBlock(dim, heads) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, CLASSES)

    def forward(self, x):
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])

    def named_parameters(self, *args, **kwargs):
        # Our layout has them in the order of use; PyTorch puts a module's own parameters first.
        own = list(super().named_parameters(*args, **kwargs))
        first = [p for p in own if p[0].startswith("patch_embed")]
        return iter(first + [p for p in own if not p[0].startswith("patch_embed")])


class InvertedResidual(nn.Module):
    def __init__(self, channels, out, expansion, stride):
        super().__init__()
        wide = expansion * channels
        self.stride = stride
        self.conv1 = nn.Conv2d(channels, wide, 1)
        self.conv2 = nn.Conv2d(wide, wide, 3, stride=stride, padding=1, groups=wide)
        self.conv3 = nn.Conv2d(wide, out, 1)
        self.shortcut = nn.Sequential()
        if stride == 1 and channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1))

    def forward(self, x):
        y = self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))
        return y + self.shortcut(x) if self.stride == 1 else y


class MobileNetV2(nn.Module):
    """kuangliu's, without normalisation."""

    STAGES = [(1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]

    def __init__(self, width):
        super().__init__()
        channels = int(32 * width + 0.5)
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1)
        blocks = []
        for expansion, out, count, stride in self.STAGES:
            out = int(out * width + 0.5)
            for block in range(count):
                blocks.append(InvertedResidual(channels, out, expansion, stride if block == 0 else 1))
                channels = out
        self.layers = nn.Sequential(*blocks)
        last = int(1280 * width + 0.5)
        self.conv2 = nn.Conv2d(channels, last, 1)
        self.linear = nn.Linear(last, CLASSES)

    def forward(self, x):
        x = self.layers(F.relu(self.conv1(x)))
        x = F.relu(self.conv2(x))
        return self.linear(x.mean((2, 3)))


def train_pass(net, shape, label_smoothing, n=8):
    params = list(net.named_parameters())
    fill(params)
    images, labels = batch(0, n, shape)
    net.train()
    logits = net(images)
    loss = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    loss.backward()
    buffers = [(k, b) for k, b in net.named_buffers() if "num_batches" not in k]
    return {
        "input": shape,
        "images": n,
        "label_smoothing": label_smoothing,
        "loss": loss.item(),
        "correct": int((logits.argmax(1) == labels).sum()),
        "params": [[k, list(p.shape)] for k, p in params],
        "grads": [fingerprint(p.grad) for _, p in params],
        "buffers": [[k, fingerprint(b)] for k, b in buffers],
    }


def train_cases():
    colour, small = [3, 8, 8], {"width": 0.25}
    cases = []

    def case(model, net, shape=colour, label_smoothing=0.0):
        cases.append({"model": model, **train_pass(net, shape, label_smoothing)})

    for shortcut in ("projection", "option_a", "none"):
        case({"arch": "resnet8", "shortcut": shortcut, **small}, ResNet(8, 0.25, shortcut))
    # Odd sides: strides and shortcuts that do not divide the picture.
    for shortcut in ("projection", "option_a"):
        model = {"arch": "resnet8", "shortcut": shortcut, **small}
        case(model, ResNet(8, 0.25, shortcut), [3, 9, 7], 0.1)
    case({"arch": "resnet8", "norm": "none", **small}, ResNet(8, 0.25, norm=False))
    case({"arch": "resnet14", **small}, ResNet(14, 0.25), [3, 12, 12])
    case({"arch": "vgg9", "width": 0.125}, Vgg9(0.125))
    case({"arch": "lenet5"}, LeNet5(True))
    case({"arch": "lenet5", "norm": "none"}, LeNet5(False), label_smoothing=0.1)
    lenet = {"arch": "lenet5", "norm": "none"}
    case({**lenet, "padding": "valid"}, LeNet5(False, (0, 0), 16), [3, 16, 16])
    case({**lenet, "padding": "first"}, LeNet5(False, (2, 0), 64), [3, 16, 16])
    case({"arch": "vgg9", "width": 0.125, "head": "linear"}, Vgg9(0.125, head="linear"))
    large, thin = [3, 16, 16], {"width": 0.0625}
    for stem, shape in (("cifar", large), ("cifar_pooled", [3, 18, 15]), ("imagenet", [3, 32, 32])):
        case({"arch": "resnet18", "stem": stem, **thin}, FourStages("basic", (2, 2, 2, 2), 0.0625, stem), shape)
    case({"arch": "preact_resnet18", **thin}, FourStages("preact", (2, 2, 2, 2), 0.0625), large)
    case({"arch": "resnet50", "norm": "none", **thin}, FourStages("bottleneck", (3, 4, 6, 3), 0.0625), large)
    case({"arch": "mobilenet_v2", "norm": "none", "width": 0.125}, MobileNetV2(0.125), [3, 12, 16])
    for activation in ACTIVATIONS:
        model = {"arch": "mlp", "hidden": [16, 12], "activation": activation}
        case(model, Mlp([1, 8, 8], [16, 12], activation), [1, 8, 8])
    model = {"arch": "mlp", "hidden": [16, 12], "norm": "none"}
    case(model, Mlp([1, 8, 8], [16, 12], norm=False), [1, 8, 8], 0.1)
    vit = {"arch": "vit", "patch": 4, "dim": 24, "depth": 1, "heads": 3}
    case(vit, Vit(8, 4, 24, 1, 3))
    return cases


def sgd_case():
    steps, n, shape = 10, 8, [3, 8, 8]
    net = ResNet(8, 0.125)
    fill(list(net.named_parameters()))
    net.train()
    rule = {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    optimizer = torch.optim.SGD(net.parameters(), **rule)
    losses = []
    for step in range(steps):
        images, labels = batch(step, n, shape)
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    flat = lambda tensors: [float(f"{v:.8g}") for t in tensors for v in t.detach().numpy().ravel()]
    return {
        "model": {"arch": "resnet8", "width": 0.125},
        "input": shape,
        "images": n,
        "rule": rule,
        "losses": losses,
        "theta": flat(net.parameters()),
        "buffers": flat(b for k, b in net.named_buffers() if "num_batches" not in k),
    }


def cifar(data, name, n, mean, std):
    raw = np.fromfile(f"{data}/cifar-10-batches-bin/{name}", np.uint8, n * 3073).reshape(n, 3073)
    pixels = torch.tensor(raw[:, 1:].reshape(n, 3, 32, 32)).to(torch.float32) / 255
    mean, std = (torch.tensor(v, dtype=torch.float32).reshape(3, 1, 1) for v in (mean, std))
    return ((pixels - mean) / std).double(), torch.tensor(raw[:, 0].astype(np.int64))


def restore(net, path):
    state = torch.load(path, map_location="cpu", weights_only=False, encoding="latin1")
    state = state.get("state_dict", state)
    names = {k.removeprefix("module."): v.double() for k, v in state.items()}
    missing, unexpected = net.load_state_dict(names, strict=False)
    assert not unexpected and all("num_batches" in k for k in missing), (missing, unexpected)
    return net.eval()


@torch.no_grad()
def evaluate(net, images, labels):
    logits = torch.cat([net(x) for x in images.split(100)])
    loss = F.cross_entropy(logits, labels).item()
    return {"loss": loss, "correct": int((logits.argmax(1) == labels).sum()), "total": len(labels)}


def real_cases(data):
    import h5py

    paper = np.array([125.3, 123.0, 113.9]) / 255, np.array([63.0, 62.1, 66.7]) / 255
    imagenet = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    small = restore(ResNet(20, shortcut="option_a"), f"{data}/akamaster-resnet20/resnet20-12fca82f.th")
    deep = restore(ResNet(56), f"{data}/li2018-resnet56/model_300.t7")
    test = "test_batch.bin"
    found = {
        "akamaster_test_500": evaluate(small, *cifar(data, test, 500, *imagenet)),
        "li2018_test_500": evaluate(deep, *cifar(data, test, 500, *paper)),
    }
    # Along the paper's direction, running statistics frozen.
    with h5py.File(f"{data}/li2018-resnet56/direction-1d.h5") as file:
        direction = [torch.tensor(file["xdirection"][str(i)][()]).double() for i in range(173)]
    origin = [p.detach().clone() for p in deep.parameters()]
    images, labels = cifar(data, "data_batch_1.bin", 200, *paper)
    points = []
    for x in (-0.6, 0.2, 1.0):
        for p, w, d in zip(deep.parameters(), origin, direction, strict=True):
            p.data = w + x * d
        points.append({"x": x, **evaluate(deep, images, labels)})
    found["li2018_curve_train_200"] = points
    return found


def main():
    out = {"train": train_cases(), "sgd": sgd_case()}
    if len(sys.argv) > 1:
        out["real"] = real_cases(sys.argv[1])
    else:
        with open(os.path.join(os.path.dirname(__file__), "networks.json")) as file:
            out["real"] = json.load(file)["real"]
    json.dump(out, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
