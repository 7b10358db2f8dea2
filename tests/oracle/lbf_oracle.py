#!/usr/bin/env python3
"""Plays level-based foraging here and in the Python package lbforaging, and compares.

usage: lbf_oracle.py CUMARL [--episodes N] [--seed S]

Each episode starts from a reset of the package's environment. The package plays it with random
actions (in half of the episodes drawn towards the foods, because plain random play seldom loads);
then `CUMARL trace lbf` plays the same actions from the same state, one process an episode. Every
transition is compared: rewards, done, next state and each agent's observation.

Tolerance of rewards: ours are float32 quotients of whole numbers, correctly rounded, the package's
are the same in float64, so they differ by at most 2^-24 of the value, and a printed float32 by as
much again: 2^-23 in all. Penalties likewise. Everything else must be equal.

Exit status: 0 all equal, 1 a difference, 77 the package is missing.
"""
import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from gymnasium import spaces
    from lbforaging.foraging import ForagingEnv
except ImportError as error:
    print(f"SKIP: lbforaging cannot be imported ({error}); see tests/oracle/requirements.txt")
    sys.exit(77)

# name, settings of `env` (what is not named has the default)
CONFIGS = [
    ("8x8-2p-3f", dict(size=[8, 8], players=2, foods=3)),
    ("8x8-2p-2f-coop", dict(size=[8, 8], players=2, foods=2, coop=True)),
    ("10x10-3p-3f sight 2", dict(size=[10, 10], players=3, foods=3, sight=2)),
    ("5x5-4p-2f penalty", dict(size=[5, 5], players=4, foods=2, penalty=0.1)),
    ("7x9-4p-3f coop sight 3 penalty 30 steps",
     dict(size=[7, 9], players=4, foods=3, coop=True, sight=3, penalty=0.25, max_steps=30)),
    ("15x12-3p-8f levels, raw rewards",
     dict(size=[15, 12], players=3, foods=8, min_player_level=2, max_player_level=4,
          min_food_level=3, max_food_level=7, sight=1, normalize_reward=False)),
    ("6x6-6p-2f crowd", dict(size=[6, 6], players=6, foods=2, penalty=1)),
    ("9x9-5p-4f coop sight 4", dict(size=[9, 9], players=5, foods=4, coop=True, sight=4)),
    ("8x8-1p-3f single levels", dict(size=[8, 8], players=1, foods=3, max_player_level=1)),
]
TOLERANCE = 2.0 ** -23
MOVES = {1: (-1, 0), 2: (1, 0), 3: (0, -1), 4: (0, 1)}


def package_env(s):
    """The package's environment with our settings."""
    env = ForagingEnv(
        players=s["players"],
        min_player_level=s.get("min_player_level", 1),
        max_player_level=s.get("max_player_level", 2),
        min_food_level=s.get("min_food_level", 1),
        max_food_level=s.get("max_food_level", 0) or None,
        field_size=tuple(s["size"]),
        max_num_food=s["foods"],
        sight=s.get("sight", 0) or max(s["size"]),
        max_episode_steps=s.get("max_steps", 50),
        force_coop=s.get("coop", False),
        normalize_reward=s.get("normalize_reward", True),
        penalty=s.get("penalty", 0.0),
    )
    # The package bounds rows by the number of columns and then asserts: lift that bound.
    one = spaces.Box(-1, 99, shape=env.observation_space[0].shape, dtype=np.float32)
    env.observation_space = spaces.Tuple([one] * s["players"])
    return env


