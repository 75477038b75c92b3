"""Expected numbers for tests/oracles.rs: losses other than cross-entropy of images, in PyTorch and f64.

    python -P tests/oracles/targets.py > tests/oracles/targets.json

Three cases in eval mode: a residual net by the squared error to its classes, an MLP by that to numbers,
each with a Hessian-vector product by double backward; and a transformer that predicts the next character
(written here from torch.nn's modules, with torch's own attention), with its gradient. Weights, images and
the vector come from the formula of networks.py.
"""
import json
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

from hvp import set_statistics
from networks import CLASSES, Mlp, ResNet, batch, fill, fingerprint, noise


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(dim)
        self.attn = nn.Module()
        self.attn.c_attn, self.attn.c_proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.ln_2 = nn.LayerNorm(dim)
        self.mlp = nn.Module()
        self.mlp.c_fc, self.mlp.c_proj = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        n, t, d = x.shape
        parts = self.attn.c_attn(self.ln_1(x)).split(d, 2)
        q, k, v = (p.view(n, t, self.heads, d // self.heads).transpose(1, 2) for p in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn.c_proj(y.transpose(1, 2).reshape(n, t, d))
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x))))


class Gpt(nn.Module):
    def __init__(self, vocabulary, context, dim, depth, heads):
        super().__init__()
        self.transformer = nn.Module()
        self.transformer.wte = nn.Conv2d(vocabulary, dim, 1, bias=False)
        self.transformer.wpe = nn.Parameter(torch.zeros(1, context, dim))
        self.transformer.h = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.transformer.ln_f = nn.LayerNorm(dim)
        self.lm_head = nn.Linear(dim, vocabulary)

    def forward(self, columns):
        # Columns with a single 1 pick rows of an embedding.
        characters = columns.squeeze(2).argmax(1)
        x = F.embedding(characters, self.transformer.wte.weight[:, :, 0, 0].T) + self.transformer.wpe
        for block in self.transformer.h:
            x = block(x)
        return self.lm_head(self.transformer.ln_f(x))

    def in_order(self):
        """Parameters in the order of the layers: torch lists a module's own before its children's."""
        named = dict(self.named_parameters())
        first = ["transformer.wte.weight", "transformer.wpe"]
        return [(name, named[name]) for name in first + [n for n in named if n not in first]]


def case(net, params, loss, correct, with_product):
    tensors = [p for _, p in params]
    grads = torch.autograd.grad(loss, tensors, create_graph=with_product)
    products = []
    if with_product:
        flat = torch.tensor(noise(2_000_000, sum(p.numel() for p in tensors)).astype("float64"))
        parts = flat.split([p.numel() for p in tensors])
        along = sum((g * part.reshape(p.shape)).sum() for g, part, p in zip(grads, parts, tensors))
        # Last biases have a constant gradient along other parameters only: none is unused.
        products = [fingerprint(h) for h in torch.autograd.grad(along, tensors)]
    return {
        "loss": loss.item(),
        "correct": correct,
        "params": [[name, list(p.shape)] for name, p in params],
        "grads": [fingerprint(g) for g in grads],
        "products": products,
    }


def squared():
    net = ResNet(8, 0.5)
    params = list(net.named_parameters())
    fill(params)
    set_statistics(net)
    net.eval()
    images, labels = batch(0, 12, (3, 8, 8))
    outputs = net(images)
    loss = F.mse_loss(outputs, F.one_hot(labels, CLASSES).double())
    return case(net, params, loss, int((outputs.argmax(1) == labels).sum()), True)


def values():
    net = Mlp((1, 4, 4), [12], "tanh", norm=False)
    params = list(net.named_parameters())
    fill(params)
    images, _ = batch(0, 9, (1, 4, 4))
    targets = torch.tensor(noise(3_000_000, 9 * CLASSES).astype("float64")).reshape(9, CLASSES)
    return case(net, params, F.mse_loss(net(images), targets), 0, True)


def characters():
    vocabulary, context, n = 7, 11, 5
    net = Gpt(vocabulary, context, 24, 2, 3)
    params = net.in_order()
    fill(params)
    text = torch.arange(n * context).reshape(n, context)
    text, following = (3 * text * text + text) % vocabulary, (5 * text + 2) % vocabulary
    columns = F.one_hot(text, vocabulary).double().transpose(1, 2).unsqueeze(2)
    outputs = net(columns)
    loss = F.cross_entropy(outputs.reshape(-1, vocabulary), following.reshape(-1))
    return case(net, params, loss, int((outputs.argmax(2) == following).sum()), False)


def rounded(x):
    if isinstance(x, dict):
        return {key: rounded(value) for key, value in x.items()}
    if isinstance(x, list):
        return [rounded(value) for value in x]
    return float(f"{x:.9g}") if isinstance(x, float) else x


cases = {"squared": squared(), "values": values(), "characters": characters()}
json.dump(rounded(cases), sys.stdout, separators=(",", ":"))
print()
