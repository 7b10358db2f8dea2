# shellcheck shell=bash
# What the scripts share. To be sourced; the caller has set -euo pipefail.

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Seconds since the epoch, in milliseconds' precision, as a whole number of milliseconds.
now_ms() { printf '%s' "$(( ${EPOCHREALTIME/[.,]/} / 1000 ))"; }
# 12345 -> 12.3
seconds() { printf '%d.%d' "$(( $1 / 1000 ))" "$(( $1 % 1000 / 100 ))"; }

# A JSON string of a text; control characters but newlines and tabs are left out.
json_string() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\t'/ }
  text=${text//[$'\001'-$'\037'$'\177']/}
  printf '"%s"' "$text"
}

# joined SEPARATOR WORD...
joined() {
  local separator=$1 text=${2:-} one
  shift $(( $# > 1 ? 2 : 1 ))
  for one in "$@"; do text+=$separator$one; done
  printf '%s' "$text"
}

# The commit of this checkout, "-changed" behind it if files differ from it; "unknown" without git.
commit_here() {
  local commit
  commit=$(git rev-parse HEAD 2>/dev/null) || { printf unknown; return 0; }
  git diff --quiet HEAD 2>/dev/null || commit+=-changed
  printf '%s' "$commit"
}

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

# env_small CUMARL ENV: the settings of a small instance of an environment, as TOML.
env_small() {
  "$1" describe "$2" --json | sed -nE 's/.*"small":"(([^"\\]|\\.)*)".*/\1/; T; s/\\"/"/g; s/\\n/\n/g; p'
}

# pair_configs CUMARL DIR [WHICH]: small experiments, DIR/*.toml, in which all compiled code runs:
# every pair of the environments that each learner has loops of its own for; of the others, whose
# loops call learners that are compiled once, every environment with a few learners; and a few more
# for the other sizes that kernels are compiled for. WHICH own: only learners with loops of their own
# and these sizes; all: every learner on every environment.
pair_configs() {
  local cumarl=$1 dir=$2 which=${3:-} name env learner table
  mkdir -p "$dir"
  while read -r name _; do
    [[ $name == */* ]] || continue
    IFS=/ read -r env learner table <<<"$name"
    case $env in
      lbf | matrix_game | bertrand_logit | public_goods)
        [[ $which != own || -n $table || $learner == random ]] || continue
        ;;
      *)
        [[ $which == all || $learner =~ ^(random|q_learning|sarsa|linear_q|mappo)$ ]] || continue
        [[ $which != own ]] || continue
        ;;
    esac
    {
      printf '[experiment]\nname = "%s"\nruns = 64\nseed = 7\n' "$name"
      printf '[env]\nname = "%s"\n' "$env"
      case $env in
        lbf) printf 'size = [3, 4]\nmax_player_level = 1\nmax_steps = 20\n' ;;
        matrix_game) printf 'memory = 1\n' ;;
        bertrand_logit) [[ -n $table ]] || printf 'prices = 5\n' ;;
        *) env_small "$cumarl" "$env" ;;
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
  more pricing-fourier bertrand_logit-linear_q env.prices=11 'learner.features={kind="fourier",order=7}'
  more pricing-float64 bertrand_logit-linear_q env.prices=3 'learner.precision="float64"' 'learner.features.kind="quadratic"'
  more lbf-quadratic lbf-linear_q 'learner.features.kind="quadratic"'
  more lbf-wide-quadratic lbf-linear_q 'learner.features.kind="quadratic"' env.foods=3 'env.size=[8,8]'
  more pricing-entry-chosen bertrand_logit_entry-q_learning 'env.out="action"'
  more lbf-3-players lbf-random env.players=3 env.foods=2 'env.size=[8,8]' env.coop=true
}

# sweep_config CUMARL DIR ENV: an experiment with every learner that goes with the environment and is
# called agent by agent, DIR/ENV.toml, as a sweep over their names, and DIR/ENV/LEARNER.toml with each
# alone. Those that learn for all agents together cannot be swept: DIR/ENV-joint/LEARNER.toml.
sweep_config() {
  local cumarl=$1 dir=$2 env=$3 learner one names=() head tail
  # (a dry run tries some steps)
  local -a fits=(--dry-run --json --runs 1 --set stop.max_steps=1 --set evaluation.steps=1
    --set evaluation.episodes=1)
  head=$(printf '[experiment]\nname = "%s"\nruns = 40\nseed = 7\n[env]\nname = "%s"\n' "$env" "$env"
    env_small "$cumarl" "$env")
  tail=$(printf '[stop]\nmax_steps = 200\n[evaluation]\nepisodes = 2\nsteps = 50\n')
  mkdir -p "$dir/$env" "$dir/$env-joint"
  one=$dir/$env/one.toml
  for learner in $("$cumarl" list learners | awk '{print $1}'); do
    printf '%s\n[learner]\nname = "%s"\n%s\n' "$head" "$learner" "$tail" >"$one"
    # it may need more of a game than this one shows
    "$cumarl" run "$one" "${fits[@]}" >/dev/null 2>&1 || continue
    if "$cumarl" run "$one" "${fits[@]}" --set "sweep.learner.name=[\"random\", \"$learner\"]" \
      >/dev/null 2>&1; then
      mv "$one" "$dir/$env/$learner.toml"
      names+=("\"$learner\"")
    else
      mv "$one" "$dir/$env-joint/$learner.toml"
    fi
  done
  rm -f "$one"
  printf '%s\n[learner]\nname = "random"\n%s\n[sweep]\n"learner.name" = [%s]\n' "$head" "$tail" \
    "$(joined ', ' "${names[@]}")" >"$dir/$env.toml"
}

# team_configs DIR: experiments of learners that see features: linear ones, teams that learn in
# populations, with a memory and from a prioritised replay, and with many lanes.
team_configs() {
  local dir=$1 name two_step='[env]
name = "stochastic_game"
game = "two_step"
[stop]
max_steps = 2_000
[evaluation]
episodes = 3
[learner]
features = { kind = "one_hot" }
alpha = 0.005'
  mkdir -p "$dir"
  cat >"$dir/linear.toml" <<'END'
[experiment]
runs = 40
[env]
name = "bertrand_logit"
prices = 5
[stop]
max_steps = 2_000
[evaluation]
steps = 20
[learner]
name = "linear_q"
features = { kind = "one_hot" }
exploration = { start = 1.0, decay_rate = 1e-3 }
[sweep]
"learner.precision" = ["float32", "float64"]
END
  cat >"$dir/memory.toml" <<END
[experiment]
runs = 10
$two_step
name = "qmix"
utility = { kind = "gru", width = 20 }
replay = { steps = 2, kind = "prioritised" }
batch = 8
END
  for name in iql vdn qmix qtran; do
    cat >"$dir/$name.toml" <<END
[experiment]
runs = 20
$two_step
name = "$name"
batch = 8
END
    [[ $name != iql ]] || continue # it has no lanes
    cat >"$dir/$name-lanes.toml" <<END
[experiment]
runs = 3
$two_step
name = "$name"
lanes = 100
rollout = 3
updates = 2
batch = 160
replay = { slots = 2000 }
utility = { width = 20 }
target = { every = 20 }
[sweep]
"learner.precision" = ["float32", "float64"]
END
  done
}

# What config_hash puts in front of its command: a time limit, for instance.
run_with=()

# config_hash CUMARL CONFIG ARGUMENT...: the result hash of a run, "failed: ..." if there is none.
config_hash() {
  local cumarl=$1 config=$2 out line
  shift 2
  local -a sets=()
  if [[ -f $config.set ]]; then
    while IFS= read -r line; do sets+=(--set "$line"); done <"$config.set"
  fi
  if out=$("${run_with[@]}" "$cumarl" run "$config" --json --quiet "${sets[@]}" "$@" 2>&1) &&
    [[ $out =~ \"result_hash\":\"([0-9a-f]{32})\" ]]; then
    printf '%s' "${BASH_REMATCH[1]}"
  else
    printf 'failed: %s' "${out:0:300}"
  fi
}
