#!/usr/bin/env bash
# The main job, on a fresh Debian 12: installs what is missing (root or sudo), builds cuMARL for the
# CPU, and runs 1,000 sessions of the pricing duopoly of Calvano et al. (2020) against the published
# figures: a table on the terminal, results and a picture in out/calvano2020-baseline.
#
#   scripts/run.sh [OPTION...]     options of `cumarl reproduce`, such as --runs 200 --threads 1
#
# CUMARL_NO_INSTALL=1 installs nothing. Exit status: that of `cumarl reproduce` (4: a figure is out
# of tolerance), 1 if something before it failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

case ${1:-} in
  -h | --help)
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac

install_packages run

say "configuring build/cpu"
fresh=()
# A build folder that the tests have set up keeps its tests.
[[ -f build/cpu/CMakeCache.txt ]] || fresh=(-DBUILD_TESTING=OFF -DCUMARL_BENCH=OFF)
quietly build/logs/configure-run.log cmake --preset cpu "${fresh[@]}"

say "building build/cpu/cumarl"
if [[ -t 1 ]]; then
  cmake --build --preset cpu --target cumarl_cli -j "$(nproc)"
else
  quietly build/logs/build-run.log cmake --build --preset cpu --target cumarl_cli -j "$(nproc)"
fi

out=out/calvano2020-baseline
say "running calvano2020-baseline: build/cpu/cumarl reproduce calvano2020-baseline --out $out $*"
rm -rf "$out" # of an earlier call, perhaps with other options
status=0
build/cpu/cumarl reproduce calvano2020-baseline --out "$out" "$@" || status=$?
if [[ -f $out/calvano2020-baseline.svg ]]; then
  say "picture: $PWD/$out/calvano2020-baseline.svg"
fi
exit "$status"
