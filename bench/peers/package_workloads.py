#!/usr/bin/env python3
"""Random or learning play in packages, through their own interfaces.

usage: package_workloads.py WORKLOAD SECONDS

  lbforaging        Foraging-8x8-2p-3f-v3, uniformly random actions; its step always makes
                    observations
  open_spiel        the prisoner's dilemma as a C++ matrix game, uniformly random actions, repeated
                    a thousand times a game (pyspiel.create_repeated_game)
  open_spiel_learn  two tabular Q-learners (open_spiel.python.algorithms.tabular_qlearner) on the
                    same game, one stage an episode
  envpool           LevelBasedForaging-v0 on all cores, uniformly random actions; the number of runs
                    is the fastest of three
Prints {"ready", "versions"}, then reads lines from standard input; for each it goes on until
SECONDS have passed and prints {"joint_steps", "seconds", "cpu_seconds"}. A failure ends it with its
reason as the last line on standard error.
"""

import importlib.metadata
import json
import random
import sys
import time

STEPS = 1000  # joint steps between two looks at the clock, or somewhat more


def lbforaging():
    import warnings

    warnings.filterwarnings("ignore")
    import gymnasium
    import lbforaging  # noqa: F401  (registers the environments)

    env = gymnasium.make("Foraging-8x8-2p-3f-v3").unwrapped
    env.reset(seed=1)

    def play():
        for _ in range(STEPS):
            done = env.step([random.randrange(6) for _ in range(2)])
            if done[2] or done[3]:
                env.reset()

    return "lbforaging", "lbforaging {}", play, STEPS


def prisoners_dilemma():
    import pyspiel

    return pyspiel.create_matrix_game(
        "pd", "prisoner's dilemma", ["C", "D"], ["C", "D"], [[3, 0], [5, 1]], [[3, 5], [0, 1]]
    )


def open_spiel():
    import pyspiel

    game = pyspiel.create_repeated_game(prisoners_dilemma(), {"num_repetitions": STEPS})
    choose = random.getrandbits

    def play():
        state = game.new_initial_state()
        while not state.is_terminal():
            state.apply_actions([choose(1), choose(1)])
        return state.returns()

    return "open_spiel", "OpenSpiel {}, random play", play, STEPS


def open_spiel_learn():
    from open_spiel.python import rl_environment
    from open_spiel.python.algorithms import tabular_qlearner

    env = rl_environment.Environment(prisoners_dilemma())
    agents = [tabular_qlearner.QLearner(player_id=i, num_actions=2) for i in range(2)]

    def play():
        for _ in range(STEPS):
            now = env.reset()
            now = env.step([agent.step(now).action for agent in agents])
            for agent in agents:
                agent.step(now)

    return "open_spiel", "OpenSpiel {}, Q-learning", play, STEPS


def envpool():
    import os
    import types

    import numpy as np

    # It registers all its environments, some of which need models of robots from packages of
    # hundreds of MB.
    sys.modules["envpool.entry"] = types.ModuleType("envpool.entry")
    import envpool as package
    import envpool.jumanji.registration  # noqa: F401

    rng = np.random.default_rng(1)
    cores = len(os.sched_getaffinity(0))

    def playing(runs):
        # Its gymnasium interface copies every run's step for pictures, in Python; the dm one does
        # not.
        env = package.make(
            "LevelBasedForaging-v0", env_type="dm", num_envs=runs, num_threads=cores, seed=1
        )
        env.reset()

        def play():
            for actions in rng.integers(0, 6, (max(1, STEPS // runs), runs, 2), dtype=np.int32):
                env.step(actions)

        return play

    def rate(runs):
        play = playing(runs)
        play()
        begin = time.perf_counter()
        for _ in range(20):
            play()
        return 20 * max(1, STEPS // runs) * runs / (time.perf_counter() - begin)

    runs = max((64, 1024, 8192), key=rate)
    return (
        "envpool",
        "EnvPool {}, LevelBasedForaging-v0",
        playing(runs),
        max(1, STEPS // runs) * runs,
    )


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n\n")[1])
    package, title, play, steps_each = {
        "lbforaging": lbforaging,
        "open_spiel": open_spiel,
        "open_spiel_learn": open_spiel_learn,
        "envpool": envpool,
    }[sys.argv[1]]()
    least = float(sys.argv[2])
    play()
    version = importlib.metadata.version(package)
    print(json.dumps({"ready": title.format(version), "versions": {package: version}}), flush=True)
    for _ in sys.stdin:
        steps = 0
        from_wall, from_cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - from_wall < least:
            play()
            steps += steps_each
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


main()
