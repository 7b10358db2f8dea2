#!/usr/bin/env python3
"""Time of one training iteration of QMIX in other libraries, beside bench/mixing_iteration.cpp.

usage: mixing_peers.py [--ours PROGRAM] [--programs jax,torch] [--threads N]
                       [--torch-threads N] [--fused ROWS] [AGENTS...]

One iteration: a batch of 32 episodes x 50 steps out of a replay of 64, double-Q targets, QMIX
(embed 32, two-layer hypernetworks of 64, state 64), shared utilities of 64 hidden units over 32
features and the agent's number, 8 actions, mean squared error, gradient clipped at norm 10,
RMSprop. In float32:
  jax    one jitted function on XLA's CPU backend, arguments donated
  torch  PyTorch on the CPU, eager, written as PyMARL writes it, with one thread or all, as is
         faster
both on the cores that they find (or --threads); each without its start-up and compilation. Prints a
line of JSON for each (with --fused ROWS: of JAX alone, on the device that it finds, the mixing
network of that many samples, forward and backward): median and least of 31 times, and the median of
the processor time that all threads took, which says more where other programs run. What is not
installed is left out, with the reason.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--ours", help="the program mixing_iteration, to be run as well")
parser.add_argument("--programs", default="jax,torch", help="separated by commas")
parser.add_argument("--threads", type=int, default=0, help="0: all cores")
parser.add_argument("--torch-threads", type=int, default=0, help="0: one or all, as is faster")
parser.add_argument("--fused", type=int, default=0, help="samples of the mixing network alone")
parser.add_argument("agents", type=int, nargs="*", default=[2, 4, 8])
arguments = parser.parse_args()
programs = arguments.programs.split(",")
if not set(programs) <= {"jax", "torch"}:
    parser.error(f"--programs: jax, torch or both, separated by commas, not {arguments.programs}")
cores = arguments.threads or len(os.sched_getaffinity(0))
if arguments.threads:
    os.sched_setaffinity(0, set(list(os.sched_getaffinity(0))[:cores]))

import numpy as np  # noqa: E402  (after the cores are set)

EPISODES, LENGTH, KEPT, FEATURES, STATE, ACTIONS = 32, 50, 64, 32, 64, 8
HIDDEN, EMBED, WIDTH = 64, 32, 64
GAMMA, ALPHA, DECAY, EPSILON, MAX_NORM = 0.99, 5e-4, 0.99, 1e-5, 10.0


def replay(agents):
    rng = np.random.default_rng(1)
    return {
        "x": rng.uniform(-1, 1, (KEPT, LENGTH + 1, agents, FEATURES)).astype(np.float32),
        "state": rng.uniform(-1, 1, (KEPT, LENGTH + 1, STATE)).astype(np.float32),
        "action": rng.integers(0, ACTIONS, (KEPT, LENGTH, agents)),
        "reward": np.full((KEPT, LENGTH), 0.1, np.float32),
        "ended": np.concatenate([np.zeros((KEPT, LENGTH - 1)), np.ones((KEPT, 1))], 1).astype(
            np.float32
        ),
    }


def parameters(agents):
    rng = np.random.default_rng(2)
    shapes = {
        "u1": (FEATURES + agents, HIDDEN),
        "u1b": (HIDDEN,),
        "u2": (HIDDEN, ACTIONS),
        "u2b": (ACTIONS,),
        "a1": (STATE, WIDTH),
        "a1b": (WIDTH,),
        "a2": (WIDTH, agents * EMBED),
        "a2b": (agents * EMBED,),
        "f1": (STATE, WIDTH),
        "f1b": (WIDTH,),
        "f2": (WIDTH, EMBED),
        "f2b": (EMBED,),
        "b": (STATE, EMBED),
        "bb": (EMBED,),
        "v1": (STATE, EMBED),
        "v1b": (EMBED,),
        "v2": (EMBED, 1),
        "v2b": (1,),
    }
    return {
        k: rng.uniform(-1, 1, s).astype(np.float32) / np.sqrt(np.float32(s[0]))
        for k, s in shapes.items()
    }


def measured(name, agents, iteration):
    """What is printed of an iteration: times in milliseconds."""
    for _ in range(5):
        iteration()
    times, used = [], []
    for _ in range(31):
        begin, begin_used = time.perf_counter(), time.process_time()
        iteration()
        times.append((time.perf_counter() - begin) * 1000)
        used.append((time.process_time() - begin_used) * 1000)
    times.sort()
    used.sort()
    return {
        "program": name,
        "agents": agents,
        "ms": round(times[15], 3),
        "least_ms": round(times[0], 3),
        "cpu_ms": round(used[15], 3),
        "cores": cores,
    }


def report(*what):
    print(json.dumps(measured(*what)), flush=True)


def time_jax(agents):
    import jax
    import jax.numpy as jnp

    def utilities(w, x):
        number = jnp.broadcast_to(jnp.eye(agents), x.shape[:-1] + (agents,))
        hidden = jax.nn.relu(jnp.concatenate([x, number], -1) @ w["u1"] + w["u1b"])
        return hidden @ w["u2"] + w["u2b"]

    def mix(w, state, q):
        first = jax.nn.relu(state @ w["a1"] + w["a1b"]) @ w["a2"] + w["a2b"]
        first = jnp.abs(first).reshape(first.shape[:-1] + (agents, EMBED))
        last = jnp.abs(jax.nn.relu(state @ w["f1"] + w["f1b"]) @ w["f2"] + w["f2b"])
        hidden = jax.nn.elu(jnp.einsum("bta,btae->bte", q, first) + state @ w["b"] + w["bb"])
        value = jax.nn.relu(state @ w["v1"] + w["v1b"]) @ w["v2"] + w["v2b"]
        return (hidden * last).sum(-1) + value[..., 0]

    def loss(w, target, batch):
        q = utilities(w, batch["x"])
        later = utilities(target, batch["x"][:, 1:])
        best = jnp.argmax(jax.lax.stop_gradient(q[:, 1:]), -1)
        later = jnp.take_along_axis(later, best[..., None], -1)[..., 0]
        chosen = jnp.take_along_axis(q[:, :-1], batch["action"][..., None], -1)[..., 0]
        total = mix(w, batch["state"][:, :-1], chosen)
        wanted = batch["reward"] + GAMMA * (1 - batch["ended"]) * mix(
            target, batch["state"][:, 1:], later
        )
        return ((total - jax.lax.stop_gradient(wanted)) ** 2).mean()

    def step(w, square, target, kept, picks):
        batch = {k: v[picks] for k, v in kept.items()}
        g = jax.grad(loss)(w, target, batch)
        norm = jnp.sqrt(sum((v * v).sum() for v in g.values()))
        g = {k: v * jnp.minimum(1.0, MAX_NORM / norm) for k, v in g.items()}
        square = {k: DECAY * v + (1 - DECAY) * g[k] ** 2 for k, v in square.items()}
        return {k: v - ALPHA * g[k] / (jnp.sqrt(square[k]) + EPSILON) for k, v in w.items()}, square

    step = jax.jit(step, donate_argnums=(0, 1))
    kept = {k: jnp.asarray(v) for k, v in replay(agents).items()}
    state = [{k: jnp.asarray(v) for k, v in parameters(agents).items()}]
    state.append({k: jnp.zeros_like(v) for k, v in state[0].items()})
    target = {k: jnp.asarray(v) for k, v in parameters(agents).items()}
    picks = jnp.arange(EPISODES)

    def iteration():
        state[:] = step(state[0], state[1], target, kept, picks)
        jax.block_until_ready(state)

    report("jax " + jax.__version__, agents, iteration)


def time_torch(agents):
    import torch

    torch.set_num_threads(arguments.torch_threads)
    f = torch.nn.functional
    kept = {k: torch.from_numpy(v) for k, v in replay(agents).items()}
    w = {k: torch.from_numpy(v).requires_grad_() for k, v in parameters(agents).items()}
    target = {k: torch.from_numpy(v) for k, v in parameters(agents).items()}
    optimizer = torch.optim.RMSprop(list(w.values()), lr=ALPHA, alpha=DECAY, eps=EPSILON)

    def utilities(w, x):
        number = torch.eye(agents).expand(x.shape[:-1] + (agents,))
        return f.relu(torch.cat([x, number], -1) @ w["u1"] + w["u1b"]) @ w["u2"] + w["u2b"]

    def mix(w, state, q):
        state, q = state.reshape(-1, STATE), q.reshape(-1, 1, agents)
        first = (
            (f.relu(state @ w["a1"] + w["a1b"]) @ w["a2"] + w["a2b"]).abs().view(-1, agents, EMBED)
        )
        last = (f.relu(state @ w["f1"] + w["f1b"]) @ w["f2"] + w["f2b"]).abs().view(-1, EMBED, 1)
        hidden = f.elu(torch.bmm(q, first) + (state @ w["b"] + w["bb"]).view(-1, 1, EMBED))
        value = f.relu(state @ w["v1"] + w["v1b"]) @ w["v2"] + w["v2b"]
        return (torch.bmm(hidden, last).view(-1, 1) + value).view(EPISODES, -1)

    def iteration():
        batch = {k: v[:EPISODES] for k, v in kept.items()}
        q = utilities(w, batch["x"])
        chosen = torch.gather(q[:, :-1], 3, batch["action"].unsqueeze(3)).squeeze(3)
        with torch.no_grad():
            best = q[:, 1:].argmax(3, keepdim=True)
            later = torch.gather(utilities(target, batch["x"][:, 1:]), 3, best).squeeze(3)
            wanted = batch["reward"] + GAMMA * (1 - batch["ended"]) * mix(
                target, batch["state"][:, 1:], later
            )
        loss = ((mix(w, batch["state"][:, :-1], chosen) - wanted) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(w.values()), MAX_NORM)
        optimizer.step()

    with open("/proc/self/maps", encoding="utf-8") as file:
        libraries = file.read()
    if "libblas.so" in libraries and not re.search("openblas|mkl|blis", libraries):
        raise ImportError(
            "its matrix products are those of the reference BLAS (Debian: install libopenblas0)"
        )
    report("torch " + torch.__version__, agents, iteration)


def time_torch_threads(agents):
    """PyTorch and its BLAS with one thread, and with one a core, each in a process of its own: the
    faster."""
    lines = []
    for threads in map(str, sorted({1, cores})):
        command = [
            sys.executable,
            __file__,
            "--programs",
            "torch",
            "--torch-threads",
            threads,
            str(agents),
        ]
        own = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        lines.append(
            json.loads(subprocess.run(command, env=own, check=True, stdout=subprocess.PIPE).stdout)
        )
    print(json.dumps(min(lines, key=lambda line: line.get("ms", 0))), flush=True)


def time_fused(agents):
    """Joint values, loss, and gradients in the utilities and in all parameters of the mixing
    network."""
    import jax
    import jax.numpy as jnp

    w = {k: jnp.asarray(v) for k, v in parameters(agents).items() if not k.startswith("u")}
    rng = np.random.default_rng(3)
    state = jnp.asarray(rng.uniform(-1, 1, (arguments.fused, STATE)).astype(np.float32))
    q = jnp.asarray(rng.uniform(-1, 1, (arguments.fused, agents)).astype(np.float32))
    target = jnp.asarray(rng.uniform(-1, 1, arguments.fused).astype(np.float32))

    def loss(w, q):
        first = jax.nn.relu(state @ w["a1"] + w["a1b"]) @ w["a2"] + w["a2b"]
        first = jnp.abs(first).reshape(-1, agents, EMBED)
        last = jnp.abs(jax.nn.relu(state @ w["f1"] + w["f1b"]) @ w["f2"] + w["f2b"])
        hidden = jax.nn.elu(jnp.einsum("ba,bae->be", q, first) + state @ w["b"] + w["bb"])
        value = jax.nn.relu(state @ w["v1"] + w["v1b"]) @ w["v2"] + w["v2b"]
        total = (hidden * last).sum(-1) + value[:, 0]
        return ((total - target) ** 2).mean(), total

    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    report(
        f"jax {jax.__version__} {jax.devices()[0].platform}, {arguments.fused} rows",
        agents,
        lambda: jax.block_until_ready(step(w, q)),
    )


for count in arguments.agents:
    torch_way = time_torch if arguments.torch_threads else time_torch_threads
    chosen = [{"jax": time_jax, "torch": torch_way}[name] for name in programs]
    for one in (time_fused,) if arguments.fused else chosen:
        try:
            one(count)
        except ImportError as error:
            print(
                json.dumps({"program": one.__name__.split("_")[1], "left out": str(error)}),
                flush=True,
            )
    if arguments.ours:
        subprocess.run(
            [
                arguments.ours,
                *(["--fused", str(arguments.fused)] if arguments.fused else []),
                str(count),
            ],
            check=True,
        )
