#!/usr/bin/env bash
# All tests, on a fresh Debian 12: installs what is missing (root or sudo), builds, and runs every
# part below through failures to the end.
#
#   scripts/test.sh [PART...]      without a PART: all of them, in this order
#     format    the layout of the code is clang-format's
#     cpu       g++ build; all tests but those labelled slow-extra
#     asan      clang++ build with the address and undefined-behaviour sanitizers; all tests but those
#               labelled slow, those of single environments' rules, and those that run every pair
#     hashes    result hashes of every pair: g++ against clang++ with its sanitizers, each instruction
#               set, threads and batches
#     tsan      thread sanitizer on the teams and on resume; a barrier left out must be found
#     cuda      CUDA build for sm_90 (skipped without nvcc); its tests skip without a GPU
#     consumer  an outside project that uses the installed library through find_package(cumarl)
#     oracle    level-based foraging against its Python package, solvers against lrsnash and Gambit,
#               gradients of linear and of mixing learners against JAX (skipped without PyPI, unless CI=true)
#
# CUMARL_NO_INSTALL=1 installs nothing. The last line reads "N passed, N failed" and counts every
# test of ctest and every comparison. Exit status: 0 if none failed. Logs: build/logs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh
# (Behind a pipe, `grep -q` would end before what it reads from, which pipefail takes for a failure.)

all_parts=(format cpu asan hashes tsan cuda consumer oracle)
case ${1:-} in
  -h | --help)
    sed -n '2,19s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac
for part in "$@"; do
  [[ " ${all_parts[*]} " == *" $part "* ]] || die "no part \"$part\"; parts: ${all_parts[*]}"
