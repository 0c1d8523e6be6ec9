#!/bin/sh
# tests/data/format/make_format.sh: writes the model files that every later pare must read, by the
# program at hand and in its format, into tests/data/format/VERSION (docs/checkpoint.md). Run once a
# version; what is there stays as it is. 1 was made by pare 0.1.0.
#
#   PARE=build/pare tests/data/format/make_format.sh
cd "$(dirname "$0")/../../.." || exit 1
PARE=${PARE:-build/pare}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
"$PARE" import tests/data/hf/tiny "$work/model.h5" || exit 1
version=$(head -c 10 "$work/model.h5" | sed 's/pare 0*//')
folder=tests/data/format/$version
if [ -e "$folder/checkpoint-5.h5" ]; then
    echo "error: $folder is there already, and files of a format never change" >&2
    exit 1
fi
mkdir -p "$folder"
# Five of twelve steps, with an evaluation after the third.
for _ in 1 2 3 4 5; do
    "$PARE" finetune --model "$work/model.h5" --task classify --data tests/data/format \
        --text-column text --label-column label --epochs 4 --batch-size 4 --learning-rate 0.02 \
        --seed 1 --output "$work/run" --resume --max-seconds 1e-9
done
cp "$work/run/checkpoint-5.h5" "$folder/checkpoint-5.h5"
# A model with gates, whose matrices are factors and whose second head is gone.
"$PARE" heads prune --model "$work/model.h5" --task classify --data tests/data/format \
    --text-column text --label-column label --count 1 --score random "$work/pruned.h5" &&
    "$PARE" flop factorize --model "$work/pruned.h5" --gates "$folder/gated.h5"
