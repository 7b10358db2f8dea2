#!/usr/bin/env python3
"""Random or learning play in packages, through their own interfaces.

usage: package_workloads.py lbforaging|open_spiel STEPS

  lbforaging   Foraging-8x8-2p-3f-v3, uniformly random actions; its step always makes observations
  open_spiel   two tabular Q-learners (open_spiel.python.algorithms.tabular_qlearner) on the Python
               matrix game of the prisoner's dilemma, one stage an episode
Reads lines from standard input; for each it takes STEPS joint steps and prints {"joint_steps",
"seconds", "cpu_seconds"}. Exit status 3 with a reason on standard error where it cannot be had.
"""
import json
import random
import sys
import time


def lbforaging(steps):
    import warnings
    warnings.filterwarnings("ignore")
    import gymnasium
    import lbforaging  # noqa: F401  (registers the environments)
    env = gymnasium.make("Foraging-8x8-2p-3f-v3").unwrapped
    env.reset(seed=1)

    def play():
        for _ in range(steps):
            done = env.step([random.randrange(6) for _ in range(2)])
            if done[2] or done[3]:
                env.reset()
    return "lbforaging 2.0.0", play


def open_spiel(steps):
    import pyspiel
    from open_spiel.python import rl_environment
    from open_spiel.python.algorithms import tabular_qlearner
    game = pyspiel.create_matrix_game("pd", "prisoner's dilemma", ["C", "D"], ["C", "D"],
                                      [[3, 0], [5, 1]], [[3, 5], [0, 1]])
    env = rl_environment.Environment(game)
    agents = [tabular_qlearner.QLearner(player_id=i, num_actions=2) for i in range(2)]

    def play():
        for _ in range(steps):
            now = env.reset()
            now = env.step([agent.step(now).action for agent in agents])
            for agent in agents:
                agent.step(now)
    return "OpenSpiel (Python)", play


def main():
    try:
        name, play = {"lbforaging": lbforaging, "open_spiel": open_spiel}[sys.argv[1]](int(sys.argv[2]))
        play()
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
    print(json.dumps({"ready": name}), flush=True)
    for _ in sys.stdin:
        from_wall, from_cpu = time.perf_counter(), time.process_time()
        play()
        print(json.dumps({"joint_steps": int(sys.argv[2]), "seconds": time.perf_counter() - from_wall,
                          "cpu_seconds": time.process_time() - from_cpu}), flush=True)


main()
