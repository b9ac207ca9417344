#!/usr/bin/env bash
# Retrain nano for short questions, then its family, and measure both (one GPU; every stage takes up to ten minutes).
#
#   benchmarks/retrain_nano.sh base    OUT   one stage of the base: RECIPE, from INIT's result (or the shipped weights for it)
#   benchmarks/retrain_nano.sh quality OUT   the base's short questions and its test split
#   benchmarks/retrain_nano.sh family  OUT   four adapters, two heads and two controls, three at a time; short questions
#   benchmarks/retrain_nano.sh members OUT   instead of family: adapters and heads alone, nothing decoded
#   benchmarks/retrain_nano.sh measure OUT   the family and the controls on the test split, diagnostics, the papers' grid
#   benchmarks/retrain_nano.sh install OUT   what a stage left in OUT becomes what is shipped: after base and after family
#
# Runs lie in runs/ and go on from their last checkpoint when a stage is called again; results are copied into OUT.
# On an H100 a step of the base takes 0.2 s, after a minute of compiling: choose steps so that MINUTES do not cut the schedule.
# PROCESSES (1) is on how many GPUs the base is trained: each takes its part of every batch.
# SETTINGS and HEAD_SETTINGS hold more key=value settings of all runs and of the heads'; MINUTES is the longest time of the
# base's training; LIMIT, GRID_LIMIT and SHORT are numbers of problems; DEVICE and BATCH say how they are decoded.
# A dry run of everything on a CPU: benchmarks/retrain_nano.sh dry OUT. Where packages are missing, their wheels are taken
# from the folder .whl, if there is one.
set -euo pipefail
stage=$1 out=$2
small=runs/results  # small files, from where they go into few archives
mkdir -p "$out" "$small"
out=$(cd "$out" && pwd)
python=${PYTHON:-python3}
nano=dlmsample/models/nano
recipe=${RECIPE:-nano_short}
members="random_t2t self_generated_t2t scope mdm fca uniform"
controls="copying masks"

say() { echo "$(date -u +%T) $*"; }

options() {
  read -ra settings <<< "${SETTINGS:-}"
  read -ra head_settings <<< "${HEAD_SETTINGS:-}"
  device=${DEVICE:-cuda} batch=${BATCH:-1000} limit=${LIMIT:-1000} short=${SHORT:-200}
  decode=(--device "$device" --dtype float32)
  export TORCHINDUCTOR_COMPILE_THREADS=4 TOKENIZERS_PARALLELISM=false
  export PYTHONPATH="$PWD:$PWD/runs/site${PYTHONPATH:+:$PYTHONPATH}"
}

# What the wheels in .whl bring and this Python lacks, or has only in an older version.
packages() { "$python" benchmarks/unpack_wheels.py runs/site; }

# The short questions: name, then what quality.py is to load and more policies.
short_questions() {
  local name=$1
  shift
  "$python" -m benchmarks.quality --task wordproblems.short --split test --limit "$short" --batch-size "$short" "${decode[@]}" \
    --policy unmask:tokens_per_step=1 --policy t2m --policy unmask:tokens_per_step=4 "$@" \
    --json "$small/short_$name.json" --answers "$small/short_$name.jsonl"
}

