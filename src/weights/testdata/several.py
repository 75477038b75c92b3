"""Files with several dicts of tensors: python several.py FOLDER"""
import sys
import torch
folder = sys.argv[1]
def net(v): return {"fc.weight": torch.full((2, 3), v), "fc.bias": torch.full((2,), v)}
torch.save({"model": net(1.0), "model_ema": net(2.0), "optimizer": {"state": {0: {"exp_avg": torch.zeros(2, 3)}}}, "epoch": 3}, f"{folder}/with-ema.pth")
torch.save({"generator": net(1.0), "critic": net(2.0)}, f"{folder}/two-nets.pth")
odd = dict(net(1.0)); odd["unused.code"] = torch.zeros(2, dtype=torch.complex64); odd["sparse.weight"] = torch.eye(3).to_sparse()
odd["q.weight"] = torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)
torch.save({"state_dict": odd}, f"{folder}/odd-tensors.pth")
torch.save({"state_dict": odd}, f"{folder}/odd-tensors.t7", _use_new_zipfile_serialization=False)
