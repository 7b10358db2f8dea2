#!/usr/bin/env bash
# Everything that needs a GPU, on a machine that has one, from binaries built elsewhere: no compiler,
# no CMake and no Python needed here, only bash, the driver and compute-sanitizer.
#
#   scripts/gpu-check.sh OUT [BUILD_DIR]     BUILD_DIR: a CUDA build (default: build/cuda)
#
#   test       every test program of BUILD_DIR with "cuda" or "gpu" in its name, CUMARL_REQUIRE_GPU=1
#   parity     result hashes of every environment and learner: cpu against cuda, few and many runs
#   sanitizer  memcheck, racecheck, initcheck and synccheck of compute-sanitizer, on small runs
#   bench      every bench on the GPU: the headline ones with 5 repeats, the pairs with 2; the fused
#              mixing kernel (mixing_gpu)
#
# Writes OUT/gpu-check.json (machine and every result; see bench/results/README.md) and OUT/logs.
# It goes on after a failure. Exit status: 0 if nothing failed. What has not begun after
# GPU_CHECK_SECONDS (default 440) counts as failed. GPU_CHECK_COMMIT names the commit where there is
# no git. GPU_CHECK_PARTS chooses parts: "test parity sanitizer bench".
set -euo pipefail

case ${1:-} in
  '' | -h | --help)
    sed -n '2,19s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
