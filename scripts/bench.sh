#!/usr/bin/env bash
# Every headline bench on this machine's processor, with one thread and with all, in one JSON file.
#
#   scripts/bench.sh OUT.json [BUILD_DIR]     BUILD_DIR: a build (default: build/cpu)
#
# BENCH_THREADS: all threads (default: nproc); BENCH_REPEATS: of each bench (default: 7); BENCH_NAMES:
# benches (default: those `cumarl bench` runs). Progress and the warnings of a busy machine go to
# standard error. bench/results/README.md says what the file holds; scripts/bench_tables.py makes the
# tables of bench/results/cpu-*.json. Exit status: 1 if a bench failed; then nothing is written.
set -euo pipefail

case ${1:-} in
  '' | -h | --help)
    sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
[[ -d $(dirname "$1") ]] || { echo "bench.sh: $1: there is no such folder" >&2; exit 2; }
out=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cumarl=${2:-$(dirname "${BASH_SOURCE[0]}")/../build/cpu}/cumarl
[[ -x $cumarl ]] || { echo "bench.sh: $cumarl is not there; build it first" >&2; exit 2; }
cumarl=$(cd "$(dirname "$cumarl")" && pwd)/cumarl
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

all=${BENCH_THREADS:-$(nproc)}
repeats=${BENCH_REPEATS:-7}
for value in "$all" "$repeats"; do
  [[ $value =~ ^[1-9][0-9]{0,3}$ ]] || die "BENCH_THREADS and BENCH_REPEATS must be from 1 to 9999, not $value"
done
counts=(1)
(( all == 1 )) || counts+=("$all")
if [[ -n ${BENCH_NAMES:-} ]]; then
  read -ra names <<<"$BENCH_NAMES"
else
  mapfile -t names < <("$cumarl" list benches | awk '$1 !~ "/" {print $1}')
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

warnings=()
warn() {
  warnings+=("$(json_string "$1")")
  printf 'bench.sh: %s\n' "$1" >&2
}
busy=false
# load LIMIT WHEN: the load average of the last minute; a warning above LIMIT. Sets `load`.
load() {
  read -r load _ </proc/loadavg
  awk -v load="$load" -v most="$1" 'BEGIN {exit load <= most}' || return 0
  busy=true
  warn "load average $load $2: other programs are running, these figures are too low"
}

begin=$(now_ms)
load 0.5 "before the first bench"
load_before=$load
doctor=$("$cumarl" doctor --json)
rows=()
scaling=()
for name in "${names[@]}"; do
  medians=()
  for threads in "${counts[@]}"; do
    printf '%s, %s\n' "$name" "$threads thread$( ((threads == 1)) || echo s)" >&2
    row=$("$cumarl" bench "$name" --device cpu --threads "$threads" --repeats "$repeats" --json \
      2>"$work/notes") || die "bench $name with $threads threads failed: $(tail -n 3 "$work/notes")"
    while IFS= read -r note; do warn "$name, $threads threads: $note"; done <"$work/notes"
    [[ $row =~ \"median\":([0-9.eE+-]+) ]] || die "bench $name printed no median: $row"
    medians+=("${BASH_REMATCH[1]}")
    rows+=("$row")
  done
  (( ${#medians[@]} == 1 )) || scaling+=("$(awk -v name="$name" -v threads="$all" -v one="${medians[0]}" \
    -v many="${medians[1]}" 'BEGIN {
      printf "{\"bench\":\"%s\",\"threads\":%d,\"ratio\":%.6g}", name, threads, many / one}')")
done
load "$(awk -v all="$all" 'BEGIN {print all + 0.5}')" "after the last bench"

{
  printf '{"date":"%s",\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
  printf '"commit":%s,\n"doctor":%s,\n"threads":%d,\n' "$(json_string "$(commit_here)")" "$doctor" "$all"
  printf '"load_before":%s,\n"load_after":%s,\n"busy":%s,\n' "$load_before" "$load" "$busy"
  printf '"warnings":[%s],\n"seconds":%s,\n' "$(joined , "${warnings[@]}")" \
    "$(seconds $(($(now_ms) - begin)))"
  printf '"scaling":[%s],\n"rows":[\n%s\n]}\n' "$(joined , "${scaling[@]}")" "$(joined $',\n' "${rows[@]}")"
} >"$out.partial"
mv "$out.partial" "$out"
printf 'results in %s\n' "$out" >&2
