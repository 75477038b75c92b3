"""Expected numbers for src/optim: 20 steps of PyTorch's optimizers, and its schedulers' rates.

    python tests/oracles/optimizers.py > tests/oracles/optimizers.json

The gradient is a fixed function of theta and the step that both sides compute in f64 and round
to f32; its Jacobian is dominated by a positive diagonal, so that roundings do not grow from step to
step (with stronger coupling PyTorch in f32 differs from PyTorch in f64 by 2e-6). Parameters are f32: a weight of 5 x 6 and a bias of 7, flat in that order.
"""
import json
import math

import numpy as np
import torch

torch.set_num_threads(1)
N, WEIGHTS, STEPS = 37, 30, 20


def start():
    return np.array([0.8 * math.cos(0.9 * i) for i in range(N)]).astype(np.float32)


def gradient(theta, step):
    t = theta.astype(np.float64)
    return np.array(
        [
            (0.5 + 0.3 * (i % 5)) * (t[i] - math.sin(i + 1.0))
            + 0.3 * math.sin(t[(i + 1) % N])
            + 0.2 * math.cos(0.7 * step + i)
            for i in range(N)
        ]
    ).astype(np.float32)


def case(config, make, lr_decay=1.0):
    theta = start()
    weight = torch.tensor(theta[:WEIGHTS].reshape(5, 6), requires_grad=True)
    bias = torch.tensor(theta[WEIGHTS:], requires_grad=True)
    wd = config.get("weight_decay", 0.0)
    bias_wd = wd if config.get("decay_on", "all") == "all" else 0.0
    groups = [{"params": [weight], "weight_decay": wd}, {"params": [bias], "weight_decay": bias_wd}]
    opt = make(groups)
    after, norms = {}, []
    for step in range(STEPS):
        flat = np.concatenate([weight.detach().numpy().ravel(), bias.detach().numpy()])
        grad = gradient(flat, step)
        weight.grad = torch.tensor(grad[:WEIGHTS].reshape(5, 6))
        bias.grad = torch.tensor(grad[WEIGHTS:])
        clip = config.get("grad_clip")
        if clip is not None:
            norms.append(float(torch.nn.utils.clip_grad_norm_([weight, bias], clip)))
        opt.step()
        for group in opt.param_groups:
            group["lr"] *= lr_decay
        if step + 1 in (1, 2, STEPS):
            flat = np.concatenate([weight.detach().numpy().ravel(), bias.detach().numpy()])
            after[str(step + 1)] = [float(x) for x in flat]
    return {"config": config, "lr_decay": lr_decay, "after": after, "norms": norms}


def sgd(lr_decay=1.0, **c):
    c = {"rule": "sgd", "lr": 0.1, "momentum": 0.0, "dampening": 0.0, "nesterov": False,
         "weight_decay": 0.0, **c}
    args = {k: c[k] for k in ("lr", "momentum", "dampening", "nesterov")}
    return case(c, lambda p: torch.optim.SGD(p, **args), lr_decay)


def adam(kind, lr_decay=1.0, **c):
    c = {"rule": kind.__name__.lower(), "lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8,
         "weight_decay": 0.0, **c}
    betas = (c["beta1"], c["beta2"])
    return case(c, lambda p: kind(p, lr=c["lr"], betas=betas, eps=c["eps"]), lr_decay)


def rmsprop(**c):
    c = {"rule": "rmsprop", "lr": 0.01, "alpha": 0.99, "eps": 1e-8, "momentum": 0.0,
         "centered": False, "weight_decay": 0.0, **c}
    args = {k: c[k] for k in ("lr", "alpha", "eps", "momentum", "centered")}
    return case(c, lambda p: torch.optim.RMSprop(p, **args))


def schedule(config, make, base_lr=0.2, steps_per_epoch=4, epochs=15):
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base_lr)
    scheduler = make(opt, steps_per_epoch, steps_per_epoch * epochs)
    rates = []
    for _ in range(steps_per_epoch * epochs):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    return {"config": config, "base_lr": base_lr, "steps_per_epoch": steps_per_epoch,
            "epochs": epochs, "rates": rates}


