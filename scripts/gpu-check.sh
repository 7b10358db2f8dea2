#!/usr/bin/env bash
# Everything that needs a GPU, on a machine that has one, from binaries built elsewhere: no compiler
# and no CMake needed here, only bash, the driver and compute-sanitizer (and, for `peers`, a Python
# that has JAX with CUDA).
#
#   scripts/gpu-check.sh OUT [BUILD_DIR]     BUILD_DIR: a CUDA build (default: build/cuda)
#
#   test       every test of the programs of BUILD_DIR with "cuda" or "gpu" in their names, one by
#              one, with CUMARL_REQUIRE_GPU=1
#   parity     result hashes, cpu against cuda: every learner with loops of its own, with few and with
#              many runs; every environment with a sweep over all learners that are called agent by
#              agent, and with joint learners; teams of networks, with lanes as well
#   sanitizer  memcheck, racecheck, initcheck and synccheck of compute-sanitizer, on small runs
#   bench      the headline benches on the GPU, and the fused mixing kernel (mixing_gpu)
#   peers      bench/peers/compare.py on the GPU, where Python has JAX; else it is told as skipped
#
# Writes OUT/gpu-check.json (machine and every result; see bench/results/README.md) and OUT/logs.
# It goes on after a failure. Exit status: 0 if nothing failed. The whole takes GPU_CHECK_SECONDS at
# most (default 440), of which every part has its share; what time a part leaves goes to the next
# ones, and what has not begun or ended in it counts as failed. GPU_CHECK_ALL=1: without a limit,
# every pair of parity alone and every pair's bench. GPU_CHECK_PARTS chooses parts, GPU_CHECK_JOBS
# says how many checks run beside each other (not in bench and peers), GPU_CHECK_COMMIT names the
# commit where there is no git.
set -euo pipefail

case ${1:-} in
  '' | -h | --help)
    sed -n '2,25s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
mkdir -p "$1/logs"
out=$(cd "$1" && pwd)
build=${2:-$(dirname "${BASH_SOURCE[0]}")/../build/cuda}
[[ -x $build/cumarl ]] || {
  echo "gpu-check.sh: $build/cumarl is not there; build it with: cmake --preset cuda &&" \
    "cmake --build --preset cuda" >&2
  exit 2
}
build=$(cd "$build" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

cumarl=$build/cumarl
all=${GPU_CHECK_ALL:-0}
parts=" ${GPU_CHECK_PARTS:-test parity sanitizer bench peers} "
[[ $all == 1 ]] && limit=1000000 || limit=440
begin=$(now_ms)
deadline=$((begin + ${GPU_CHECK_SECONDS:-$limit} * 1000))
most_jobs=${GPU_CHECK_JOBS:-$((($(nproc) + 1) / 2 < 8 ? ($(nproc) + 1) / 2 : 8))}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run_with=(limited 120)
export CUMARL_REQUIRE_GPU=1
touch "$work/results" "$work/verdicts"
skipped=()

# record PART NAME OK MILLISECONDS DETAIL [JSON]: one result; DETAIL is text, JSON a JSON value.
record() {
  local result=''
  [[ -z ${6:-} ]] || result=",\"result\":${6//$'\n'/ }"
  printf '{"part":"%s","name":%s,"ok":%s,"seconds":%s,"detail":%s%s}\n' "$1" "$(json_string "$2")" \
    "$3" "$(seconds "$4")" "$(json_string "$5")" "$result" >>"$work/results"
  printf '%s\n' "$3" >>"$work/verdicts"
  printf '%-6s %-10s %-44s %7s s  %s\n' "$([[ $3 == true ]] && echo ok || echo FAILED)" "$1" "$2" \
    "$(seconds "$4")" "${5:0:200}"
}

# skip PART WHY: what could not be checked here, which is no failure.
skip() {
  skipped+=("{\"part\":\"$1\",\"why\":$(json_string "$2")}")
  printf 'SKIPPED %s: %s\n' "$1" "$2"
}

# in_time PART NAME: whether there is time left for it; records a failure if not.
in_time() {
  (( $(now_ms) < part_end )) && return 0
  record "$1" "$2" false 0 "not begun: out of time"
  return 1
}

# limited MOST COMMAND...: runs it for MOST seconds, or as long as the part has, but at least 5.
limited() {
  local most=$(((part_end - $(now_ms)) / 1000))
  (( most < $1 )) || most=$1
  shift
  timeout -k 5 "$((most < 5 ? 5 : most))" "$@"
}

# beside COMMAND...: runs it beside others, most_jobs at a time. all_ended waits for them.
beside() {
  while (( $(jobs -rp | wc -l) >= most_jobs )); do wait -n || true; done
  { "$@" || record check "$*" false 0 "the check itself ended with status $?"; } &
}
all_ended() { wait || true; }

log_of() { printf '%s/logs/%s.log' "$out" "${1//[^A-Za-z0-9_.-]/-}"; }

check_test() { # PROGRAM TEST
  local name="${1##*/} $2" log start ok=true
  in_time test "$name" || return 0
  log=$(log_of "test-$name")
  start=$(now_ms)
  limited 120 "$1" "--gtest_filter=$2" >"$log" 2>&1 || ok=false
  # a test that skips itself passes for its program
  grep -qE '^\[  PASSED  \] 1 test\.' "$log" || ok=false
  record test "$name" "$ok" $(($(now_ms) - start)) "$(grep -E '^\[ +(PASSED|FAILED|SKIPPED) +\]' "$log" |
    tr -s ' ' | head -n 5 | tr '\n' ';' || true)"
}

