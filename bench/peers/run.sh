#!/usr/bin/env bash
# cuMARL beside other programs on this machine's cores: bench/peers/compare.py with all it needs.
#
#   bench/peers/run.sh [BUILD_DIR]      (default build/cpu, with the programs cumarl and mixing_iteration)
#
# Makes a virtual environment in build/peers from bench/peers/requirements.txt, package by package: one
# that cannot be had only leaves its rows out. Writes build/peers/out/peers.json and peers.md.
# PEERS_REPEATS, PEERS_THREADS and PEERS_SCALE are compare.py's --repeats, --threads and --scale.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build/cpu}
if [[ ! -x $build/cumarl ]]; then
  echo "run.sh: $build/cumarl is not there: build it first, or name the build folder" >&2
  exit 2
fi
venv=build/peers/venv
mkdir -p build/peers
[[ -x $venv/bin/python ]] || python3 -m venv "$venv"
if ! cmp -s bench/peers/requirements.txt "$venv/installed.txt"; then
  complete=true
  while read -r requirement; do
    [[ -z $requirement || $requirement == \#* ]] && continue
    "$venv/bin/python" -m pip install -q --disable-pip-version-check "$requirement" && continue
    echo "run.sh: no $requirement: its rows are left out" >&2
    complete=false
  done <bench/peers/requirements.txt
  ! $complete || cp bench/peers/requirements.txt "$venv/installed.txt"
fi
"${CXX:-g++}" -std=c++20 -O3 -march=native -ffp-contract=off -Wall -Wextra -pthread \
  bench/peers/plain_pricing.cpp -o build/peers/plain_pricing
"$venv/bin/python" bench/peers/compare.py --cumarl "$build/cumarl" --mixing "$build/mixing_iteration" \
  --plain build/peers/plain_pricing --repeats "${PEERS_REPEATS:-5}" --scale "${PEERS_SCALE:-1}" \
  --threads "${PEERS_THREADS:-$(nproc)}" --out build/peers/out