S = torch.optim.lr_scheduler


def warm(opt, main, steps, start):
    return S.SequentialLR(opt, [S.LinearLR(opt, start, 1.0, steps), main], [steps])


cases = [
    sgd(),
    sgd(weight_decay=0.05),
    sgd(weight_decay=0.05, decay_on="weights"),
    sgd(momentum=0.9),
    sgd(momentum=0.9, dampening=0.4, weight_decay=5e-4),
    sgd(momentum=0.9, nesterov=True, weight_decay=5e-4),
    sgd(momentum=0.9, nesterov=True, weight_decay=5e-4, grad_clip=1.5, lr_decay=0.9),
    adam(torch.optim.Adam),
    adam(torch.optim.Adam, weight_decay=0.05, grad_clip=2.0),
    adam(torch.optim.Adam, beta1=0.8, beta2=0.95, eps=1e-3, lr=0.05, lr_decay=0.9),
    adam(torch.optim.AdamW, weight_decay=0.1),
    adam(torch.optim.AdamW, weight_decay=0.5, decay_on="weights", lr=0.03, lr_decay=0.9),
    rmsprop(),
    rmsprop(centered=True, weight_decay=0.05),
    rmsprop(momentum=0.9, eps=1e-3),
    rmsprop(momentum=0.7, centered=True, alpha=0.9, weight_decay=0.01, decay_on="weights"),
]
schedules = [
    schedule({"kind": "constant"}, lambda o, e, t: S.ConstantLR(o, 1.0, 1)),
    schedule({"kind": "step", "milestones": [5, 9, 13], "gamma": 0.3},
             lambda o, e, t: S.MultiStepLR(o, [5 * e, 9 * e, 13 * e], 0.3)),
    schedule({"kind": "cosine", "min_lr": 0.01}, lambda o, e, t: S.CosineAnnealingLR(o, t, 0.01)),
    schedule({"kind": "one_cycle"}, lambda o, e, t: S.OneCycleLR(o, 0.2, total_steps=t)),
    schedule({"kind": "one_cycle", "pct_start": 0.45, "div_factor": 10.0, "final_div_factor": 50.0},
             lambda o, e, t: S.OneCycleLR(o, 0.2, total_steps=t, pct_start=0.45, div_factor=10.0,
                                          final_div_factor=50.0)),
    schedule({"kind": "cosine", "min_lr": 0.001, "warmup_epochs": 2.5, "warmup_start": 0.1},
             lambda o, e, t: warm(o, S.CosineAnnealingLR(o, t - 10, 0.001), 10, 0.1)),
    schedule({"kind": "step", "milestones": [5, 9], "warmup_epochs": 2.0, "warmup_start": 0.25},
             lambda o, e, t: warm(o, S.MultiStepLR(o, [5 * e - 8, 9 * e - 8], 0.1), 8, 0.25)),
    # The decay is the last fifth of 60 steps, and the last three tenths.
    schedule({"kind": "wsd", "min_lr": 0.02, "warmup_epochs": 2.5, "warmup_start": 0.1},
             lambda o, e, t: S.SequentialLR(o, [S.LinearLR(o, 0.1, 1.0, 10), S.ConstantLR(o, 1.0, 1),
                                                S.LinearLR(o, 1.0, 0.1, 12)], [10, 48])),
    schedule({"kind": "wsd", "decay_fraction": 0.3, "decay_shape": "one_minus_sqrt"},
             lambda o, e, t: S.LambdaLR(o, lambda n: 1.0 - math.sqrt(max(0.0, (n - 42) / 18)))),
]
print(json.dumps({"torch": torch.__version__, "cases": cases, "schedules": schedules}, indent=None,
                 separators=(",", ":")).replace("},{", "},\n{"))