part_test() {
  local program name tests one
  for program in "$build"/*; do
    name=${program##*/}
    [[ -f $program && -x $program && $name == *@(cuda|gpu)* && $name == *test* ]] || continue
    # "Suite." and below it "  Test  # GetParam() = ..."
    tests=$(limited 60 "$program" --gtest_list_tests 2>/dev/null |
      awk '/^[^ ]/ {suite = $1} /^  / {print suite $1}') || true
    [[ -n $tests ]] || record test "$name" false 0 "it lists no tests"
    for one in $tests; do beside check_test "$program" "$one"; done
  done
  all_ended
  grep -q '"part":"test"' "$work/results" ||
    record test none false 0 "no test program with cuda or gpu in its name in $build"
}

# parity_of CONFIG ARGUMENT...: the hash of both devices, measured beside each other. Sets cpu, gpu.
parity_of() {
  local config=$1 one
  shift
  one=$(mktemp -p "$work")
  config_hash "$cumarl" "$config" "$@" --device cpu --threads 2 >"$one" &
  gpu=$(config_hash "$cumarl" "$config" "$@" --device cuda)
  wait $!
  cpu=$(<"$one")
}

check_parity() { # NAME CONFIG ARGUMENT...
  local name=$1 config=$2 cpu gpu start ok=true detail learner
  shift 2
  in_time parity "$name" || return 0
  start=$(now_ms)
  parity_of "$config" "$@"
  [[ $cpu == "$gpu" && $cpu != failed* ]] || ok=false
  detail=$cpu
  [[ $ok == true ]] || detail="cpu $cpu, cuda $gpu"
  record parity "$name" "$ok" $(($(now_ms) - start)) "$detail" \
    "{\"cpu\":$(json_string "$cpu"),\"cuda\":$(json_string "$gpu")}"
  # which learners of a sweep it was
  [[ $ok == false && -d ${config%.toml} ]] || return 0
  for config in "${config%.toml}"/*.toml; do
    learner=$(basename "$config" .toml)
    in_time parity "$name, $learner" || return 0
    start=$(now_ms)
    parity_of "$config"
    [[ $cpu == "$gpu" && $cpu != failed* ]] ||
      record parity "$name, $learner" false $(($(now_ms) - start)) "cpu $cpu, cuda $gpu"
  done
}

check_learners() { # ENV
  local config learner=linear_q
  in_time parity "learners on $1" || return 0
  sweep_config "$cumarl" "$work/sweeps" "$1"
  check_parity "learners on $1" "$work/sweeps/$1.toml"
  # joint learners are behind one switch: all on four environments, one on the others
  [[ ! $1 =~ ^(bertrand_logit|coin_game|lbf|three_stores)$ ]] || learner='*'
  for config in "$work/sweeps/$1-joint"/$learner.toml; do
    [[ ! -f $config ]] || check_parity "$(basename "$config" .toml) on $1" "$config"
  done
}

part_parity() {
  local config name env
  make_configs
  # the thread-a-run kernel takes over from the tile when there are many runs; these take fewer
  # steps, so that the CPU keeps up
  for config in "$work"/pairs/*.toml; do
    name=$(basename "$config" .toml)
    beside check_parity "$name, 64 runs" "$config" --runs 64
    beside check_parity "$name, 4096 runs" "$config" --runs 4096 --set stop.max_steps=400 \
      --set stop.stable_periods=0
  done
  for config in "$work"/teams/*.toml; do
    beside check_parity "$(basename "$config" .toml)" "$config"
  done
  if [[ $all != 1 ]]; then
    for env in $("$cumarl" list envs | awk '{print $1}'); do beside check_learners "$env"; done
  fi
  all_ended
}

# Experiments of parity and of the sanitizer, made once.
make_configs() {
  [[ ! -d $work/pairs ]] || return 0
  say "making experiments"
  pair_configs "$cumarl" "$work/pairs" "$([[ $all == 1 ]] && echo all || echo own)"
  team_configs "$work/teams"
}

check_sanitizer() { # TOOL CASE COMMAND...
  local tool=$1 name="$1, $2" log start ok=true
  in_time sanitizer "$name" || return 0
  log=$(log_of "$1-$2")
  shift 2
  start=$(now_ms)
  local -a options=(--tool "$tool" --error-exitcode 99)
  [[ $tool != memcheck ]] || options+=(--leak-check full)
  limited 120 "$checker" "${options[@]}" "$@" >"$log" 2>&1 || ok=false
  # the program did what it was to do
  grep -qE '"result_hash"|^\[  PASSED  \] 1 test\.' "$log" || ok=false
  record sanitizer "$name" "$ok" $(($(now_ms) - start)) \
    "$(grep -E '(ERROR|RACECHECK) SUMMARY|LEAK SUMMARY|cumarl: ' "$log" | tr '\n' ';' || true)"
}

part_sanitizer() {
  local tool one config
  checker=$(command -v compute-sanitizer || true)
  for one in /usr/local/cuda/bin/compute-sanitizer "$build"/compute-sanitizer/compute-sanitizer; do
    [[ -n $checker || ! -x $one ]] || checker=$one
  done
  if [[ -z $checker ]]; then
    record sanitizer none false 0 "compute-sanitizer is not there"
    return 0
  fi
  make_configs
  for tool in memcheck racecheck initcheck synccheck; do
    # a tile with tables in shared memory; small tables, a thread a run; no tables; a plain row;
    # features, a tile a run; a team's networks; with lanes, a kernel a stage
    for config in pairs/bertrand_logit-q_learning-fixed28 pairs/matrix_game-q_learning-float32 \
      pairs/lbf-random pairs/bertrand_logit-hysteretic_q-float64 teams/linear teams/qmix \
      teams/qmix-lanes; do
      beside check_sanitizer "$tool" "${config##*/}" "$cumarl" run "$work/$config.toml" --json --quiet \
        --device cuda --runs 8 --set stop.max_steps=40 --set stop.stable_periods=0 \
        --set evaluation.episodes=1
    done
    one=$build/fused_mixing_gpu_test
    [[ ! -x $one ]] || beside check_sanitizer "$tool" fused_mixing "$one" \
      --gtest_filter=FusedMixingGpu.StrictProductsGiveTheBitsOfTheCpu
  done
  all_ended
}

