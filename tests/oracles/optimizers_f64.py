"""Expected numbers for src/optim: 20 steps of each rule's reference implementation, in f64.

    python tests/oracles/optimizers_f64.py AUTHORS > tests/oracles/optimizers_f64.json

References: torch.optim (torch 2.15), optax 0.2.8 (with jax), pytorch_optimizer 4.1, schedulefree 1.4.1,
prodigyopt 1.1.2, and the authors' code in the folder AUTHORS:

    muon.py   KellerJordan/Muon, MIT              its iteration in f64 in place of bf16
    soap.py   nikhilvyas/SOAP, MIT                its decompositions in f64
    sam.py    davda54/sam, MIT
    mars.py   AGI-Arena/MARS, MARS/optimizers/mars.py, Apache-2.0
    adopt.py  iShohei220/adopt, src/adopt/adopt.py, Apache-2.0

The network is six layers' worth of small tensors, flat in the order of SHAPES. The gradient is a fixed
function of theta and the step that both sides compute in f64; its Jacobian is dominated by a positive
diagonal, so that roundings do not grow. A case holds the first ten values after two steps and all of
them after twenty.
"""
import json
import math
import sys

sys.path[0] = sys.argv[1]  # not this folder, whose statistics.py is not Python's own

import adopt
import jax
import mars
import muon
import numpy as np
import optax
import prodigyopt
import pytorch_optimizer as po
import sam
import schedulefree
import soap
import torch

jax.config.update("jax_enable_x64", True)
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.Tensor.bfloat16 = lambda self: self
torch.Tensor.float = lambda self: self
torch.bfloat16 = torch.float64

SHAPES = [(4, 3), (4,), (3, 2, 2, 2), (3,), (5, 3), (2, 5), (2,)]
HIDDEN = [2, 4]
SIZES = [math.prod(s) for s in SHAPES]
N, STEPS = sum(SIZES), 20
INDEX = np.arange(N)


def start():
    return 0.8 * np.cos(0.9 * INDEX)


def gradient(t, step):
    return (
        (0.5 + 0.3 * (INDEX % 5)) * (t - np.sin(INDEX + 1.0))
        + 0.3 * np.sin(np.roll(t, -1))
        + 0.2 * np.cos(0.7 * step + INDEX)
    )


def cut(flat):
    return [p.reshape(s) for p, s in zip(np.split(flat, np.cumsum(SIZES)[:-1]), SHAPES)]


def flat(params):
    return np.concatenate([np.asarray(p.detach() if torch.is_tensor(p) else p).ravel() for p in params])


def result(config, lr_decay, seen):
    after = {str(k): seen[k][:10].tolist() if k < STEPS else seen[k].tolist() for k in (2, STEPS)}
    return {"config": config, "lr_decay": lr_decay, "after": after}


def torch_case(config, make, lr_decay=1.0, l1=0.0, hessian=None, point=None):
    """`make` takes the parameters and the decay of each, and gives an optimizer."""
    params = [torch.tensor(p, requires_grad=True) for p in cut(start())]
    wd = config["weight_decay"] if not l1 else 0.0
    on_all = config.get("decay_on", "all") == "all"
    opt = make(params, [wd if on_all or len(s) > 1 else 0.0 for s in SHAPES])
    opts = opt if isinstance(opt, list) else [opt]
    seen = {}
    for step in range(STEPS):
        def closure(step=step):
            at = flat(params)
            grad = gradient(at, step) + l1 * np.sign(at)
            for p, g in zip(params, cut(grad)):
                p.grad = torch.tensor(g)
            return torch.tensor(0.0)
        closure()
        for o in opts:
            if isinstance(o, sam.SAM):
                o.step(closure)
            elif hessian is not None:
                o.step(hessian=hessian(flat(params), step))
            else:
                o.step()
            for group in o.param_groups:
                group["lr"] = group["lr"] * lr_decay
        if step + 1 in (2, STEPS):
            if point:
                opts[0].eval()
            seen[step + 1] = flat(params)
            if point:
                opts[0].train()
    return result(config, lr_decay, seen)