mkdir -p "$1/logs"
out=$(cd "$1" && pwd)
build=$(cd "${2:-$(dirname "${BASH_SOURCE[0]}")/../build/cuda}" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

cumarl=$build/cumarl
[[ -x $cumarl ]] || die "$cumarl is not there; build it with: cmake --preset cuda && cmake --build --preset cuda"
parts=" ${GPU_CHECK_PARTS:-test parity sanitizer bench} "
deadline=$(($(now_ms) + ${GPU_CHECK_SECONDS:-440} * 1000))
begin=$(now_ms)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CUMARL_REQUIRE_GPU=1

json_string() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\t'/ }
  text=${text//[$'\001'-$'\037'$'\177']/}
  printf '"%s"' "$text"
}

passed=0
failed=0
results=()

# record PART NAME OK MILLISECONDS DETAIL [JSON]: one result; DETAIL is text, JSON a JSON value.
record() {
  local line
  if [[ $3 == true ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  line=$(printf '{"part":"%s","name":%s,"ok":%s,"seconds":%s,"detail":%s' "$1" \
    "$(json_string "$2")" "$3" "$(seconds "$4")" "$(json_string "$5")")
  [[ -z ${6:-} ]] || line+=",\"result\":$6"
  results+=("$line}")
  printf '%-6s %-10s %-44s %7s s  %s\n' "$([[ $3 == true ]] && echo ok || echo FAILED)" "$1" "$2" \
    "$(seconds "$4")" "${5:0:200}"
}

# in_time PART NAME: whether there is time left for it; records a failure if not.
in_time() {
  (( $(now_ms) < deadline )) && return 0
  record "$1" "$2" false 0 "not begun: out of time"
  return 1
}

log_of() { printf '%s/logs/%s.log' "$out" "${1//[^A-Za-z0-9_.-]/-}"; }

part_test() {
  local program name log start ok any=''
  for program in "$build"/*; do
    name=${program##*/}
    [[ -f $program && -x $program && $name == *@(cuda|gpu)* && $name == *test* ]] || continue
    any=1
    in_time test "$name" || continue
    log=$(log_of "$name")
    start=$(now_ms)
    ok=true
    timeout 120 "$program" >"$log" 2>&1 || ok=false
    record test "$name" "$ok" $(($(now_ms) - start)) "$(grep -E '^\[ +(PASSED|FAILED|SKIPPED) +\]' "$log" |
      tr -s ' ' | head -n 5 | tr '\n' ';' || true)"
  done
  [[ -n $any ]] || record test none false 0 "no test program with cuda or gpu in its name in $build"
}

# The thread-a-run kernel takes over from the tile when there are many runs.
part_parity() {
  local config name runs cpu gpu start ok
  pair_configs "$cumarl" "$work/pairs"
  for config in "$work"/pairs/*.toml; do
    for runs in 64 4096; do
      name="$(basename "$config" .toml), $runs runs"
      in_time parity "$name" || continue
      start=$(now_ms)
      local -a less=(--runs "$runs")
      # many runs take fewer steps, so that the CPU keeps up
      (( runs == 64 )) || less+=(--set stop.max_steps=400 --set stop.stable_periods=0)
      cpu=$(config_hash "$cumarl" "$config" "${less[@]}" --device cpu)
      gpu=$(config_hash "$cumarl" "$config" "${less[@]}" --device cuda)
      ok=true
      [[ $cpu == "$gpu" && $cpu != failed* ]] || ok=false
      record parity "$name" "$ok" $(($(now_ms) - start)) "$([[ $ok == true ]] && echo "$cpu" ||
        echo "cpu $cpu, cuda $gpu")" \
        "{\"cpu\":$(json_string "$cpu"),\"cuda\":$(json_string "$gpu")}"
    done
  done
}

part_sanitizer() {
  local tool name log start ok checker case_ one
  checker=$(command -v compute-sanitizer || true)
  for one in /usr/local/cuda/bin/compute-sanitizer "$build"/compute-sanitizer/compute-sanitizer; do
    [[ -n $checker || ! -x $one ]] || checker=$one
  done
  [[ -d $work/pairs ]] || pair_configs "$cumarl" "$work/pairs"
  for tool in memcheck racecheck initcheck synccheck; do
    # a tile with tables in shared memory; small tables, a thread a run; no tables; a plain row
    for case_ in bertrand_logit-q_learning-fixed28 matrix_game-q_learning-float32 lbf-random \
      bertrand_logit-hysteretic_q-float64; do
      name="$tool, $case_"
      if [[ -z $checker ]]; then
        record sanitizer "$name" false 0 "compute-sanitizer is not there"
        continue
      fi
      in_time sanitizer "$name" || continue
      log=$(log_of "$tool-$case_")
      start=$(now_ms)
      ok=true
      local -a options=(--tool "$tool" --error-exitcode 99)
      [[ $tool != memcheck ]] || options+=(--leak-check full)
      timeout 120 "$checker" "${options[@]}" "$cumarl" run "$work/pairs/$case_.toml" --json --quiet --device cuda --runs 8 \
        --set stop.max_steps=40 --set stop.stable_periods=0 --set evaluation.episodes=1 \
        >"$log" 2>&1 || ok=false
      grep -q '"result_hash"' "$log" || ok=false
      record sanitizer "$name" "$ok" $(($(now_ms) - start)) \
        "$(grep -E '(ERROR|RACECHECK) SUMMARY|LEAK SUMMARY|cumarl: ' "$log" | tr '\n' ';' || true)"
    done
  done
}

part_bench() {
  local name repeats line log start ok
  if [[ -x $build/mixing_gpu ]] && in_time bench mixing_gpu; then
    log=$(log_of bench-mixing_gpu)
    start=$(now_ms)
    ok=true
    timeout 90 "$build/mixing_gpu" >"$log" 2>&1 || ok=false
    line=$(grep '^{' "$log" | tr '\n' ',' || true)
    record bench mixing_gpu "$ok" $(($(now_ms) - start)) "${line:0:300}" "[${line%,}]"
  fi
  while read -r name _; do
    [[ $name != *_observations ]] || continue  # of the CPU alone
    in_time bench "$name" || continue
    repeats=5
    [[ $name != */* ]] || repeats=2
    log=$(log_of "bench-$name")
    start=$(now_ms)
    ok=true
    line=$(timeout 90 "$cumarl" bench "$name" --device cuda --repeats "$repeats" --json 2>"$log") ||
      ok=false
    [[ $line == '{'*'"check":"ok"'*'}' ]] || ok=false
    if [[ $line =~ \"median\":([0-9.e+]+) ]]; then
      record bench "$name" "$ok" $(($(now_ms) - start)) "${BASH_REMATCH[1]} joint steps/s" "$line"
    else
      record bench "$name" false $(($(now_ms) - start)) "no result: $(head -c 300 "$log")"
    fi
  done < <("$cumarl" list benches)
}

# What the machine is.
smi() { nvidia-smi --query-gpu="$1" --format=csv,noheader 2>/dev/null | head -n 1 || true; }
toolkit=$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p' || true)
commit=${GPU_CHECK_COMMIT:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
doctor=$("$cumarl" doctor --json 2>/dev/null || true)
[[ $doctor == '{'* ]] || doctor=null
if [[ $("$cumarl" doctor --json 2>/dev/null) == *'"cuda:0"'* ]]; then
  record machine device true 0 "$(smi name)"
else
  record machine device false 0 "cumarl finds no CUDA device"
fi

for part in test parity sanitizer bench; do
  [[ $parts == *" $part "* ]] || continue
  say "$part"
  "part_$part"
done

{
  printf '{"date":"%s",\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
  printf '"commit":%s,\n' "$(json_string "$commit")"
  printf '"device":%s,\n' "$(json_string "$(smi name)")"
  printf '"driver":%s,\n' "$(json_string "$(smi driver_version)")"
  printf '"device_memory":%s,\n' "$(json_string "$(smi memory.total)")"
  printf '"compute_capability":%s,\n' "$(json_string "$(smi compute_cap)")"
  printf '"toolkit_here":%s,\n' "$(json_string "$toolkit")"
  printf '"doctor":%s,\n' "$doctor"
  printf '"passed":%d,\n"failed":%d,\n"seconds":%s,\n"results":[\n' "$passed" "$failed" \
    "$(seconds $(($(now_ms) - begin)))"
  for i in "${!results[@]}"; do
    printf '%s%s\n' "${results[i]}" "$( (( i + 1 < ${#results[@]} )) && echo , )"
  done
  printf ']}\n'
} >"$out/gpu-check.json.partial"
mv "$out/gpu-check.json.partial" "$out/gpu-check.json"
say "results in $out/gpu-check.json"
printf '%d passed, %d failed\n' "$passed" "$failed"
(( failed == 0 ))
