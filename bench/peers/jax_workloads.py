#!/usr/bin/env python3
"""Workloads in JAX: our own straightforward programs, and environments of JaxMARL and Jumanji.

usage: jax_workloads.py WORKLOAD DEVICE SECONDS      (DEVICE: cpu or cuda)

  matrix, pricing, lbf      written by us, as a careful user would: one jitted function of many
                            steps, vmapped over runs, tables updated in place (donated), random
                            numbers drawn 64 steps at a time
  coin_game, in_the_matrix, overcooked    of JaxMARL: random play through their own step, with its
                            automatic reset. Observations are not used, so XLA leaves them out
  jumanji_lbf               LevelBasedForaging of Jumanji, in the same way

All cores are used: on a CPU, runs are shared out to as many XLA devices as there are cores (pmap).
The number of runs is the fastest of three, with packages of two. Prints {"ready", "versions"}, then
reads lines from standard input; for each it goes on until SECONDS have passed and prints
{"joint_steps", "seconds", "cpu_seconds"}. A failure ends it with its reason as the last line on
standard error.
"""

import importlib.metadata
import json
import os
import sys
import time

if __name__ == "__main__" and len(sys.argv) != 4:
    sys.exit(__doc__.split("\n\n")[1])
DEVICE = sys.argv[2]
CORES = len(os.sched_getaffinity(0))
os.environ["JAX_PLATFORMS"] = DEVICE
if DEVICE == "cpu":
    os.environ["XLA_FLAGS"] = (
        os.environ.get("XLA_FLAGS", "") + f" --xla_force_host_platform_device_count={CORES}"
    ).strip()

import jax  # noqa: E402  (after its settings)
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

CHUNK = 64
CHUNKS = 4  # in a call
OWN = {"cpu": (128, 1024, 8192), "cuda": (4096, 32768, 262144)}[
    DEVICE
]  # runs tried, on each device
PACKAGES = {"cpu": (256, 2048), "cuda": (4096, 32768)}[DEVICE]


def q_learners(states, actions, payoff, alpha, gamma, decay, start):
    """Two epsilon-greedy Q-learners that see the last joint action. payoff [2][actions][actions],
    by own and the other's action. Keeps the last step in which a greedy action changed."""
    payoff = jnp.asarray(payoff, jnp.float32)
    both = jnp.arange(2)

    def begin(key):
        return {
            "q": jnp.broadcast_to(start, (2, states, actions)).astype(jnp.float32) + 0.0,
            "state": jnp.int32(0),
            "t": jnp.int32(0),
            "changed": jnp.int32(0),
        }

    def step(s, random, _):
        explores, free = random
        row = s["q"][both, s["state"]]
        greedy = row.argmax(-1)
        epsilon = jnp.exp(-decay * s["t"].astype(jnp.float32))
        action = jnp.where(explores < epsilon, free, greedy)
        reward = payoff[both, action, action[::-1]]
        later = action[0] * actions + action[1]
        target = reward + gamma * s["q"][both, later].max(-1)
        old = row[both, action]
        new = old + alpha * (target - old)
        changed = (row.at[both, action].set(new).argmax(-1) != greedy).any()
        return {
            "q": s["q"].at[both, s["state"], action].set(new),
            "state": later.astype(jnp.int32),
            "t": s["t"] + 1,
            "changed": jnp.where(changed, s["t"], s["changed"]),
        }

    def draw(key):
        one, two = jax.random.split(key)
        return (
            jax.random.uniform(one, (CHUNK, 2)),
            jax.random.randint(two, (CHUNK, 2), 0, actions),
        ), None

    return begin, step, draw


def matrix():
    payoff = np.array([[3.0, 0.0], [5.0, 1.0]])
    return q_learners(4, 2, np.stack([payoff, payoff]), 0.1, 0.95, 1e-5, jnp.zeros(2))


def pricing():
    nash, monopoly, xi, mu = 1.47293, 1.92498, 0.1, 0.25
    price = np.linspace(nash - xi * (monopoly - nash), monopoly + xi * (monopoly - nash), 15)
    wish = np.exp((2 - price) / mu)
    payoff = (price - 1)[:, None] * wish[:, None] / (wish[:, None] + wish[None] + 1)
    start = jnp.asarray(payoff.mean(1) / (1 - 0.95))
    return q_learners(225, 15, np.stack([payoff, payoff]), 0.15, 0.95, 4e-6, start)