def groups(params, decays, **more):
    return [{"params": [p], "weight_decay": d, **more} for p, d in zip(params, decays)]


def simple(config, kind, lr_decay=1.0, l1=0.0, names={}, **fixed):
    """A reference whose arguments are the config's keys, some of them under other names."""
    own = {"rule", "weight_decay", "decay", "decay_on", "beta1", "beta2", "beta3"}
    args = {names.get(k, k): v for k, v in config.items() if k not in own}
    if "beta1" in config:
        args["betas"] = tuple(config[b] for b in ("beta1", "beta2", "beta3") if b in config)
    return torch_case(config, lambda p, d: kind(groups(p, d), **args, **fixed), lr_decay, l1)


def optax_case(config, make, lr_decay=1.0):
    params = [jax.numpy.asarray(p) for p in cut(start())]
    opt = make(lambda count: config["lr"] * lr_decay**count)
    state, seen = opt.init(params), {}
    for step in range(STEPS):
        grads = [jax.numpy.asarray(g) for g in cut(gradient(flat(params), step))]
        updates, state = opt.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        if step + 1 in (2, STEPS):
            seen[step + 1] = flat(params)
    return result(config, lr_decay, seen)


def muon_case(lr_decay=1.0, **config):
    config = {"rule": "muon", "lr": 0.02, "adamw_lr": 3e-3, "weight_decay": 0.1, **config}

    def make(params, decays):
        gs = []
        for i, (p, d) in enumerate(zip(params, decays)):
            if i in HIDDEN:
                gs.append({"params": [p], "use_muon": True, "lr": config["lr"], "weight_decay": d})
            else:
                gs.append({"params": [p], "use_muon": False, "lr": config["adamw_lr"], "weight_decay": d})
        return muon.SingleDeviceMuonWithAuxAdam(gs)

    return torch_case(config, make, lr_decay)