part_bench() {
  local name repeats line log start ok
  while read -r name _; do
    [[ $name != *_observations ]] || continue # of the CPU alone
    [[ $name != */* || $all == 1 ]] || continue
    in_time bench "$name" || continue
    repeats=5
    [[ $name != */* ]] || repeats=2
    log=$(log_of "bench-$name")
    start=$(now_ms)
    ok=true
    line=$(limited 90 "$cumarl" bench "$name" --device cuda --repeats "$repeats" --json 2>"$log") ||
      ok=false
    [[ $line == '{'*'"check":"ok"'*'}' ]] || ok=false
    if [[ $line =~ \"median\":([0-9.e+]+) ]]; then
      record bench "$name" "$ok" $(($(now_ms) - start)) "${BASH_REMATCH[1]} joint steps/s" "$line"
    else
      record bench "$name" false $(($(now_ms) - start)) "no result: $(head -c 300 "$log")"
    fi
  done < <("$cumarl" list benches)
  if [[ -x $build/mixing_gpu ]] && in_time bench mixing_gpu; then
    log=$(log_of bench-mixing_gpu)
    start=$(now_ms)
    ok=true
    limited 90 "$build/mixing_gpu" >"$log" 2>&1 || ok=false
    line=$(grep '^{' "$log" | tr '\n' ',' || true)
    record bench mixing_gpu "$ok" $(($(now_ms) - start)) "${line:0:300}" "[${line%,}]"
  fi
}

part_peers() {
  local one log start ok result
  log=$(log_of peers-jax)
  if ! limited 60 python3 -c 'import jax; jax.devices("gpu")' >"$log" 2>&1; then
    skip peers "python3 has no JAX with a GPU: $(tail -n 1 "$log")"
    return 0
  fi
  for one in 'matrix beside JAX' 'pricing beside JAX' 'lbf beside JAX' 'mixing network beside' \
    'coin_game beside' 'overcooked beside' 'in_the_matrix beside'; do
    in_time peers "$one" || continue
    log=$(log_of "peers-$one")
    result=$work/${one// /-}
    start=$(now_ms)
    ok=true
    limited 200 python3 bench/peers/compare.py --cumarl "$cumarl" --fused "$build/mixing_gpu" \
      --device cuda --repeats 3 --seconds 0.5 --only "$one" --out "$result" >"$log" 2>&1 || ok=false
    if [[ -s $result/peers.json ]]; then
      record peers "$one" "$ok" $(($(now_ms) - start)) "see result" "$(<"$result/peers.json")"
    else
      record peers "$one" false $(($(now_ms) - start)) "no result: $(tail -n 1 "$log")"
    fi
  done
}

# What the machine is.
smi() { nvidia-smi --query-gpu="$1" --format=csv,noheader 2>/dev/null | head -n 1 || true; }
toolkit_here=$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p' || true)
toolkit=''
doctor=$("$cumarl" doctor --json 2>/dev/null || true)
[[ $doctor == '{'* ]] || doctor=null
[[ ! $doctor =~ runtime\ ([0-9.]+) ]] || toolkit=${BASH_REMATCH[1]}
if [[ $doctor == *'"cuda:0"'* ]]; then
  record machine device true 0 "$(smi name)"
else
  record machine device false 0 "cumarl finds no CUDA device"
fi

declare -A share=([test]=90 [parity]=80 [sanitizer]=70 [bench]=110 [peers]=90)
shares=0
for part in "${!share[@]}"; do [[ $parts != *" $part "* ]] || shares=$((shares + share[$part])); done
for part in test parity sanitizer bench peers; do
  [[ $parts == *" $part "* ]] || continue
  part_end=$(($(now_ms) + (deadline - $(now_ms)) * share[$part] / shares))
  shares=$((shares - share[$part]))
  say "$part"
  "part_$part"
done

passed=$(grep -c true "$work/verdicts" || true)
failed=$(grep -c false "$work/verdicts" || true)
{
  printf '{"date":"%s",\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
  printf '"commit":%s,\n' "$(json_string "${GPU_CHECK_COMMIT:-$(commit_here)}")"
  printf '"device":%s,\n' "$(json_string "$(smi name)")"
  printf '"driver":%s,\n' "$(json_string "$(smi driver_version)")"
  printf '"device_memory":%s,\n' "$(json_string "$(smi memory.total)")"
  printf '"compute_capability":%s,\n' "$(json_string "$(smi compute_cap)")"
  printf '"toolkit":%s,\n"toolkit_here":%s,\n' "$(json_string "$toolkit")" "$(json_string "$toolkit_here")"
  printf '"doctor":%s,\n' "$doctor"
  printf '"skipped":[%s],\n' "$(joined , "${skipped[@]}")"
  printf '"passed":%d,\n"failed":%d,\n"seconds":%s,\n"results":[\n' "$passed" "$failed" \
    "$(seconds $(($(now_ms) - begin)))"
  sed '$!s/$/,/' "$work/results"
  printf ']}\n'
} >"$out/gpu-check.json.partial"
mv "$out/gpu-check.json.partial" "$out/gpu-check.json"
say "results in $out/gpu-check.json"
printf '%d passed, %d failed\n' "$passed" "$failed"
(( failed == 0 ))