def lbf():
    """Level-based foraging 8x8-2p-3f without observations: the rules that envs/lbf.hpp states.
    First states are drawn 4 a run and 64 steps, not in every step, as a select on each step
    would."""
    side, foods, most, pool = 8, 3, 50, 4
    moves = jnp.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1], [0, 0]])

    def begin(key):
        keys = jax.random.split(key, 4)
        first = jax.random.randint(keys[0], (), 0, side * side)
        second = (first + jax.random.randint(keys[1], (), 1, side * side)) % (side * side)
        cells = jnp.array([first, second])
        players = jnp.stack([cells // side, cells % side], -1)
        levels = jax.random.randint(keys[2], (2,), 1, 3)
        inner = jnp.stack(
            jnp.meshgrid(jnp.arange(1, side - 1), jnp.arange(1, side - 1), indexing="ij"), -1
        ).reshape(-1, 2)
        free = (jnp.abs(inner[:, None] - players[None]).sum(-1) > 0).all(-1)
        chosen, food_levels = [], []
        for k in range(foods):
            pick, level = jax.random.split(jax.random.fold_in(keys[3], k))
            noise = jax.random.uniform(pick, (inner.shape[0],))
            cell = inner[jnp.where(free, noise, -1.0).argmax()]
            chosen.append(cell)
            # A cell may be left where none is free any more: then there is no further food.
            food_levels.append(
                jnp.where(free.any(), jax.random.randint(level, (), 1, levels.sum() + 1), 0)
            )
            free = free & (jnp.abs(inner - cell).sum(-1) > 2)
        food_levels = jnp.array(food_levels)
        return {
            "players": players,
            "levels": levels,
            "foods": jnp.stack(chosen),
            "food_levels": food_levels,
            "spawned": food_levels.sum(),
            "t": jnp.int32(0),
            "total": jnp.float32(0),
            "resets": jnp.int32(0),
        }

    def step(s, action, first):
        there = s["food_levels"] > 0
        beside = (
            jnp.abs(s["players"][:, None] - s["foods"][None]).sum(-1) == 1
        ) & there  # [2][foods]
        to = s["players"] + moves[action]
        off = (to < 0).any(-1) | (to >= side).any(-1)
        on_food = ((to[:, None] == s["foods"][None]).all(-1) & there).any(-1)
        to = jnp.where((off | on_food)[:, None], s["players"], to)
        to = jnp.where((to[0] == to[1]).all(), s["players"], to)
        loads = (beside & (action == 5)[:, None]) * s["levels"][:, None]  # [2][foods]
        power = loads.sum(0)
        eaten = there & (power >= s["food_levels"]) & (power > 0)
        worth = loads * s["food_levels"] / jnp.maximum(power * s["spawned"], 1)
        reward = jnp.where(eaten, worth, 0).sum()
        after = {
            **s,
            "players": to,
            "food_levels": jnp.where(eaten, 0, s["food_levels"]),
            "t": s["t"] + 1,
            "total": s["total"] + reward,
        }
        ended = (after["food_levels"] == 0).all() | (after["t"] >= most)
        fresh = jax.tree.map(lambda a: a[s["resets"] % pool], first)
        fresh = {**fresh, "total": after["total"], "resets": s["resets"] + 1}
        return jax.tree.map(lambda a, b: jnp.where(ended, a, b), fresh, after)

    def draw(key):
        one, two = jax.random.split(key)
        return jax.random.randint(one, (CHUNK, 2), 0, 6), jax.vmap(begin)(
            jax.random.split(two, pool)
        )

    return begin, step, draw


def played(begin, step, actions):
    """Random play of two agents. begin(key) gives an environment's state; step(key, state, actions)
    the next and the rewards."""

    def first(key):
        return {"env": jax.tree.map(jnp.asarray, begin(key)), "total": jnp.float32(0)}

    def one(s, random, _):
        key, action = random
        after, rewards = step(key, s["env"], action)
        after = jax.tree.map(
            lambda new, old: new if new.dtype == old.dtype else new.astype(old.dtype),
            after,
            s["env"],
        )
        return {"env": after, "total": s["total"] + sum(r.sum() for r in jax.tree.leaves(rewards))}

    def draw(key):
        one, two = jax.random.split(key)
        return (jax.random.split(one, CHUNK), jax.random.randint(two, (CHUNK, 2), 0, actions)), None

    return first, one, draw


def jaxmarl(name, actions, as_actions, **options):
    import jaxmarl as package

    env = package.make(name, **options)

    def step(key, state, action):
        _, after, rewards, _, _ = env.step(key, state, as_actions(env.agents, action))
        return after, rewards

    return played(lambda key: env.reset(key)[1], step, actions)


def by_name(agents, action):
    return {agent: action[i] for i, agent in enumerate(agents)}


def in_order(agents, action):
    return action[0], action[1]


def jumanji_lbf():
    from jumanji.environments import LevelBasedForaging
    from jumanji.environments.routing.lbf.generator import RandomGenerator
    from jumanji.wrappers import AutoResetWrapper

    env = AutoResetWrapper(
        LevelBasedForaging(
            RandomGenerator(grid_size=8, fov=8, num_agents=2, num_food=3, max_agent_level=2),
            time_limit=50,
        )
    )

    def step(key, state, action):
        after, timestep = env.step(state, action)
        return after, timestep.reward

    return played(lambda key: env.reset(key)[0], step, 6)


WORKLOADS = {  # name: (package, its title and {version}, how to make it)
    "matrix": ("jax", "JAX {}", matrix),
    "pricing": ("jax", "JAX {}", pricing),
    "lbf": ("jax", "JAX {}", lbf),
    "coin_game": (
        "jaxmarl",
        "JaxMARL {}, coin_game",
        lambda: jaxmarl("coin_game", 5, by_name, num_inner_steps=150, num_outer_steps=1),
    ),
    "in_the_matrix": ("jaxmarl", "JaxMARL {}, storm_2p", lambda: jaxmarl("storm_2p", 5, in_order)),
    "overcooked": ("jaxmarl", "JaxMARL {}, overcooked", lambda: jaxmarl("overcooked", 6, by_name)),
    "jumanji_lbf": ("jumanji", "Jumanji {}, LevelBasedForaging", jumanji_lbf),
}


def main():
    package, title, make = WORKLOADS[sys.argv[1]]
    least = float(sys.argv[3])
    try:
        devices = jax.local_device_count()
    except (AssertionError, RuntimeError) as error:
        sys.exit(f"JAX {jax.__version__} finds no device of the kind {DEVICE} {error}".strip())
    begin, step, draw = make()

    def play(states, key):
        """CHUNKS * CHUNK joint steps in all runs of one device."""
        runs = jax.tree.leaves(states)[0].shape[0]

        def chunk(c, s):
            keys = jax.random.split(jax.random.fold_in(key, c), runs)
            random, fixed = jax.vmap(draw, out_axes=(1, 0))(keys)
            many = jax.vmap(step)
            return jax.lax.scan(lambda now, one: (many(now, one, fixed), None), s, random)[0]

        return jax.lax.fori_loop(0, CHUNKS, chunk, states)

    playing = jax.pmap(play, donate_argnums=0)
    calls = 0

    def call(states):
        nonlocal calls
        calls += 1
        return jax.block_until_ready(
            playing(states, jax.random.split(jax.random.key(calls), devices))
        )

    def started(runs):
        states = jax.pmap(jax.vmap(begin))(jax.random.split(jax.random.key(0), (devices, runs)))
        return call(states)  # compiles

    best = 0
    for number in OWN if package == "jax" else PACKAGES:
        trial = started(number)
        from_wall = time.perf_counter()
        trial = call(trial)
        rate = number / (time.perf_counter() - from_wall)
        if rate > best:
            best, runs, states = rate, number, trial
        del trial
    versions = {p: importlib.metadata.version(p) for p in {"jax", package}}
    print(
        json.dumps(
            {"ready": title.format(versions[package]), "versions": versions, "runs": runs * devices}
        ),
        flush=True,
    )
    for _ in sys.stdin:
        steps = 0
        from_wall, from_cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - from_wall < least:
            states = call(states)
            steps += runs * devices * CHUNKS * CHUNK
        print(
            json.dumps(
                {
                    "joint_steps": steps,
                    "seconds": time.perf_counter() - from_wall,
                    "cpu_seconds": time.process_time() - from_cpu,
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
