#!/usr/bin/env python3
"""Differentiates the policy-gradient learners' losses with JAX and compares the gradients.

usage: linear_oracle.py LINEAR_GRADIENTS [--seeds N]

LINEAR_GRADIENTS (tests/oracle/linear_gradients.cpp) prints random inputs and what the learners make
of them in float64. Here the losses are written down from the papers and differentiated by JAX:

1. mappo's policy loss: clipped surrogate and entropy, softmax and Gaussian, own and shared policies;
   its value loss, with and without clipping, on global vectors and own features; generalized
   advantages by their definition as a sum, with the ends of episodes and the normalization.
2. coma's policy loss, with the counterfactual advantage computed here and held constant.
3. the score and the entropy's gradient of both policies, which actor_critic and reinforce follow.
4. Adam (Kingma and Ba 2015, algorithm 1) and plain steps, with the gradient's norm cut down.

Tolerance: 1e-11, relative to the largest entry where it is above 1.

Exit status: 0 all equal, 1 a difference, 77 a package is missing.
"""
import argparse
import json
import subprocess
import sys

try:
    import jax
    import jax.numpy as jnp
    import numpy as np
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")

TOLERANCE = 1e-11
compared = 0
worst = 0.0
differences = []


def compare(what, ours, theirs):
    global compared, worst
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    if ours.shape != theirs.shape:
        differences.append(f"{what}: shapes {ours.shape} and {theirs.shape}")
        return
    scale = max(1.0, float(np.max(np.abs(theirs), initial=0.0)))
    error = float(np.max(np.abs(ours - theirs), initial=0.0)) / scale
    compared += ours.size
    worst = max(worst, error)
    if not error <= TOLERANCE:
        differences.append(f"{what}: off by {error:.3g}")


def log_probability(w, real, x, chosen):
    if real:
        return jax.scipy.stats.norm.logpdf(chosen, w["rows"][0] @ x, jnp.exp(w["log_std"]))
    return jax.nn.log_softmax(w["rows"] @ x)[chosen.astype(int)]


def entropy(w, real, x):
    if real:
        return 0.5 * jnp.log(2 * jnp.pi * jnp.e) + w["log_std"]
    logs = jax.nn.log_softmax(w["rows"] @ x)
    return -jnp.sum(jnp.exp(logs) * logs)


def arrays(weights):
    return {"rows": jnp.array(weights["rows"]), "log_std": jnp.array(weights["log_std"])}


def compare_policy(what, ours, theirs, real):
    compare(f"{what}, rows", ours["rows"], theirs["rows"])
    if real:
        compare(f"{what}, log_std", ours["log_std"], theirs["log_std"])


def advantages(case):
    """The sum over later errors, to the end of the episode or of the record."""
    reward, value, following = (np.array(case[k]) for k in ("reward", "value", "next"))
    steps = len(reward)
    after = following.copy()
    last = np.zeros(steps, bool)
    for k in range(steps):
        last[k] = k + 1 == steps or case["episode"][k] != "goes_on"
        if case["episode"][k] == "ended":
            after[k] = 0
        elif not last[k]:
            after[k] = value[k + 1]
    delta = reward + case["gamma"] * after - value
    out = np.zeros_like(delta)
    for k in range(steps):
        for j in range(k, steps):
            out[k] += (case["gamma"] * case["lambda"]) ** (j - k) * delta[j]
            if last[j]:
                break
    targets = out + value
    if case["normalize"]:
        axis = None if case["shared"] else 0
        out = (out - out.mean(axis=axis)) / (out.std(axis=axis) + 1e-5)
    return out, targets