def state_of(env, foods):
    """The package's state, in the words of `cumarl trace`."""
    players = [int(v) for p in env.players for v in (*p.position, p.level)]
    left = [int(v) for y, x in zip(*np.nonzero(env.field)) for v in (y, x, env.field[y, x])]
    left += [-1, -1, 0] * (foods - len(left) // 3)
    return {"players": players, "foods": left, "step": [int(env.current_step)],
            "spawned": [int(env._food_spawned)]}


def flat(value):
    return [v for item in value for v in flat(item)] if isinstance(value, list) else [value]


def shaped(values, like):
    """`values` in the nested form of `like`."""
    def fill(form):
        return [fill(item) for item in form] if isinstance(form, list) else next(source)
    source = iter(values)
    return fill(like)


def choose(env, rng, hungry):
    """A joint action. `hungry` agents mostly walk to the nearest food and load it."""
    foods = list(zip(*np.nonzero(env.field)))
    actions = []
    for player in env.players:
        action = int(rng.integers(6))
        if hungry and foods and rng.random() < 0.8:
            y, x = player.position
            fy, fx = min(foods, key=lambda f: abs(f[0] - y) + abs(f[1] - x))
            steps = [a for a, gain in ((1, y - fy), (2, fy - y), (3, x - fx), (4, fx - x))
                     if gain > 0]
            action = int(rng.choice(steps))
            if abs(fy - y) + abs(fx - x) == 1:
                action = 5
        actions.append(action)
    return actions


def play(env, foods, seed, rng, hungry, count):
    """One episode in the package: first state and observations, then the transitions."""
    observations, _ = env.reset(seed=seed)
    first = (state_of(env, foods), observations)
    transitions, done = [], False
    while not done:
        before = [p.position for p in env.players]
        actions = choose(env, rng, hungry)
        left = int(np.count_nonzero(env.field))
        observations, rewards, done, truncated, _ = env.step(actions)
        assert not truncated
        transitions.append((actions, rewards, bool(done), state_of(env, foods), observations))
        after = [p.position for p in env.players]
        count["loads"] += left - int(np.count_nonzero(env.field))
        count["failed loads"] += any(r < 0 for r in rewards)
        count["shared cells"] += len(set(after)) < len(after)
        count["swaps"] += any(before[i] == after[j] != before[j] == after[i]
                              for i in range(len(after)) for j in range(i))
        count["held back"] += any(
            a in MOVES and b == c and all(0 <= b[d] + MOVES[a][d] < env.field.shape[d]
                                          for d in (0, 1))
            and env.field[b[0] + MOVES[a][0], b[1] + MOVES[a][1]] == 0
            for a, b, c in zip(actions, before, after))
    return first, transitions


class Trace:
    """Runs `cumarl trace lbf` and reads its lines."""

    def __init__(self, binary, settings, folder):
        self.command = [binary, "trace", "lbf", "--json"]
        for key, value in settings.items():
            self.command += ["--set", f"env.{key}={json.dumps(value)}"]
        self.actions = os.path.join(folder, "actions")
        self.state = os.path.join(folder, "state.json")
        self.form = self.state_in(self.run("--seed", "1", "--steps", "1")[0])

    def run(self, *arguments):
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True,
                              timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(self.command)}: status {done.returncode}: "
                               f"{done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    @staticmethod
    def state_in(line):
        return line.get("state", line)

    def play(self, state, actions):
        with open(self.actions, "w", encoding="ascii") as out:
            out.writelines(",".join(map(str, joint)) + "\n" for joint in actions)
        with open(self.state, "w", encoding="ascii") as out:
            json.dump({key: shaped(state[key], form) for key, form in self.form.items()}, out)
        return self.run("--seed", "1", "--steps", str(len(actions)), "--actions", self.actions,
                        "--state", self.state)


def state_difference(line, expected):
    ours = {key: flat(value) for key, value in Trace.state_in(line).items()}
    return [f"{key}: {ours.get(key)}, package {expected[key]}" for key in expected
            if ours.get(key) != expected[key]]


def observation_difference(line, expected):
    ours = line["observations"]
    if len(ours) != len(expected):
        return [f"{len(ours)} observations"]
    return [f"observation of agent {i}: {a}, package {b.tolist()}"
            for i, (a, b) in enumerate(zip(ours, expected))
            if not np.array_equal(np.asarray(flat(a), np.float32), b)]


def differences(lines, first, transitions):
    """(where, what) of each difference between our lines and the package's episode."""
    if len(lines) != 1 + len(transitions):
        yield "trace", f"{len(lines)} lines instead of {1 + len(transitions)}"
        return
    for what in state_difference(lines[0], first[0]):
        yield "start", what
    if "observations" in lines[0]:
        for what in observation_difference(lines[0], first[1]):
            yield "start", what
    for t, (line, (actions, rewards, done, state, observations)) in enumerate(
            zip(lines[1:], transitions), 1):
        found = state_difference(line, state) + observation_difference(line, observations)
        if list(line["actions"]) != actions:
            found.append(f"actions {line['actions']}, given {actions}")
        if len(line["rewards"]) != len(rewards) or any(
                abs(a - b) > TOLERANCE * abs(b) for a, b in zip(line["rewards"], rewards)):
            found.append(f"rewards {line['rewards']}, package {rewards}")
        if line["done"] is not done:
            found.append(f"done {line['done']}, package {done}")
        for what in found:
            yield f"step {t}, actions {actions}", what


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cumarl")
    parser.add_argument("--episodes", type=int, default=350, help="of each configuration")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    passed = failed = transitions_seen = shown = 0
    count = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, settings) in enumerate(CONFIGS):
            env = package_env(settings)
            trace = Trace(options.cumarl, settings, folder)
            rng = np.random.default_rng([options.seed, number])
            for episode in range(options.episodes):
                seed = int(rng.integers(2 ** 31))
                first, transitions = play(env, settings["foods"], seed, rng, episode % 2 == 1,
                                          count)
                lines = trace.play(first[0], [t[0] for t in transitions])
                bad = list(differences(lines, first, transitions))
                transitions_seen += len(transitions)
                passed += not bad
                failed += bool(bad)
                for where, what in bad[:3] if shown < 15 else []:
                    print(f"{name}, package seed {seed}, {where}: {what}", file=sys.stderr)
                    shown += 1
    events = ", ".join(f"{number} {what}" for what, number in count.items())
    print(f"{passed} passed, {failed} failed (episodes, {len(CONFIGS)} configurations; "
          f"{transitions_seen} transitions with {events})")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
