#!/bin/sh
# Trains the bundled model again, from random weights. Stopped, it goes on where it was when it is called again.
#   recipes/bundled.sh COCO TEACHER
# COCO     folder with instances.json and images/ (we used 3,572 pictures of COCO train2017)
# TEACHER  YOLOX ONNX file (yolox_nano.onnx of the YOLOX 0.1.1rc0 release, Apache-2.0)
set -eu
coco=$1 teacher=$2

[ -d runs/coco-parts ] || lucidbox data split "$coco" runs/coco-parts --parts train=0.95,val=0.05 --seed 0

# part NAME OPTIONS...: begins a part of the training, or goes on with it
train="lucidbox train"
part() {
    name=$1; shift
    [ ! -e "runs/$name/best.onnx" ] || return 0
    if [ -d "runs/$name" ]; then $train --resume "runs/$name"; return; fi
    $train runs/coco-parts/data.toml --recipe "recipes/$name.toml" --set "teacher=$teacher" \
        --licence Apache-2.0 --out "runs/$name" "$@"
}
part bundled-224 --model yolo11n
part bundled-224-long --weights runs/bundled-224/best.safetensors
part bundled-320 --weights runs/bundled-224-long/last.safetensors
part bundled-416 --weights runs/bundled-320/last.safetensors
# On two cores, two processes of one thread learn more pictures an hour than one of two threads.
train="torchrun --nproc-per-node 2 -m lucidbox train"
part bundled-320-more --weights runs/bundled-416/best.safetensors
part bundled-416-more --weights runs/bundled-320-more/last.safetensors
part bundled-320-third --weights runs/bundled-416-more/best.safetensors
part bundled-416-third --weights runs/bundled-320-third/last.safetensors

# The mean of the last two parts' weights, which on the part that was kept from training has 0.128 at 384 pixels and 0.119 at
# 416; the two have 0.130 and 0.126, 0.114 and 0.118.
python3 - runs/bundled-320-third/last.safetensors runs/bundled-416-third/best.safetensors runs/bundled-mean.safetensors <<'END'
import sys
from dataclasses import replace
from pathlib import Path
from lucidbox import weights

first, second = (weights.read(Path(name)) for name in sys.argv[1:3])
mean = {
    name: value if value.dtype.kind in "iu" else (value + second.tensors[name]) / 2 for name, value in first.tensors.items()
}
provenance = f"mean of the weights that its last part began with and ended with: {second.provenance}"
weights.write(replace(first, tensors=mean, provenance=provenance), Path(sys.argv[3]))
END

# On the part that was kept from training: of the sizes 384, 416 and 448 the first has the highest AP, and of thresholds
# whose F1 is at most 0.01 below the best the highest is taken, which has fewer false boxes.
lucidbox evaluate --annotations runs/coco-parts/data.toml --part val --weights runs/bundled-mean.safetensors --size 384 \
    --precision fp32 --save-predictions runs/kept.json
conf=$(python3 - runs/coco-parts/val.json runs/kept.json <<'END'
import sys
from lucidbox.evaluate import evaluate, load_predictions, load_truth
from lucidbox.evaluate.operating import pooled_sweep

truth = load_truth(sys.argv[1])
sweep = pooled_sweep(evaluate(truth, load_predictions(sys.argv[2], truth)).matching)
print(f"{max(sweep.scores[sweep.f1 >= sweep.f1.max() - 0.01]):.2f}")
END
)
lucidbox weights convert runs/bundled-mean.safetensors runs/yolo11n.safetensors --fp16 --size 384 --conf "$conf" --force
lucidbox export runs/yolo11n.safetensors --to onnx --precision fp16 --out runs/yolo11n.onnx --force
echo "runs/yolo11n.safetensors and runs/yolo11n.onnx are made; the package's are in src/lucidbox/model_files/bundled/"
