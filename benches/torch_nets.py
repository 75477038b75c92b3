"""The nets of the comparisons in PyTorch, named and ordered as lossreel's layouts are.

`net.parameters()` in order is lossreel's flat `theta`; `flat_buffers` gives its buffer vector. What
is measured against must be the same net, so `check` holds each to its published parameter count.
"""

import torch
from torch import nn
import torch.nn.functional as F

PARAMETERS = {
    "resnet20": 272_474,
    "resnet56": 855_770,
    "vgg9": 2_789_706,
    "wrn-56-4": 13_628_234,
}


class Block(nn.Module):
    """relu(bn(conv(relu(bn(conv x)))) + shortcut(x))."""

    def __init__(self, channels_in, channels, stride, shortcut):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        changes = stride != 1 or channels_in != channels
        self.pad = (channels - channels_in) // 2 if changes and shortcut == "option_a" else None
        if changes and shortcut == "projection":
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        else:
            self.shortcut = nn.Identity()

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.pad is None:
            carried = self.shortcut(x)
        else:
            carried = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y + carried)


class ResNet(nn.Module):
    """ResNet-CIFAR of depth 6n + 2, `widen` times as wide."""

    def __init__(self, depth, widen=1, shortcut="projection", classes=10):
        super().__init__()
        channels = 16 * widen
        self.conv1 = nn.Conv2d(3, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for stage, (width, stride) in enumerate([(16, 1), (32, 2), (64, 2)], 1):
            blocks = []
            for b in range((depth - 2) // 6):
                blocks.append(Block(channels, width * widen, stride if b == 0 else 1, shortcut))
                channels = width * widen
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(channels, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class Vgg9(nn.Module):
    """VGG-9 of Li et al. 2018: convolutions with bias and batch norm, one hidden linear layer."""

    def __init__(self, classes=10):
        super().__init__()
        layers, channels = [], 3
        for width, convolutions in [(64, 2), (128, 2), (256, 3)]:
            for _ in range(convolutions):
                layers += [nn.Conv2d(channels, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.fc = nn.Sequential(nn.Linear(4096, 256), nn.BatchNorm1d(256), nn.ReLU())
        self.classifier = nn.Linear(256, classes)

    def forward(self, x):
        return self.classifier(self.fc(self.features(x).flatten(1)))


def build(arch, shortcut="projection", seed=0):
    """The net by lossreel's name for it, freshly drawn as lossreel draws it (He et al.; linear
    layers N(0, 1e-3))."""
    torch.manual_seed(seed)
    if arch == "vgg9":
        net = Vgg9()
    elif arch.startswith("wrn-"):
        depth, widen = map(int, arch.split("-")[1:])
        net = ResNet(depth, widen, shortcut)
    elif arch.startswith("resnet"):
        net = ResNet(int(arch.removeprefix("resnet")), 1, shortcut)
    else:
        raise SystemExit(f"there is no {arch} here; use one of {', '.join(PARAMETERS)}")
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=1e-3)
            nn.init.zeros_(module.bias)
    count = sum(p.numel() for p in net.parameters())
    wanted = PARAMETERS.get(arch)
    if shortcut == "projection" and wanted is not None and count != wanted:
        raise SystemExit(f"{arch} has {count} parameters here, {wanted} in the paper's code")
    return net


def flat_params(net):
    """theta, (P,)."""
    return torch.cat([p.detach().reshape(-1) for p in net.parameters()])


def flat_buffers(net):
    """lossreel's buffers: running mean and variance of each batch norm, in order."""
    return torch.cat([b.reshape(-1) for n, b in net.named_buffers() if "num_batches" not in n])


def unflatten(net, theta):
    """Views of a flat vector in the shapes of `net.parameters()`."""
    views, offset = [], 0
    for p in net.parameters():
        views.append(theta[offset : offset + p.numel()].view(p.shape))
        offset += p.numel()
    return views
