# shellcheck shell=bash
# What the scripts share. To be sourced; the caller has set -euo pipefail.

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Seconds since the epoch, in milliseconds' precision, as a whole number of milliseconds.
now_ms() { printf '%s' "$(( ${EPOCHREALTIME/[.,]/} / 1000 ))"; }
# 12345 -> 12.3
seconds() { printf '%d.%d' "$(( $1 / 1000 ))" "$(( $1 % 1000 / 100 ))"; }

# packages SECTION...: the packages of these sections of packages-debian.txt.
packages() {
  local wanted=" $* " section='' line
  while IFS= read -r line; do
    line=${line%%#*}
    line=${line//[[:space:]]/}
    case $line in
      '') ;;
      '['*']') section=${line:1:-1} ;;
      *) [[ $wanted != *" $section "* ]] || printf '%s\n' "$line" ;;
    esac
  done <packages-debian.txt
}

# install_packages SECTION...: installs what is missing of these sections. CUMARL_NO_INSTALL=1: trusts
# that all is there.
install_packages() {
  [[ ${CUMARL_NO_INSTALL:-} != 1 ]] || return 0
  local -a wanted missing=() as_root=()
  mapfile -t wanted < <(packages "$@")
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    die "this is no Debian system. Install what corresponds to these packages, then run again with" \
      "CUMARL_NO_INSTALL=1: ${wanted[*]}"
  fi
  local one log
  for one in "${wanted[@]}"; do
    # shellcheck disable=SC2016  # a dpkg format, not a shell variable
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$one" 2>/dev/null) == installed ]] ||
      missing+=("$one")
  done
  (( ${#missing[@]} > 0 )) || return 0
  if (( EUID != 0 )); then
    command -v sudo >/dev/null ||
      die "needs root, or sudo, to install packages. As root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  log=$(mktemp)
  local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
  local -a install=("${apt[@]}" install --no-install-recommends "${missing[@]}")
  # The lists may be absent or stale: they are fetched when a package is unknown or cannot be had.
  if ! "${install[@]}" >"$log" 2>&1 </dev/null; then
    if ! { "${apt[@]}" update && "${install[@]}"; } >"$log" 2>&1 </dev/null; then
      tail -n 20 "$log" >&2
      rm -f "$log"
      die "apt-get could not install: ${missing[*]}"
    fi
  fi
  rm -f "$log"
}

# quietly LOG COMMAND...: runs it, shows the end of its output only if it fails.
quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    printf '%s failed; the whole output is in %s\n' "$1" "$log" >&2
    return 1
  fi
}

# pair_configs CUMARL DIR: small experiments, DIR/*.toml, in which all compiled code runs: every pair
# of the environments that each learner has loops of its own for; of the others, whose loops call
# learners that are compiled once, every environment with a few learners; and a few more for the
# other sizes that kernels are compiled for.
pair_configs() {
  local cumarl=$1 dir=$2 name env learner table
  mkdir -p "$dir"
  while read -r name _; do
    [[ $name == */* ]] || continue
    IFS=/ read -r env learner table <<<"$name"
    case $env in
      lbf | matrix_game | bertrand_logit | public_goods) ;;
      *) [[ $learner =~ ^(random|q_learning|sarsa|linear_q|mappo)$ ]] || continue ;;
    esac
    {
      printf '[experiment]\nname = "%s"\nruns = 64\nseed = 7\n' "$name"
      printf '[env]\nname = "%s"\n' "$env"
      case $env in
        lbf) printf 'size = [3, 4]\nmax_player_level = 1\nmax_steps = 20\n' ;;
        matrix_game) printf 'memory = 1\n' ;;
        bertrand_logit) [[ -n $table ]] || printf 'prices = 5\n' ;;
        *) "$cumarl" describe "$env" --json |
          python3 -c 'import json, sys; print(json.load(sys.stdin)["small"])' ;;
      esac
      printf '[learner]\nname = "%s"\n' "$learner"
      if [[ -n $table ]]; then
        printf 'table = "%s"\nexploration = { start = 1.0, decay_rate = 1e-3 }\n' "$table"
      fi
      if [[ -z $table ]]; then
        printf '[stop]\nmax_steps = 200\n' # policy learners may solve a large game each step
      elif [[ $env == lbf ]]; then
        printf '[stop]\nmax_steps = 20_000\n' # foods are rare: the learners need time to differ
      else
        printf '[stop]\nmax_steps = 3_000\n'
        [[ -z $table ]] || printf 'stable_periods = 500\n'
      fi
      printf '[evaluation]\nepisodes = 2\nsteps = 50\n'
    } >"$dir/${name//\//-}.toml"
    # a learner may need more of a game than this one shows: then there is nothing to compare
    "$cumarl" run "$dir/${name//\//-}.toml" --dry-run --json >/dev/null 2>&1 ||
      rm "$dir/${name//\//-}.toml"
  done < <("$cumarl" list benches)
  more() { # NAME FROM SET...: a copy of FROM with other settings
    local to=$dir/$1.toml from=$dir/$2.toml
    shift 2
    [[ -f $from ]] || return 0
    cp "$from" "$to"
    printf '%s\n' "$@" >"$to.set"
  }
  more pricing-5-prices bertrand_logit-q_learning-fixed28 env.prices=5
  more pricing-alpha-0.7 bertrand_logit-q_learning-fixed28 learner.alpha=0.7
  more pricing-3-firms bertrand_logit-q_learning-fixed28 env.firms=3 env.prices=6
  more pricing-40-prices bertrand_logit-q_learning-float32 env.prices=40
  more pricing-boltzmann bertrand_logit-q_learning-float32 'learner.exploration.kind="boltzmann"'
  more pricing-memory-0 bertrand_logit-hysteretic_q-float64 env.memory=0
  more matrix-climbing matrix_game-hysteretic_q-float32 'env.game="climbing_fully_stochastic"'
  more matrix-horizon matrix_game-q_learning-float32 env.horizon=10 'learner.init={kind="uniform",low=-1,high=1}'
  more lbf-3-players lbf-random env.players=3 env.foods=2 'env.size=[8,8]' env.coop=true
}

# config_hash CUMARL CONFIG ARGUMENT...: the result hash of a run, "failed: ..." if there is none.
config_hash() {
  local cumarl=$1 config=$2 out line
  shift 2
  local -a sets=()
  if [[ -f $config.set ]]; then
    while IFS= read -r line; do sets+=(--set "$line"); done <"$config.set"
  fi
  if out=$("$cumarl" run "$config" --json --quiet "${sets[@]}" "$@" 2>&1) &&
    [[ $out =~ \"result_hash\":\"([0-9a-f]{32})\" ]]; then
    printf '%s' "${BASH_REMATCH[1]}"
  else
    printf 'failed: %s' "${out:0:300}"
  fi
}
