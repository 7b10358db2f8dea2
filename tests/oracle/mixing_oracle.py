#!/usr/bin/env python3
"""Differentiates value decomposition losses with JAX in float64 and compares with the kernels.

usage: mixing_oracle.py MIXING_PROBE [--cases N] [--seed S]

MIXING_PROBE (tests/oracle/mixing_probe.cpp) draws N random shapes (agents 1 to 16,
actions 2 to 32, state 1 to 256, embed 1 to 64) of IQL, VDN, QMIX (one and two hypernetwork layers, ELU
and ReLU) and QTRAN (base and alt), with linear, one-layer and recurrent (GRU) utilities, in float64 and
float32, and writes weights, replays, joint values, the loss and its gradient. Here the loss is written down from the papers and differentiated by JAX.

Allowed: float64 1e-10 of the largest entry of the same matrix's gradient and of 1 (joint values, loss:
of their size and of 1); float32 1e-5 of the largest entry of the whole gradient and of 1. In float32 a case is left out where a ReLU, an absolute value
or a choice of the best action is nearer than 2e-6 to tipping over, since rounding decides there; more
than a fifth of them left out is a failure.

Exit status: 0 all equal, 1 a difference, 77 a tool is missing.
"""
import argparse
import json
import subprocess
import sys

try:
    import jax
    import jax.numpy as jnp
    import numpy as np
except ImportError as error:
    print(f"SKIP: {error} (pip install -r tests/oracle/requirements.txt)")
    sys.exit(77)
jax.config.update("jax_enable_x64", True)

# Everything is put into arrays of one size, zeros elsewhere, so that JAX compiles few programs.
AGENTS, ACTIONS, FEATURES, STATE, HIDDEN, EMBED, WIDTH, STEPS = 16, 32, 32, 256, 64, 64, 128, 25
GAMMA = 0.9
GATE_MATRICES = [f"{gate}_{of}" for gate in ("reset", "update", "candidate") for of in ("input", "state")]
GATE_BIASES = ["reset_bias", "update_bias", "candidate_bias", "candidate_state_bias"]


class Margins:
    """The smallest distances to a kink."""

    def __init__(self):
        self.least = jnp.inf

    def zero(self, x, counts=True):
        size = jnp.where(counts & (x != 0), jnp.abs(x), jnp.inf)
        self.least = jnp.minimum(self.least, jnp.min(size))


def relu(x, margins):
    margins.zero(x)
    return jax.nn.relu(x)


def utilities(w, data, margins):
    """[steps][agents][actions] of what is seen at each step, and of what follows it."""
    linear, recurrent = data["linear"], data["recurrent"]

    def hidden(x):
        first = jnp.einsum("taf,afh->tah", x, w["input"]) + w["number"]
        margins.zero(first, ~linear)
        return jnp.where(linear, first, jax.nn.relu(first))

    def gated(h, e):
        """The unit's next state, by the equations of Cho et al. 2014 with r behind the product."""
        def gate(name):
            return (jnp.einsum("ah,ahk->ak", e, w[name + "_input"]) + w[name + "_bias"],
                    jnp.einsum("ah,ahk->ak", h, w[name + "_state"]))
        r, z = (jax.nn.sigmoid(sum(gate(name))) for name in ("reset", "update"))
        seen, remembered = gate("candidate")
        y = jnp.tanh(seen + r * (remembered + w["candidate_state_bias"]))
        return (1 - z) * y + z * h

    def unroll(h, step):
        e, later_e, is_first = step
        h = gated(jnp.where(is_first > 0, 0.0, h), e)
        return h, (h, gated(h, later_e))

    now, later = hidden(data["x"]), hidden(data["next_x"])
    _, (now_h, later_h) = jax.lax.scan(unroll, jnp.zeros((AGENTS, HIDDEN)),
                                       (now, later, data["first"]))
    now, later = jnp.where(recurrent, now_h, now), jnp.where(recurrent, later_h, later)
    return tuple(jnp.einsum("tah,aho->tao", h, w["output"]) + w["output_bias"] for h in (now, later))


def qmix(w, state, q, deep, use_relu, margins):
    if deep:
        mixing = jnp.einsum("th,hae->tae", relu(state @ w["mixing_hidden"], margins), w["mixing"])
        mixing = mixing + w["mixing_bias"]
        final = relu(state @ w["final_hidden"], margins) @ w["final"] + w["final_bias"]
    else:
        mixing = jnp.einsum("ts,sae->tae", state, w["mixing"])
        final = state @ w["final"]
    margins.zero(mixing)
    margins.zero(final)
    pre = jnp.einsum("ta,tae->te", q, jnp.abs(mixing)) + state @ w["shift"]
    margins.zero(pre, use_relu)
    hidden = jnp.where(use_relu, jax.nn.relu(pre), jax.nn.elu(pre))
    value = relu(state @ w["value_hidden"], margins) @ w["value"] + w["value_bias"]
    return (hidden * jnp.abs(final)).sum(1) + value


