#!/usr/bin/env python3
"""The headline workloads in JAX, as a careful user would write them: one jitted function of many steps,
vmapped over runs, tables updated in place (donated), random numbers drawn 64 steps at a time.

usage: jax_workloads.py matrix|pricing|lbf RUNS STEPS      (STEPS: a multiple of 64)

Compiles and warms up, then reads lines from standard input; for each it takes STEPS more joint steps
in every run and prints {"joint_steps", "seconds", "cpu_seconds"}.
"""
import functools
import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

CHUNK = 64


def q_learners(states, actions, payoff, alpha, gamma, decay, start):
    """Two epsilon-greedy Q-learners that see the last joint action. payoff [2][actions][actions], by
    own and the other's action. Keeps the last step in which a greedy action changed."""
    payoff = jnp.asarray(payoff, jnp.float32)
    both = jnp.arange(2)

    def begin(key):
        return {"q": jnp.broadcast_to(start, (2, states, actions)).astype(jnp.float32) + 0.0,
                "state": jnp.int32(0), "t": jnp.int32(0), "changed": jnp.int32(0)}

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
        return {"q": s["q"].at[both, s["state"], action].set(new), "state": later.astype(jnp.int32),
                "t": s["t"] + 1, "changed": jnp.where(changed, s["t"], s["changed"])}

    def draw(key):
        one, two = jax.random.split(key)
        return (jax.random.uniform(one, (CHUNK, 2)),
                jax.random.randint(two, (CHUNK, 2), 0, actions)), None

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
    """Level-based foraging 8x8-2p-3f without observations: the rules that envs/lbf.hpp states. First
    states are drawn 4 a run and 64 steps, not in every step, as a select on each step would."""
    side, foods, most, pool = 8, 3, 50, 4
    moves = jnp.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1], [0, 0]])

    def begin(key):
        keys = jax.random.split(key, 4)
        first = jax.random.randint(keys[0], (), 0, side * side)
        second = (first + jax.random.randint(keys[1], (), 1, side * side)) % (side * side)
        cells = jnp.array([first, second])
        players = jnp.stack([cells // side, cells % side], -1)
        levels = jax.random.randint(keys[2], (2,), 1, 3)
        inner = jnp.stack(jnp.meshgrid(jnp.arange(1, side - 1), jnp.arange(1, side - 1), indexing="ij"),
                          -1).reshape(-1, 2)
        free = (jnp.abs(inner[:, None] - players[None]).sum(-1) > 0).all(-1)
        chosen, food_levels = [], []
        for k in range(foods):
            pick, level = jax.random.split(jax.random.fold_in(keys[3], k))
            noise = jax.random.uniform(pick, (inner.shape[0],))
            cell = inner[jnp.where(free, noise, -1.0).argmax()]
            chosen.append(cell)
            # A cell may be left where none is free any more: then there is no further food.
            food_levels.append(jnp.where(free.any(), jax.random.randint(level, (), 1, levels.sum() + 1), 0))
            free = free & (jnp.abs(inner - cell).sum(-1) > 2)
        food_levels = jnp.array(food_levels)
        return {"players": players, "levels": levels, "foods": jnp.stack(chosen), "food_levels": food_levels,
                "spawned": food_levels.sum(),
                "t": jnp.int32(0), "total": jnp.float32(0), "resets": jnp.int32(0)}

    def step(s, action, first):
        there = s["food_levels"] > 0
        beside = (jnp.abs(s["players"][:, None] - s["foods"][None]).sum(-1) == 1) & there  # [2][foods]
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
        after = {**s, "players": to, "food_levels": jnp.where(eaten, 0, s["food_levels"]), "t": s["t"] + 1,
                 "total": s["total"] + reward}
        ended = (after["food_levels"] == 0).all() | (after["t"] >= most)
        fresh = jax.tree.map(lambda a: a[s["resets"] % pool], first)
        fresh = {**fresh, "total": after["total"], "resets": s["resets"] + 1}
        return jax.tree.map(lambda a, b: jnp.where(ended, a, b), fresh, after)

    def draw(key):
        one, two = jax.random.split(key)
        return jax.random.randint(one, (CHUNK, 2), 0, 6), jax.vmap(begin)(jax.random.split(two, pool))

    return begin, step, draw


def main():
    begin, step, draw = {"matrix": matrix, "pricing": pricing, "lbf": lbf}[sys.argv[1]]()
    runs, steps = int(sys.argv[2]), int(sys.argv[3])

    def chunk(s, key):
        random, fixed = draw(key)
        return jax.lax.scan(lambda now, one: (step(now, one, fixed), None), s, random)[0]

    @functools.partial(jax.jit, donate_argnums=0)
    def play(states, key):
        def body(c, s):
            keys = jax.random.split(jax.random.fold_in(key, c), runs)
            return jax.vmap(chunk)(s, keys)
        return jax.lax.fori_loop(0, steps // CHUNK, body, states)

    states = jax.jit(jax.vmap(begin))(jax.random.split(jax.random.key(1), runs))
    count = 0

    def measured():
        nonlocal states, count
        count += 1
        from_wall, from_cpu = time.perf_counter(), time.process_time()
        states = jax.block_until_ready(play(states, jax.random.key(count)))
        return time.perf_counter() - from_wall, time.process_time() - from_cpu

    measured()
    print(json.dumps({"ready": "JAX " + jax.__version__}), flush=True)
    for _ in sys.stdin:
        wall, cpu = measured()
        print(json.dumps({"joint_steps": runs * (steps // CHUNK) * CHUNK, "seconds": wall, "cpu_seconds": cpu}),
              flush=True)


main()
