#!/usr/bin/env bash
# Train the nano family and compare its members on the validation split (one GPU, about ten minutes; resumable).
#
#   benchmarks/train_family.sh OUT [MEMBER ...]
#
# Each member's result lies in OUT/nano_MEMBER/final as soon as it is done; killed, the same command goes on.
set -euo pipefail
out=$1
shift
members=("$@")
[ ${#members[@]} -gt 0 ] || members=(mdm random_t2t self_generated_t2t scope fca uniform)
for member in "${members[@]}"; do
  python3 -m dlmsample.train --recipe "nano_$member" --out "$out/nano_$member"
done
python3 -m benchmarks.family --split valid --limit 500 --device cuda --batch-size 500 --runs "$out" --json "$out/family_valid.json"