def qtran_joint(w, state, action_hot, margins):
    pre = state @ w["joint_hidden"] + jnp.einsum("tao,aoh->th", action_hot, w["action"])
    return relu(pre, margins) @ w["joint"] + w["joint_bias"]


def joint_value(kind, w, state, q, hot, use_relu, margins):
    if kind == "vdn":
        return q.sum(1)
    if kind == "qtran":
        return qtran_joint(w, state, hot, margins)
    return qmix(w, state, q, kind == "qmix2", use_relu, margins)


def best(q, there, margins):
    """One-hot greedy actions."""
    q = jnp.where(there, q, -jnp.inf)
    top = jnp.max(q, 2, keepdims=True)
    hot = jax.nn.one_hot(jnp.argmax(q, 2), ACTIONS)
    gap = jnp.where(jnp.isfinite(q) & (hot == 0), top - q, jnp.inf)
    margins.least = jnp.minimum(margins.least, jnp.min(gap))
    return hot


def loss_of(kind, w, target, data):
    margins = Margins()
    share = data["step"] / data["step"].sum()
    there = data["there"]
    use_relu = data["use_relu"]
    q, chooser = utilities(w, data, margins)
    _, later_q = utilities(target, data, margins)
    chooser = jnp.where(data["double_q"], chooser, later_q)
    later_hot = best(jax.lax.stop_gradient(chooser), there, margins)
    later_hot = later_hot * data["agent"][None, :, None]
    if kind == "iql":
        goes_on = (GAMMA * (1 - data["ended"]))[:, None]
        wanted = data["reward"][:, None] + goes_on * jax.lax.stop_gradient((later_q * later_hot).sum(2))
        errors = data["agent"] * ((q * data["hot"]).sum(2) - wanted)
        return (share * (errors**2).sum(1)).sum(), (jnp.zeros(STEPS), margins.least)
    later = joint_value(kind, target, data["next_state"], (later_q * later_hot).sum(2), later_hot,
                        use_relu, margins)
    hot = data["hot"]
    total = joint_value(kind, w, data["state"], (q * hot).sum(2), hot, use_relu, margins)
    wanted = data["reward"] + GAMMA * (1 - data["ended"]) * jax.lax.stop_gradient(later)
    loss = (share * (total - wanted) ** 2).sum()
    if kind == "qtran":
        held = jax.lax.stop_gradient
        value = relu(data["state"] @ w["value_hidden"], margins) @ w["value"] + w["value_bias"]
        greedy = best(held(q), there, margins) * data["agent"][None, :, None]
        at_best = (q * greedy).sum((1, 2)) - held(qtran_joint(w, data["state"], greedy, margins))
        loss += data["opt"] * (share * (at_best + value) ** 2).sum()
        taken = (q * hot).sum(2)
        base = taken.sum(1) - held(total) + value
        margins.zero(base, data["step"] > 0)
        base_loss = (share * jnp.minimum(base, 0) ** 2).sum()
        # u with agent i's action replaced by each of its actions
        pre = data["state"] @ w["joint_hidden"] + jnp.einsum("tao,aoh->th", hot, w["action"])
        own = jnp.einsum("tao,aoh->tah", hot, w["action"])
        other = pre[:, None, None] - own[:, :, None] + w["action"][None]
        joint = jax.nn.relu(other) @ w["joint"] + w["joint_bias"]
        margins.zero(other, (data["step"] > 0)[:, None, None, None] & there[None, :, :, None])
        d = q - taken[:, :, None] + taken.sum(1)[:, None, None] - held(joint) + value[:, None, None]
        d = jnp.where(there[None], d, jnp.inf)
        low = jnp.min(d, 2)
        second = jnp.where(jax.nn.one_hot(jnp.argmin(d, 2), ACTIONS) == 1, jnp.inf, d)
        gap = jnp.where((data["agent"][None] * data["step"][:, None]) > 0, second.min(2) - low, jnp.inf)
        margins.least = jnp.where(data["alt"], jnp.minimum(margins.least, gap.min()), margins.least)
        low = jnp.where(data["agent"][None] > 0, low, 0.0)
        alt_loss = (share[:, None] * low**2).sum() / data["agent"].sum()
        loss += data["nopt"] * jnp.where(data["alt"], alt_loss, base_loss)
    return loss, (total, margins.least)