base() {
  local init=runs/${INIT:-nano}/final run=runs/$recipe
  if [ ! -e "$init/model.safetensors" ]; then
    mkdir -p "$init"
    cp "$nano"/*.json "$nano"/*.jinja "$nano"/model.safetensors "$init/"
  fi
  say training
  local train=("$python" -m)
  [ "${PROCESSES:-1}" -eq 1 ] || train+=(torch.distributed.run --nproc-per-node "$PROCESSES" --module)
  "${train[@]}" dlmsample.train --recipe "$recipe" --out "$run" --max-minutes "${MINUTES:-7.2}" "${settings[@]/#/--set=}"
  if [ ! -e "$run/final/model.safetensors" ]; then
    say "not finished: exporting the last checkpoint"
    "$python" -m dlmsample.train export "$(find "$run" -maxdepth 1 -name 'checkpoint-*' | sort -V | tail -n 1)" "$run/final"
  fi
  cp "$run"/final/model.safetensors "$out/"
  cp "$run"/final/{training.json,config.json,README.md} "$run/metrics.jsonl" "$small/"
  local made=(training.json config.json README.md metrics.jsonl)
  pack base "${made[@]}"
}

# How good the base is: first the short questions, then the test split.
quality() {
  local run=runs/$recipe
  local made=(training.json config.json README.md metrics.jsonl)
  say short questions
  short_questions base --model "$run/final"
  made+=(short_base.json short_base.jsonl)
  pack base "${made[@]}"
  say test split
  "$python" -m benchmarks.quality --model "$run/final" --split test --limit "$limit" --batch-size "$batch" "${decode[@]}" \
    --policy unmask:tokens_per_step=1 --policy unmask:tokens_per_step=2 --policy unmask:tokens_per_step=3 \
    --policy unmask:tokens_per_step=4 --policy unmask:tokens_per_step=8 --json "$small/nano_quality.json"
  made+=(nano_quality.json)
  pack base "${made[@]}"
  "$python" -m benchmarks.quality --model "$run/final" --task wordproblems.plain --split test --limit "$limit" \
    --batch-size "$batch" "${decode[@]}" --policy unmask:tokens_per_step=1 --policy unmask:tokens_per_step=4 \
    --json "$small/nano_plain.json"
  pack base "${made[@]}" nano_plain.json
}

# Small files in one archive, since few come back; made anew whenever there are more of them.
pack() {
  local name=$1
  shift
  tar -czf "$out/$name.tar.gz" -C "$small" "$@"
}

train_member() {
  local more=("${settings[@]/#/--set=}")
  case $1 in fca | uniform) more+=("${head_settings[@]/#/--set=}") ;; esac
  "$python" -m dlmsample.train --recipe "nano_$1" --out "runs/nano_$1" "${more[@]}" > "runs/nano_$1.log" 2>&1 ||
    { say "$1 failed"; tail -n 20 "runs/nano_$1.log"; return 1; }
}

# Members at once. What is there is packed whenever one ends, so that a failed or a late one does not cost the others' results.
wave() {
  local member
  for member in "$@"; do train_member "$member" & done
  for member in "$@"; do
    wait -n || true
    pack_members
  done
  say "trained: $*"
}

pack_members() {
  local found=() member
  for member in $members $controls; do
    if [ -e "runs/nano_$member/final" ]; then
      found+=("nano_$member/final" "nano_$member/metrics.jsonl" "nano_$member.log")
    fi
  done
  [ ${#found[@]} -eq 0 ] || tar -czf "$out/family.tar.gz" -C runs "${found[@]}"
}

# The members alone, three at a time: each takes up to 20 GiB of the GPU.
members() {
  wave random_t2t self_generated_t2t scope
  wave mdm fca uniform
}

family() {
  members
  say short questions
  local ids=()
  for member in mdm random_t2t self_generated_t2t scope; do
    [ -e "runs/nano_$member/final" ] || continue
    short_questions "$member" --adapter "runs/nano_$member/final" --policy "$(own_policy "$member")" &
    ids+=($!)
  done
  for id in "${ids[@]}"; do wait "$id" || say "short questions failed"; done
  # shellcheck disable=SC2046
  pack short $(cd "$small" && ls | grep '^short_') || say "no short questions"
  # shellcheck disable=SC2086
  wave $controls
}

own_policy() {
  case $1 in
    mdm) echo "unmask:threshold=0.9" ;;
    scope) echo "d3im:steps=48,block_length=all" ;;
    *) echo "t2t" ;;
  esac
}

# Diagnostics of the base and every member at two mask rates, four at a time.
diagnose() {
  local ids=() folder=runs/diagnosed
  mkdir -p "$folder"
  for rate in 0.5 0.9; do
    for what in "" "--adapter mdm" "--adapter random_t2t" "--adapter self_generated_t2t" "--adapter scope" "--head fca" "--head uniform"; do
      # shellcheck disable=SC2086
      "$python" -m dlmsample diagnose nano $what --split test --limit "$limit" --mask-rate "$rate" --batch-size 250 \
        "${decode[@]}" --json > "$folder/${what//[- ]/_}_$rate.json" 2> "$folder/log" &
      ids+=($!)
      if [ ${#ids[@]} -ge 4 ]; then
        wait "${ids[0]}" || say "a diagnosis failed: $(tail -n 1 "$folder/log")"
        ids=("${ids[@]:1}")
      fi
    done
  done
  for id in "${ids[@]}"; do wait "$id" || say "a diagnosis failed: $(tail -n 1 "$folder/log")"; done
  tar -czf "$out/diagnosed.tar.gz" -C runs diagnosed
}

# The family and the grid at once: neither fills a GPU. The grid goes on where it stopped when the stage is called again.
measure() {
  say family and grid
  grid > runs/grid.log 2>&1 &
  local grid_id=$!
  # shellcheck disable=SC2086
  "$python" -m benchmarks.family --split test --limit "$limit" --batch-size "$batch" --device "$device" \
    --controls runs ${ONLY:+--only $ONLY} --json "$small/nano_family.json"
  pack family_test nano_family.json
  say diagnostics
  diagnose
  say "waiting for the grid"
  wait "$grid_id" || say "the grid is not whole: $(tail -n 3 runs/grid.log)"
}

grid() {
  local code=0
  "$python" -m dlmsample ablate "${GRID:-examples/papers_on_nano.yaml}" --out runs/papers --device "$device" \
    --limit "${GRID_LIMIT:-500}" --batch-size "${GRID_BATCH:-500}" || code=$?
  # No file that comes back may be larger than 16 MiB: papers.tar.gz.aa, .ab, ...
  tar -cz -C runs papers | split -b 15M - "$out/papers.tar.gz."
  return "$code"
}

install() {
  if [ -e "$out/base.tar.gz" ]; then
    tar -xzf "$out/base.tar.gz" -C "$nano" metrics.jsonl training.json config.json
    cp "$out/model.safetensors" "$nano/"
    chmod 644 "$nano/model.safetensors"
  fi
  if [ -e "$out/family.tar.gz" ]; then
    mkdir -p runs
    tar -xzf "$out/family.tar.gz" -C runs
    for member in $members; do
      [ -e "runs/nano_$member/final" ] || continue
      case $member in fca | uniform) folder=$nano/heads/$member ;; *) folder=$nano/adapters/$member ;; esac
      cp "runs/nano_$member/final"/* "$folder/"
      chmod 644 "$folder"/*
    done
  fi
}

# Every stage with the smallest numbers, from the same code; nothing is installed.
dry() {
  export SETTINGS="steps=2 batch_size=4 micro_batches=1 workers=0 compile=false precision=no warmup=1 checkpoint_every=1 sample=null"
  export HEAD_SETTINGS="head.calibration_rows=4 head.operating.problems=2 head.operating.minutes=1"
  export MINUTES=5 LIMIT=2 SHORT=2 GRID_LIMIT=1 GRID_BATCH=1 DEVICE=cpu BATCH=2
  export ONLY=base GRID=$out/dry.yaml
  cat > "$GRID" <<'YAML'
name: dry
tasks: [{name: wordproblems, split: test, limit: 1}]
checkpoints: [{model: nano, adapter: scope}]
policies: [{policy: unmask, tokens_per_step: 8}]
seeds: [0]
max_new_tokens: 32
YAML
  options
  base
  quality
  family
  measure
}

options
packages
"$stage"
say "$stage done"
