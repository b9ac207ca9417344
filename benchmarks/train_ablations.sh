#!/usr/bin/env bash
# Ablations of training on nano: train them, two at a time on each GPU, and measure them (resumable).
#
#   benchmarks/train_ablations.sh train   OUT [NAME ...]   all of benchmarks/{ablations,seeds}/*.yaml and of $more below, or some;
#                                                          a shipped recipe nano_NAME may be named, too
#   benchmarks/train_ablations.sh measure OUT              each beside the shipped member: OUT/ablations.json
#   benchmarks/train_ablations.sh dry     OUT              both with the smallest numbers, on a CPU
#
# With two at once on an H100 a run takes 2 to 3 minutes, of joint training and ProSeCo 6 to 8; up to two of them are a
# head's operating point. Two at once fit into its memory (each takes up to 35 GiB). Runs lie in runs/ and go on from their
# last checkpoint when the stage is called again; MINUTES (8, a whole number) begins no further run after
# that time. GPUS (0) names the GPUs, like "0 1", and AT_ONCE (2) the runs on each. SETTINGS and HEAD_SETTINGS hold more key=value settings; LIMIT, DEVICE and BATCH
# say how they are measured. What has ended is packed into OUT/ablations.tar.gz.
set -euo pipefail
stage=$1 out=$2
shift 2
mkdir -p runs "$out"
out=$(cd "$out" && pwd)
python=${PYTHON:-python3}
began=$SECONDS
[[ ${MINUTES:-8} =~ ^[0-9]+$ ]] || { echo "MINUTES must be a whole number, got $MINUTES" >&2; exit 2; }
more="prism joint proseco copying masks"
export TORCHINDUCTOR_COMPILE_THREADS=4 TOKENIZERS_PARALLELISM=false
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

say() { echo "$(date -u +%T) $*"; }

names() {
  local file
  for file in benchmarks/ablations/*.yaml benchmarks/seeds/*.yaml; do basename "$file" .yaml; done
  printf '%s\n' $more
}

# Where the run of a name lies: what has a shipped recipe is called as that recipe.
folder() { if shipped "$1"; then echo "runs/nano_$1"; else echo "runs/$1"; fi; }

shipped() { [ -e "dlmsample/recipes/nano_$1.yaml" ]; }

recipe() {
  if shipped "$1"; then echo "nano_$1"; return; fi
  case $1 in
    *_seed*) echo "benchmarks/seeds/$1.yaml" ;;
    *) echo "benchmarks/ablations/$1.yaml" ;;
  esac
}

train_one() {
  local run head=() settings=()
  run=$(folder "$1")
  read -ra settings <<< "${SETTINGS:-}"
  case $1 in prism | joint | fca* | uniform*) read -ra head <<< "${HEAD_SETTINGS:-}" && settings+=("${head[@]}") ;; esac
  "$python" -m dlmsample.train --recipe "$(recipe "$1")" --out "$run" "${settings[@]/#/--set=}" > "$run.log" 2>&1 ||
    { say "$1 failed: $(tail -n 1 "$run.log")"; return 1; }
  say "$1 done"
}

# One of the runs at once of a GPU: it takes the next name that nobody has taken.
slot() {
  local name
  export CUDA_VISIBLE_DEVICES=$1
  shift
  for name in "$@"; do
    if [ -e "$(folder "$name")/final" ] || ! mkdir "$taken/$name" 2> /dev/null; then continue; fi
    if [ $((SECONDS - began)) -ge $((${MINUTES:-8} * 60)) ]; then say "no time left for $name"; continue; fi
    train_one "$name" || true
    (flock 9 && pack "$@") 9> "$taken/lock"
  done
}

pack() {
  local found=() name run
  for name in "$@"; do
    run=$(folder "$name")
    if [ -e "$run/final" ]; then found+=("${run#runs/}/final" "${run#runs/}/metrics.jsonl"); fi
  done
  [ ${#found[@]} -eq 0 ] || tar -czf "$out/ablations.tar.gz" -C runs "${found[@]}"
}

train() {
  local gpu
  # shellcheck disable=SC2046
  [ $# -gt 0 ] || set -- $(names)
  taken=$(mktemp -d)
  for gpu in ${GPUS:-0}; do
    for _ in $(seq "${AT_ONCE:-2}"); do slot "$gpu" "$@" & done
  done
  wait
  rm -r "$taken"
  pack "$@"
}

measure() {
  "$python" -m benchmarks.trained --limit "${LIMIT:-1000}" --batch-size "${BATCH:-1000}" --device "${DEVICE:-cuda}" \
    --max-new-tokens "${NEW:-160}" --json "$out/ablations.json"
}

dry() {
  export SETTINGS="steps=2 batch_size=4 micro_batches=1 workers=0 compile=false precision=no warmup=1 checkpoint_every=1 sample=null"
  export HEAD_SETTINGS="head.calibration_rows=4 head.operating.problems=2 head.operating.minutes=1"
  export LIMIT=2 BATCH=2 DEVICE=cpu NEW=32
  train "$@"
  measure
}

"$stage" "$@"
say "$stage done"
