#!/usr/bin/env bash
# cuMARL beside other programs on this machine: bench/peers/compare.py with all it needs.
#
#   bench/peers/run.sh [BUILD_DIR]      (default build/cpu; with cumarl and mixing_iteration)
#
# Makes a virtual environment in build/peers from bench/peers/requirements.txt, package by package:
# one that cannot be had only leaves its rows out. PyTorch is used where the Python PEERS_TORCH
# (default: the system's, with Debian's package python3-torch) has it; it is not installed. Writes
# build/peers/out/peers.json and peers.md. PEERS_DEVICE (cpu, or cuda with a CUDA build),
# PEERS_REPEATS, PEERS_THREADS, PEERS_SECONDS and PEERS_ONLY are compare.py's --device and so on.
set -euo pipefail
cd "$(dirname "$0")/../.."
device=${PEERS_DEVICE:-cpu}
build=${1:-build/$device}
if [[ ! -x $build/cumarl ]]; then
  echo "run.sh: $build/cumarl is not there: build it first, or name the build folder" >&2
  exit 2
fi
venv=build/peers/venv
have=build/peers/have-$device
why=build/peers/why
mkdir -p "$have" "$why"
[[ -x $venv/bin/python ]] || { rm -f "$have"/* && python3 -m venv "$venv"; }
while IFS= read -r line; do
  read -r requirement _ <<<"${line%%#*}" || true
  [[ -n $requirement ]] || continue
  name=${requirement%%[<>=]*}
  [[ $device/$name != cuda/jax ]] || requirement="jax[cuda12]${requirement#jax}"
  [[ ! -f $have/$name || $(<"$have/$name") != "$line" ]] || continue
  options=(-q --disable-pip-version-check --only-binary=:all:)
  [[ $line != *'# alone'* ]] || options+=(--no-deps)
  echo "run.sh: installing $requirement" >&2
  if said=$("$venv/bin/python" -m pip install "${options[@]}" "$requirement" 2>&1); then
    echo "$line" >"$have/$name"
    rm -f "$why/$name"
  else
    grep -m 1 '^ERROR' <<<"$said" >"$why/$name" || tail -n 1 <<<"$said" >"$why/$name"
    echo "run.sh: no $requirement: its rows are left out: $(<"$why/$name")" >&2
  fi
done <bench/peers/requirements.txt
"${CXX:-g++}" -std=gnu++20 -O3 -march=native -ffast-math -Wall -Wextra -pthread \
  bench/peers/plain_pricing.cpp -o build/peers/plain_pricing
"$venv/bin/python" bench/peers/compare.py --cumarl "$build/cumarl" \
  --mixing "$build/mixing_iteration" --fused "$build/mixing_gpu" --plain build/peers/plain_pricing \
  --torch "${PEERS_TORCH:-/usr/bin/python3}" --why "$why" --device "$device" \
  --repeats "${PEERS_REPEATS:-5}" --seconds "${PEERS_SECONDS:-1}" --only "${PEERS_ONLY:-}" \
  --threads "${PEERS_THREADS:-$(nproc)}" --out build/peers/out