def torch_muon_case():
    config = {"rule": "muon", "lr": 0.02, "adamw_lr": 1e-2, "adamw_beta1": 0.8, "adamw_beta2": 0.9,
              "adamw_eps": 1e-8, "muon_scale": "rms", "momentum": 0.9, "nesterov": False,
              "weight_decay": 0.1}
    others = [i for i in range(len(SHAPES)) if i not in HIDDEN]

    def make(params, decays):
        return [
            torch.optim.Muon([params[i] for i in HIDDEN], lr=0.02, weight_decay=0.1, momentum=0.9,
                             nesterov=False, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW([params[i] for i in others], lr=1e-2, betas=(0.8, 0.9), eps=1e-8,
                              weight_decay=0.1),
        ]

    return with_matrices(lambda: torch_case(config, make))


def with_matrices(make):
    """For references that take matrices only: the convolution is one, (out, in kh kw)."""
    global SHAPES
    before = SHAPES
    SHAPES = [s if len(s) < 3 else (s[0], math.prod(s[1:])) for s in SHAPES]
    made = make()
    SHAPES = before
    return made


def soap_case(lr_decay=1.0, **config):
    """Matrices of up to 4 dimensions only: those of (5, 3) and (2, 5) along the 5 begin with
    eigenvalues that are zero several times, in which case any basis is right."""
    config = {"rule": "soap", "lr": 0.01, "beta1": 0.95, "beta2": 0.9, "eps": 1e-8,
              "precondition_frequency": 3, "max_dim": 4, "weight_decay": 0.1, **config}
    args = {"lr": config["lr"], "betas": (config["beta1"], config["beta2"]), "eps": config["eps"],
            "precondition_frequency": config["precondition_frequency"],
            "max_precond_dim": config["max_dim"]}
    return torch_case(config, lambda p, d: soap.SOAP(groups(p, d), **args), lr_decay)


def shampoo_case(every, lr_decay=1.0, **config):
    config = {"rule": "shampoo", "lr": 0.05, "matrix_eps": 1e-4, "precondition_frequency": every,
              "weight_decay": 0.0, **config}

    def make(params, decays):
        opt = po.Shampoo(groups(params, decays), lr=config["lr"], matrix_eps=config["matrix_eps"],
                         preconditioning_compute_steps=every)
        # So that the first step computes the roots too.
        for group in opt.param_groups:
            group["step"] = every - 1
        return opt

    return torch_case(config, make, lr_decay)


def sophia_case(lr_decay=1.0, **config):
    config = {"rule": "sophia", "lr": 0.01, "beta1": 0.9, "beta2": 0.8, "gamma": 0.5, "eps": 1e-3,
              "hessian_every": 4, "weight_decay": 0.1, **config}
    gamma = config["gamma"]

    def make(params, decays):
        # lr clip(m / max(gamma h, eps), 1) is (lr / gamma) clip(m / max(h, eps / gamma), gamma).
        decays = [gamma * d for d in decays]
        return po.SophiaH(groups(params, decays), lr=config["lr"] / gamma, p=gamma,
                          betas=(config["beta1"], config["beta2"]), eps=config["eps"] / gamma,
                          update_period=1000)

    def hessian(theta, step):
        if step % config["hessian_every"]:
            return None
        u = np.where(np.sin(1.3 * (step + 1) + 2.1 * INDEX + 0.4) > 0.0, 1.0, -1.0)
        h = 1e-3 * (1.0 + np.sqrt((theta**2).sum())) / math.sqrt(N)
        found = (gradient(theta + h * u, step) - gradient(theta - h * u, step)) / (2.0 * h) * u
        return [torch.tensor(p) for p in cut(found)]

    return torch_case(config, make, lr_decay, hessian=hessian)


def schedule_free_case(kind, lr_decay=1.0, **config):
    own = {"rule", "weight_decay", "decay", "decay_on", "beta1", "beta2"}
    args = {k: v for k, v in config.items() if k not in own}
    if "beta1" in config:
        args["betas"] = (config["beta1"], config["beta2"])

    def make(params, decays):
        opt = kind(groups(params, decays), **args)
        opt.train()
        return opt

    return torch_case(config, make, lr_decay, point=True)


def sam_case(base, lr_decay=1.0, adaptive=False, **config):
    config = {"sam_rho": 0.05, "sam_adaptive": adaptive, **config}
    args = {k: config[k] for k in ("lr", "momentum", "nesterov") if k in config}

    def make(params, decays):
        return sam.SAM(groups(params, decays), base, rho=config["sam_rho"], adaptive=adaptive, **args)

    return torch_case(config, make, lr_decay)


def lbfgs_case(**config):
    """Full batch: the function of `valley` with decay in it."""
    config = {"rule": "lbfgs", "lr": 1.0, "weight_decay": 0.0, **config}
    theta = torch.tensor(start(), requires_grad=True)
    opt = torch.optim.LBFGS([theta], lr=config["lr"], max_iter=1, max_eval=26,
                            history_size=config.get("history", 10), line_search_fn="strong_wolfe")
    seen = {}

    def closure():
        opt.zero_grad()
        loss = valley(theta) + 0.5 * config["weight_decay"] * (theta**2).sum()
        loss.backward()
        return loss

    for step in range(STEPS):
        opt.step(closure)
        if step + 1 in (2, STEPS):
            seen[step + 1] = theta.detach().numpy().copy()
    return result(config, 1.0, seen)


def valley(t):
    """Curved, with curvatures over a factor of some hundred."""
    scale = torch.tensor(0.5 + 4.0 * (INDEX % 7) ** 2)
    target = torch.tensor(np.sin(INDEX + 1.0))
    return (0.5 * scale * (t - target) ** 2).sum() + (torch.roll(t, -1) - t**2).pow(2).sum()


ADAM = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
O = torch.optim


def sgd(**c):
    c = {"rule": "sgd", "lr": 0.1, "momentum": 0.9, "dampening": 0.0, "nesterov": True, **c}
    return simple(c, O.SGD, 0.95, c["weight_decay"] if c.get("decay") == "l1" else 0.0)


def lars(**c):
    c = {"rule": "lars", "lr": 0.5, "momentum": 0.9, "nesterov": False, "trust_coefficient": 0.1,
         "decay_on": "weights", **c}
    return simple(c, po.LARS, 0.95)


def lamb(**c):
    c = {"rule": "lamb", "lr": 0.02, "beta1": 0.9, "beta2": 0.99, "eps": 1e-6, **c}
    return optax_case(c, lambda lr: optax.lamb(lr, c["beta1"], c["beta2"], c["eps"],
                                               weight_decay=c["weight_decay"]), 0.95)


def lion(**c):
    c = {"rule": "lion", "lr": 0.01, "beta1": 0.9, "beta2": 0.99, **c}
    return optax_case(c, lambda lr: optax.lion(lr, c["beta1"], c["beta2"],
                                               weight_decay=c["weight_decay"]), 0.95)


def adan(**c):
    c = {"rule": "adan", "lr": 0.02, "beta1": 0.98, "beta2": 0.92, "beta3": 0.99, "eps": 1e-8, **c}
    return simple(c, po.Adan, 0.95)


def ademamix(**c):
    c = {"rule": "ademamix", **ADAM, "beta3": 0.9999, "slow_weight": 5.0, **c}
    names = {"slow_weight": "alpha", "slow_warmup_steps": "t_alpha_beta3"}
    return simple(c, po.AdEMAMix, 0.95, names=names, weight_decouple=True)


def adopt_case(decouple, **c):
    c = {"rule": "adopt", "lr": 0.02, "beta1": 0.9, "beta2": 0.99, "eps": 1e-6,
         "decay": "decoupled" if decouple else "coupled", **c}
    return simple(c, adopt.ADOPT, 0.95, decouple=decouple, foreach=False)


def mars_case(**c):
    c = {"rule": "mars", "lr": 0.01, "beta1": 0.95, "beta2": 0.99, "eps": 1e-8, "gamma": 0.025,
         "adamw_lr": 0.02, "adamw_beta1": 0.9, "adamw_beta2": 0.95, "weight_decay": 0.1, **c}
    return with_matrices(lambda: torch_case(c, lambda p, d: mars.MARS(
        p, lr=c["lr"], betas=(c["beta1"], c["beta2"]), eps=c["eps"], gamma=c["gamma"],
        weight_decay=c["weight_decay"], lr_1d=c["adamw_lr"],
        betas_1d=(c["adamw_beta1"], c["adamw_beta2"]), weight_decay_1d=c["weight_decay"]), 0.95))


def prodigy(**c):
    c = {"rule": "prodigy", "lr": 1.0, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "d0": 1e-3, **c}
    own = {"bias_correction": "use_bias_correction"}
    return simple(c, prodigyopt.Prodigy, 0.95, names=own, decouple=c.get("decay") != "coupled")



sys.stdout, out = sys.stderr, sys.stdout  # prodigyopt prints
cases = [
    sgd(weight_decay=0.01),
    sgd(weight_decay=0.02, decay="l1"),
    simple({"rule": "adam", **ADAM, "weight_decay": 0.05}, O.Adam, 0.95),
    simple({"rule": "adam", **ADAM, "weight_decay": 0.02, "decay": "l1"}, O.Adam, l1=0.02),
    simple({"rule": "adamw", **ADAM, "weight_decay": 0.1, "decay_on": "weights"}, O.AdamW, 0.95),
    simple({"rule": "rmsprop", "lr": 0.01, "alpha": 0.9, "eps": 1e-8, "momentum": 0.5,
            "centered": True, "weight_decay": 0.01}, O.RMSprop),
    simple({"rule": "adagrad", "lr": 0.1, "weight_decay": 0.0}, O.Adagrad),
    simple({"rule": "adagrad", "lr": 0.1, "lr_decay": 0.1, "initial_accumulator": 0.2, "eps": 1e-3,
            "weight_decay": 0.05}, O.Adagrad, 0.95,
           names={"initial_accumulator": "initial_accumulator_value"}),
    simple({"rule": "adadelta", "lr": 1.0, "weight_decay": 0.0}, O.Adadelta),
    simple({"rule": "adadelta", "lr": 2.0, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.05},
           O.Adadelta, 0.95),
    simple({"rule": "nadam", **ADAM, "weight_decay": 0.0}, O.NAdam),
    simple({"rule": "nadam", **ADAM, "momentum_decay": 0.05, "weight_decay": 0.05}, O.NAdam, 0.95),
    simple({"rule": "radam", **ADAM, "weight_decay": 0.0}, O.RAdam),
    simple({"rule": "radam", **{**ADAM, "beta2": 0.9}, "weight_decay": 0.05}, O.RAdam, 0.95),
    lion(weight_decay=0.0),
    lion(weight_decay=0.1, beta2=0.9),
    muon_case(),
    muon_case(0.95, decay_on="weights"),
    torch_muon_case(),
    soap_case(),
    soap_case(0.95, max_dim=3, precondition_frequency=2, weight_decay=0.0),
    shampoo_case(1),
    shampoo_case(3, 0.95, weight_decay=0.05),
    sophia_case(),
    sophia_case(0.95, gamma=2.0, weight_decay=0.0),
    adan(weight_decay=0.0),
    adan(weight_decay=0.1),
    ademamix(weight_decay=0.0),
    ademamix(weight_decay=0.1, slow_warmup_steps=8),
    mars_case(),
    adopt_case(True, weight_decay=0.1),
    adopt_case(False, weight_decay=0.1),
    prodigy(weight_decay=0.0),
    prodigy(weight_decay=0.1, bias_correction=True, safeguard_warmup=True, growth_rate=1.5),
    prodigy(weight_decay=0.05, decay="coupled", d_coef=2.0),
    schedule_free_case(schedulefree.SGDScheduleFree, rule="schedule_free_sgd", lr=0.3, momentum=0.9,
                       weight_decay=0.0),
    schedule_free_case(schedulefree.SGDScheduleFree, 0.95, rule="schedule_free_sgd", lr=0.5,
                       momentum=0.8, weight_decay=0.05, warmup_steps=6, r=1.0, weight_lr_power=1.0),
    schedule_free_case(schedulefree.AdamWScheduleFree, rule="schedule_free_adamw", lr=0.05, beta1=0.9,
                       beta2=0.999, weight_decay=0.0),
    schedule_free_case(schedulefree.AdamWScheduleFree, 0.95, rule="schedule_free_adamw", lr=0.05,
                       beta1=0.95, beta2=0.9, weight_decay=0.1, warmup_steps=6, decay_on="weights"),
    lars(weight_decay=0.0),
    lars(weight_decay=0.1, nesterov=True),
    lamb(weight_decay=0.0),
    lamb(weight_decay=0.1),
    sam_case(O.SGD, rule="sgd", lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    sam_case(O.SGD, 0.95, rule="sgd", lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01,
             adaptive=True, sam_rho=0.5),
    sam_case(O.AdamW, rule="adamw", lr=0.01, weight_decay=0.1, sam_rho=0.2),
    lbfgs_case(),
    lbfgs_case(weight_decay=0.1, history=4),
]
sys.stdout = out
print(json.dumps({"torch": torch.__version__, "cases": cases}, separators=(",", ":")).replace(
    "},{", "},\n{"))