PROGRAMS = {}


def evaluate(kind, w, target, data):
    if kind not in PROGRAMS:
        PROGRAMS[kind] = jax.jit(
            jax.value_and_grad(lambda w, t, d: loss_of(kind, w, t, d), has_aux=True))
    (loss, (total, margin)), gradient = PROGRAMS[kind](w, target, data)
    return float(loss), np.asarray(total), float(margin), {k: np.asarray(v) for k, v in gradient.items()}


def shapes(kind):
    s = {name: (AGENTS, HIDDEN, HIDDEN) for name in GATE_MATRICES}
    s |= {name: (AGENTS, HIDDEN) for name in GATE_BIASES}
    s |= {"input": (AGENTS, FEATURES, HIDDEN), "number": (AGENTS, HIDDEN),
         "output": (AGENTS, HIDDEN, ACTIONS), "output_bias": (AGENTS, ACTIONS)}
    if kind == "qmix2":
        s |= {"mixing_hidden": (STATE, WIDTH), "final_hidden": (STATE, WIDTH),
              "mixing": (WIDTH, AGENTS, EMBED), "mixing_bias": (AGENTS, EMBED),
              "final": (WIDTH, EMBED), "final_bias": (EMBED,)}
    if kind == "qmix1":
        s |= {"mixing": (STATE, AGENTS, EMBED), "final": (STATE, EMBED)}
    if kind.startswith("qmix"):
        s |= {"shift": (STATE, EMBED), "value_hidden": (STATE, EMBED), "value": (EMBED,), "value_bias": ()}
    if kind == "qtran":
        s |= {"joint_hidden": (STATE, WIDTH), "value_hidden": (STATE, WIDTH),
              "action": (AGENTS, ACTIONS, WIDTH), "joint": (WIDTH,), "joint_bias": (),
              "value": (WIDTH,), "value_bias": ()}
    return s


def places(case, kind):
    """For each matrix: its flat entries, and where they are in our arrays: a list, since what agents
    share is in several places."""
    out = []
    for name, agent, at, rows, columns, pitch in case["matrices"]:
        if rows == 0:
            continue
        flat = at + np.arange(rows)[:, None] * pitch + np.arange(columns)[None, :]
        n = case["agents"]
        if name in ("input", "output", "output_bias", "number", *GATE_MATRICES, *GATE_BIASES):
            whose = [agent] if agent >= 0 else range(n)
            if name == "number":
                if case["shared"]:  # also with one agent
                    into = [("number", i, (i, slice(0, columns))) for i in range(n)]
                    for _, i, where in into:
                        out.append((f"number {i}", flat[i], [("number", where)]))
                else:
                    out.append((f"number {agent}", flat[0], [("number", (agent, slice(0, columns)))]))
            elif name == "output_bias" or name in GATE_BIASES:
                out.append((f"{name} {agent}", flat[0], [(name, (i, slice(0, columns))) for i in whose]))
            else:
                out.append((f"{name} {agent}", flat,
                            [(name, (i, slice(0, rows), slice(0, columns))) for i in whose]))
        elif name == "action":
            out.append((f"action {agent}", flat, [("action", (agent, slice(0, rows), slice(0, columns)))]))
        elif name == "mixing":
            out.append((f"mixing {agent}", flat, [("mixing", (slice(0, rows), agent, slice(0, columns)))]))
        elif name == "mixing_bias":
            out.append((f"{name} {agent}", flat[0], [(name, (agent, slice(0, columns)))]))
        elif len(shapes(kind)[name]) == 2:
            out.append((name, flat, [(name, (slice(0, rows), slice(0, columns)))]))
        elif len(shapes(kind)[name]) == 1:
            out.append((name, flat[0], [(name, (slice(0, columns),))]))
        else:
            out.append((name, flat[0, 0], [(name, ())]))
    return out


def spread(case, kind, where, flat):
    w = {name: np.zeros(shape) for name, shape in shapes(kind).items()}
    for _, entries, targets in where:
        for name, at in targets:
            w[name][at] = flat[entries]
    if case["width"] == 0:  # the "hidden" units are the actions
        identity = np.eye(HIDDEN, ACTIONS)
        w["output"] = np.broadcast_to(identity, w["output"].shape).copy()
    return w


def take(numbers, count):
    out, rest = numbers[0][:count], numbers[0][count:]
    numbers[0] = rest
    return out


