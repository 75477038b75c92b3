"""State dicts that have tensors in parts, and what they are: python parts.py FOLDER

`parts.pth`: {"parts": state dict of a module pruned and normalised in each of PyTorch's ways, "whole": the
weights that it computes with in eval mode, by the same names}.
"""
import sys

import torch
from torch import nn
from torch.nn.utils import prune, spectral_norm, weight_norm
from torch.nn.utils import parametrizations as new

torch.manual_seed(1)
net = nn.Module()
net.pruned = nn.Conv2d(3, 4, 3)
prune.l1_unstructured(net.pruned, "weight", amount=0.4)
net.normed = weight_norm(nn.Conv2d(3, 5, 3))
net.columns = weight_norm(nn.Linear(4, 6), dim=1)
net.whole = weight_norm(nn.Linear(3, 2), dim=None)
net.spectral = spectral_norm(nn.Linear(7, 5))
net.normed2 = new.weight_norm(nn.Conv2d(2, 3, 3))
net.spectral2 = new.spectral_norm(nn.Conv2d(3, 4, 3))
for module in net.children():  # a few power iterations, and for the old forms the weights themselves
    for _ in range(3):
        shape = (1, module.in_channels, 5, 5) if hasattr(module, "in_channels") else (1, module.in_features)
        module(torch.zeros(shape))
net.eval()
for module in net.children():
    shape = (1, module.in_channels, 5, 5) if hasattr(module, "in_channels") else (1, module.in_features)
    module(torch.zeros(shape))
with torch.no_grad():
    whole = {f"{name}.weight": module.weight.clone() for name, module in net.named_children()}
torch.save({"parts": net.state_dict(), "whole": whole}, f"{sys.argv[1]}/parts.pth")