done
chosen=("$@")
(( $# > 0 )) || chosen=("${all_parts[@]}")

jobs=$(nproc)
logs=$PWD/build/logs
mkdir -p "$logs"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0
failures=()
skips=()

pass() { passed=$((passed + 1)); }
fail() { # WHAT
  failed=$((failed + 1))
  failures+=("$1")
  printf 'FAILED: %s\n' "$1"
}
skip() { # WHAT WHY
  skips+=("$1: $2")
  printf 'SKIPPED: %s: %s\n' "$1" "$2"
}

# configure PRESET OPTION... and build PRESET TARGET...; a failure counts as one failed test.
configure() {
  local preset=$1
  shift
  quietly "$logs/configure-$preset.log" cmake --preset "$preset" -DBUILD_TESTING=ON "$@" ||
    { fail "configuring $preset"; return 1; }
}
build() {
  local preset=$1
  shift
  local -a targets=()
  (( $# == 0 )) || targets=(--target "$@")
  quietly "$logs/build-$preset.log" cmake --build --preset "$preset" -j "$jobs" "${targets[@]}" ||
    { fail "building $preset"; return 1; }
}

# Two instruction sets with g++, a third with clang++: the hashes compare all three.
gxx_options=(-DCUMARL_BENCH=ON "-DCUMARL_CPU_VARIANTS=generic;x86_64_v4")

# build/cpu/cumarl and build/cpu-asan/cumarl, for the parts that need them.
cpu_program() {
  [[ -f build/cpu/CMakeCache.txt ]] || configure cpu "${gxx_options[@]}" || return 1
  build cpu cumarl_cli
}
# Sanitized programs are large, and clang++ comes with a fast linker.
clang_options=(-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld)

# The sanitizers see the loops as AVX2 has them; tests that compile loops themselves have them plain.
configure_sanitized() {
  local baseline=x86-64-v2
  if grep -qw avx2 /proc/cpuinfo; then baseline=x86-64-v3; fi
  configure cpu-asan "${clang_options[@]}" -DCUMARL_SLOW_TESTS=OFF -DCUMARL_RULES_TESTS=OFF \
    -DCUMARL_BASELINE=$baseline
}
sanitized_program() {
  [[ -f build/cpu-asan/CMakeCache.txt ]] || configure_sanitized || return 1
  build cpu-asan cumarl_cli
}

# run_ctest NAME ARGUMENT...: runs ctest and adds its figures up.
run_ctest() {
  local name=$1 log=$logs/ctest-$1.log line bad total skipped
  shift
  ctest "$@" --output-on-failure --no-tests=error 2>&1 | tee "$log" || true
  line=$(grep -E '[0-9]+ tests? failed out of [0-9]+' "$log" || true)
  if [[ ! $line =~ ([0-9]+)\ tests?\ failed\ out\ of\ ([0-9]+) ]]; then
    fail "$name: ctest found no tests or did not end"
    return
  fi
  bad=${BASH_REMATCH[1]}
  total=${BASH_REMATCH[2]}
  skipped=$(grep -cE ' \(Skipped\)$' "$log" || true)
  (( skipped == 0 )) || skips+=("$name: $skipped of ctest's tests, named above")
  passed=$((passed + total - bad - skipped))
  failed=$((failed + bad))
  (( bad == 0 )) || failures+=("$name: $bad of ctest's tests, named above")
}

part_format() {
  local -a files
  mapfile -t files < <(find envs kernels host tests bench \
    \( -name '*.hpp' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) | sort)
  if clang-format --dry-run -Werror "${files[@]}" >"$logs/format.log" 2>&1; then
    pass
  else
    grep -oE '^[^:]+:[0-9]+' "$logs/format.log" | cut -d: -f1 | sort | uniq -c || true
    fail "format: run clang-format -i on these files (places a file)"
  fi
}

part_cpu() {
  configure cpu "${gxx_options[@]}" && build cpu || return 0
  run_ctest cpu --test-dir build/cpu -j "$jobs" -LE '^slow-extra$'
}

part_asan() {
  # pairs run in part hashes; what learns for long, or is made in many sizes, runs the code of shorter
  # tests
  local long_ones='AgreesWithTheMixerOver500Shapes|StoresFindTheNashPrice|WalkTheCorridor|Outcomes|Fit\.'
  long_ones+='|PolicyGradient.EveryTeamSize|RecurrentGradient.(Iql|Vdn)|MonotonicAndGreedy|EverythingRunsSomewhere'
  configure_sanitized && build cpu-asan || return 0
  ASAN_OPTIONS=strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 \
    run_ctest asan --test-dir build/cpu-asan -j "$jobs" -LE '^slow' \
    -E "EveryPair|SeedsAndRunsDiffer|ShardsGiveTheSameRuns|EveryShippedExperiment|$long_ones"
}

part_hashes() {
  cpu_program && sanitized_program || return 0
  # a product that is not rounded before it is added is another number
  local fused
  fused=$(for object in build/cpu/CMakeFiles/cumarl.dir/generated/*_x86_64_v4.cpp.o \
    build/cpu-asan/CMakeFiles/cumarl.dir/generated/*_generic.cpp.o; do
    objdump -d "$object" | grep -E '\svfn?m(add|sub)' >/dev/null && printf ' %s' "$object"
  done || true)
  if [[ -z $fused ]]; then pass; else fail "hashes: fused multiply-adds in$fused"; fi
  pair_configs build/cpu/cumarl "$work/pairs"
  # Each of `jobs` workers takes every jobs-th configuration and writes lines "WHAT|WANTED|GOT".
  one_pair() { # CONFIG
    local config=$1 name want
    name=$(basename "$config" .toml)
    got() { # WHAT PROGRAM OPTION...
      local what=$1 program=$2
      shift 2
      printf '%s|%s|%s\n' "$name, $what" "$want" "$(config_hash "$program" "$config" "$@" | tr '\n|' '  ')"
    }
    want=$(config_hash build/cpu/cumarl "$config" | tr '\n|' '  ')
    got "clang++" build/cpu-asan/cumarl
    [[ $name =~ (fixed28|float32|float64)$ || -f $config.set ]] || return 0 # the rest: pairs_test
    CUMARL_CPU=generic got "CUMARL_CPU=generic" build/cpu/cumarl
    got "one thread, 5 runs at a time" build/cpu/cumarl --threads 1 --batch 5
  }
  local -a configs=("$work"/pairs/*.toml)
  local worker at what want got
  for ((worker = 0; worker < jobs; ++worker)); do
    for ((at = worker; at < ${#configs[@]}; at += jobs)); do
      one_pair "${configs[at]}"
    done >"$work/hashes.$worker" &
  done
  wait
  while IFS='|' read -r what want got; do
    if [[ $want == "$got" && $want != failed* ]]; then pass; else fail "hashes: $what: $want and $got"; fi
  done < <(cat "$work"/hashes.*)
}

part_tsan() {
  local -a fixed_addresses=()
  # The sanitizer's runtime of g++ 12 cannot start under some kernels' address randomisation.
  if setarch -R true 2>/dev/null; then fixed_addresses=(setarch -R); fi
  configure cpu-tsan "${clang_options[@]}" "-DCUMARL_ENVS=bertrand_logit;matrix_game" &&
    build cpu-tsan team_test missing_barrier resume_test || return 0
  if "${fixed_addresses[@]}" build/cpu-tsan/team_test >"$logs/tsan-team.log" 2>&1; then
    pass
  else
    tail -n 40 "$logs/tsan-team.log"
    fail "tsan: team_test"
  fi
  if "${fixed_addresses[@]}" build/cpu-tsan/resume_test >"$logs/tsan-resume.log" 2>&1; then
    pass
  else
    tail -n 40 "$logs/tsan-resume.log"
    fail "tsan: resume_test"
  fi
  # The program runs itself twice, with the barrier and without, and wants a race found only then.
  if build/cpu-tsan/missing_barrier >"$logs/tsan-barrier.log" 2>&1; then
    pass
  else
    tail -n 40 "$logs/tsan-barrier.log"
    fail "tsan: missing_barrier"
  fi
}

part_cuda() {
  if ! command -v nvcc >/dev/null && [[ -x /usr/local/cuda/bin/nvcc ]]; then
    PATH=$PATH:/usr/local/cuda/bin
  fi
  if ! command -v nvcc >/dev/null; then
    skip cuda "no nvcc on PATH: nothing was compiled for a GPU"
    return 0
  fi
  # the check is that everything compiles and links: nvcc 12.9 and newer can do that ten times faster
  local fast=''
  if nvcc --help | grep -e --Ofast-compile >/dev/null; then fast=--Ofast-compile=max; fi
  configure cuda -DCMAKE_CUDA_ARCHITECTURES=90 -DCUMARL_BENCH=OFF -DCUMARL_CPU_VARIANTS=generic \
    -DCMAKE_CXX_FLAGS_RELEASE="-O0 -DNDEBUG" -DCMAKE_CUDA_FLAGS="$fast" &&
    build cuda cumarl_cli gpu_test || return 0
  pass
  if ctest --test-dir build/cuda -N -L '^gpu$' | grep 'Total Tests: [1-9]' >/dev/null; then
    run_ctest cuda --test-dir build/cuda -L '^gpu$'
  else
    skip cuda "no test is labelled gpu"
  fi
}

part_consumer() {
  cpu_program || return 0
  local -a steps=(
    "cmake --install build/cpu --prefix $work/prefix"
    "cmake -S tests/consumer -B $work/consumer -G Ninja -DCMAKE_PREFIX_PATH=$work/prefix"
    "cmake --build $work/consumer"
    "ctest --test-dir $work/consumer --output-on-failure --no-tests=error"
    "$work/prefix/bin/cumarl list experiments"
  )
  local step i=0
  for step in "${steps[@]}"; do
    i=$((i + 1))
    # shellcheck disable=SC2086  # words of a command
    quietly "$logs/consumer-$i.log" $step || { fail "consumer: $step"; return 0; }
    pass
  done
}

# The Python programs of tests/oracle, in a virtual environment of their own.
part_oracle() {
  local lack='' missing status one program
  configure cpu "${gxx_options[@]}" && build cpu cumarl_cli linear_gradients mixing_probe || return 0
  if ! { python3 -m venv build/venv &&
    build/venv/bin/pip install -q --disable-pip-version-check --retries 2 --timeout 20 \
      -r tests/oracle/requirements.txt; } >"$logs/oracle-install.log" 2>&1; then
    lack="its Python packages could not be had (no way to PyPI?); see $logs/oracle-install.log"
  fi
  local -a oracles=(lbf_oracle solve_oracle linear_oracle mixing_oracle)
  local -A pid=()
  if [[ -z $lack ]]; then
    for one in "${oracles[@]}"; do
      program=build/cpu/cumarl
      [[ $one != linear_oracle ]] || program=build/cpu/linear_gradients
      [[ $one != mixing_oracle ]] || program=build/cpu/mixing_probe
      build/venv/bin/python "tests/oracle/$one.py" "$program" >"$logs/$one.log" 2>&1 &
      pid[$one]=$!
    done
  fi
  for one in "${oracles[@]}"; do
    missing=$lack
    status=0
    if [[ -n ${pid[$one]:-} ]]; then
      wait "${pid[$one]}" || status=$?
      cat "$logs/$one.log"
      (( status != 77 )) || missing="a package or program is missing; see $logs/$one.log"
    fi
    if [[ -n $missing && ${CI:-} == true ]]; then
      fail "$one: $missing"
    elif [[ -n $missing ]]; then
      skip "$one" "$missing"
    elif (( status != 0 )); then
      fail "$one.py ended with status $status"
    else
      pass
    fi
  done
}

begin=$(now_ms)
durations=()
timed() { # WHAT SINCE
  durations+=("$(printf '%-10s %8s' "$1" "$(seconds $(($(now_ms) - $2)))")")
}
say packages
install_packages run test
timed packages "$begin"
for part in "${chosen[@]}"; do
  say "$part"
  start=$(now_ms)
  "part_$part"
  timed "$part" "$start"
done
timed all "$begin"

say "durations, in seconds"
printf '%s\n' "${durations[@]}"
for one in "${skips[@]}"; do printf 'SKIPPED: %s\n' "$one"; done
for one in "${failures[@]}"; do printf 'FAILED: %s\n' "$one"; done
printf '%d passed, %d failed\n' "$passed" "$failed"
(( failed == 0 ))