def check(case, numbers, found):
    numbers = [numbers]
    n, features, state, steps = case["agents"], case["features"], case["state"], case["steps"]
    size = case["size"]
    kind = case["learner"] + (str(case["layers"]) if case["learner"] == "qmix" else "")
    weights, targets = take(numbers, size), take(numbers, size)
    data = {"x": np.zeros((STEPS, AGENTS, FEATURES)), "state": np.zeros((STEPS, STATE)),
            "next_x": np.zeros((STEPS, AGENTS, FEATURES)), "next_state": np.zeros((STEPS, STATE)),
            "hot": np.zeros((STEPS, AGENTS, ACTIONS)), "reward": np.zeros(STEPS),
            "ended": np.zeros(STEPS), "first": np.zeros(STEPS), "recurrent": np.bool_(case["recurrent"]),
            "step": np.zeros(STEPS), "agent": np.zeros(AGENTS),
            "there": np.zeros((AGENTS, ACTIONS), bool), "linear": np.bool_(case["width"] == 0),
            "use_relu": np.bool_(case["activation"] == 1), "double_q": np.bool_(case["double_q"]),
            "alt": np.bool_(case["variant"] == 1), "opt": case["opt"], "nopt": case["nopt"]}
    data["agent"][:n] = 1
    for i, count in enumerate(case["actions"]):
        data["there"][i, :count] = True
    data["there"][n:, 0] = True  # so that a maximum exists
    for t in range(steps):
        for x, s in (("x", "state"), ("next_x", "next_state")):
            data[x][t, :n, :features] = take(numbers, n * features).reshape(n, features)
            data[s][t, :state] = take(numbers, state)
        for i, a in enumerate(take(numbers, n)):
            data["hot"][t, i, int(a)] = 1
        data["reward"][t], data["ended"][t], data["first"][t] = take(numbers, 3)
        data["step"][t] = 1
    total, loss, gradient = take(numbers, steps), take(numbers, 1)[0], take(numbers, size)
    assert numbers[0].size == 0
    where = places(case, kind)
    want_loss, want_total, margin, want = evaluate(
        kind, spread(case, kind, where, weights), spread(case, kind, where, targets), data)
    if not case["float64"] and margin < 2e-6:
        found["left out"] += 1
        return
    allowed = 1e-10 if case["float64"] else 1e-5
    label = f"case {case['case']} {kind} {'float64' if case['float64'] else 'float32'}"

    steepest = max(float(np.max(np.abs(v))) for v in want.values())

    def compare(what, got, wanted):
        scale = max(1.0, float(np.max(np.abs(wanted))))
        if what.startswith("gradient") and not case["float64"]:
            scale = max(scale, steepest)
        error = float(np.max(np.abs(got - wanted))) / scale
        key = "float64" if case["float64"] else "float32"
        found[key] = max(found[key], error)
        found["compared"] += 1
        if not error <= allowed:
            found["wrong"] += 1
            print(f"DIFFERENT: {label}, {what}: {error:.3g}, allowed {allowed:g}")

    if not case["recurrent"]:
        compare("joint values", total, want_total[:steps])
    compare("loss", loss, want_loss)
    rest = gradient.copy()
    moving = 0
    for name, entries, targets_of in where:
        compare(f"gradient of {name}", gradient[entries], sum(want[k][at] for k, at in targets_of))
        moving += np.any(gradient[entries] != 0)
        rest[entries] = 0
    if np.any(rest != 0):
        found["wrong"] += 1
        print(f"DIFFERENT: {label}: padding has a gradient")
    if moving == 0:
        found["wrong"] += 1
        print(f"DIFFERENT: {label}: no gradient at all")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("probe")
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    probe = arguments.probe
    found = {"float64": 0.0, "float32": 0.0, "compared": 0, "wrong": 0, "left out": 0}
    count = 0
    with subprocess.Popen([probe, str(arguments.cases), str(arguments.seed)],
                          stdout=subprocess.PIPE) as process:
        while line := process.stdout.readline():
            case = json.loads(line)
            seen = case["agents"] * case["features"] + case["state"]
            numbers = 3 * case["size"] + case["steps"] * (2 * seen + case["agents"] + 4) + 1
            check(case, np.frombuffer(process.stdout.read(8 * numbers)), found)
            count += 1
    if process.returncode != 0 or count != 2 * arguments.cases:
        print(f"{probe} ended with {process.returncode} after {count} cases")
        return 1
    print(f"{arguments.cases} shapes, {found['compared']} comparisons, largest difference "
          f"{found['float64']:.2g} (float64), {found['float32']:.2g} (float32), "
          f"{found['left out']} float32 cases left out, {found['wrong']} wrong")
    return 1 if found["wrong"] > 0 or found["left out"] > arguments.cases / 5 else 0


if __name__ == "__main__":
    sys.exit(main())