def check_mappo(number, case):
    name = f"mappo {number}"
    real, clip = case["real"], case["clip"]
    x, chosen = jnp.array(case["x"]), jnp.array(case["chosen"])
    old = jnp.array(case["log_probability"])
    wanted, targets = advantages(case)
    compare(f"{name}, advantages", case["advantage"], wanted)
    compare(f"{name}, targets", case["target"], targets)
    advantage, target = jnp.array(case["advantage"]), jnp.array(case["target"])
    agents = x.shape[1]

    def policy_loss(w, mine):
        def one(x, chosen, old, advantage):
            ratio = jnp.exp(log_probability(w, real, x, chosen) - old)
            bounded = jnp.clip(ratio, 1 - clip, 1 + clip)
            surrogate = jnp.minimum(ratio * advantage, bounded * advantage)
            return -surrogate - case["entropy"] * entropy(w, real, x)

        over_steps = jax.vmap(jax.vmap(one))
        return jnp.mean(over_steps(x[:, mine], chosen[:, mine], old[:, mine], advantage[:, mine]))

    everybody = np.arange(agents)
    for s, policy in enumerate(case["policies"]):
        mine = everybody if case["shared"] else np.array([s])
        gradient = jax.grad(policy_loss)(arrays(policy["weights"]), mine)
        compare_policy(f"{name}, policy {s}", policy["gradient"], gradient, real)

    was = jnp.array(case["value"])

    def value_loss(w, mine):
        if case["central"]:
            value = (jnp.array(case["global"]) @ w)[:, None]
        else:
            value = x[:, mine] @ w
        loss = (value - target[:, mine]) ** 2
        if case["value_clip"] > 0:
            near = was[:, mine] + jnp.clip(
                value - was[:, mine], -case["value_clip"], case["value_clip"])
            loss = jnp.where(
                (near - target[:, mine]) ** 2 > loss, (near - target[:, mine]) ** 2, loss)
        return jnp.mean(loss) / 2

    for s, value in enumerate(case["values"]):
        mine = everybody if len(case["values"]) == 1 else np.array([s])
        gradient = jax.grad(value_loss)(jnp.array(value["weights"]), mine)
        compare(f"{name}, value {s}", value["gradient"], gradient)


def check_coma(number, case):
    x, state = jnp.array(case["x"]), jnp.array(case["global"])
    chosen = jnp.array(case["chosen"]).astype(int)
    steps = np.arange(len(state))
    for i, agent in enumerate(case["agents"]):
        rows = jnp.array(agent["critic_global"])
        joint = jnp.array(agent["critic_actions"])
        q = state @ rows.T + joint.T[chosen[:, 1 - i]]

        def loss(w):
            logs = jax.nn.log_softmax(x[:, i] @ w["rows"].T)
            pi = jnp.exp(logs)
            held = jax.lax.stop_gradient(
                q[steps, chosen[:, i]] - jnp.sum(pi * q, axis=1))
            entropies = -jnp.sum(pi * logs, axis=1)
            return -jnp.mean(held * logs[steps, chosen[:, i]] + case["entropy"] * entropies)

        gradient = jax.grad(loss)(arrays(agent["weights"]))
        compare_policy(f"coma {number}, agent {i}", agent["gradient"], gradient, False)


def check_score(number, case):
    x, chosen, w = jnp.array(case["x"]), jnp.array(case["chosen"]), arrays(case["weights"])
    real = case["real"]
    name = f"score {number}"
    compare(f"{name}, value", case["log_probability"], log_probability(w, real, x, chosen))
    gradient = jax.grad(log_probability)(w, real, x, chosen)
    compare_policy(name, case["score"], gradient, real)
    compare_policy(f"{name}, entropy", case["entropy_gradient"],
                   jax.grad(entropy)(w, real, x), real)


def check_optimizer(number, case):
    w = np.array(case["start"])
    m, v = np.zeros_like(w), np.zeros_like(w)
    for k, (g, ours) in enumerate(zip(np.array(case["gradients"]), case["weights"]), start=1):
        norm = np.linalg.norm(g)
        if case["max_norm"] > 0 and norm > case["max_norm"]:
            g = g * case["max_norm"] / norm
        if case["adam"]:
            m = case["beta1"] * m + (1 - case["beta1"]) * g
            v = case["beta2"] * v + (1 - case["beta2"]) * g * g
            mean = m / (1 - case["beta1"] ** k)
            square = v / (1 - case["beta2"] ** k)
            w = w - case["alpha"] * mean / (np.sqrt(square) + case["epsilon"])
        else:
            w = w - case["alpha"] * g
        compare(f"optimizer {number}, step {k}", ours, w)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    checks = {"mappo": check_mappo, "coma": check_coma, "score": check_score,
              "optimizer": check_optimizer}
    for seed in range(1, arguments.seeds + 1):
        text = subprocess.run([arguments.program, str(seed)], check=True, capture_output=True,
                              text=True).stdout
        cases = json.loads(text)
        for kind, check in checks.items():
            for number, case in enumerate(cases[kind]):
                check(f"{seed}.{number}", case)
    for one in differences[:20]:
        print("DIFFERENT:", one)
    print(f"{compared} numbers compared, {len(differences)} differences, "
          f"worst relative error {worst:.2g}")
    return 1 if differences or compared == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
