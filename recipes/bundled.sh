#!/bin/sh
# Trains the bundled model again, from random weights. Stopped, it goes on where it was when it is called again.
#   recipes/bundled.sh COCO TEACHER
# COCO     folder with instances.json and images/ (we used 3,572 pictures of COCO train2017)
# TEACHER  YOLOX ONNX file (yolox_nano.onnx of the YOLOX 0.1.1rc0 release, Apache-2.0)
set -eu
coco=$1 teacher=$2

[ -d runs/coco-parts ] || lucidbox data split "$coco" runs/coco-parts --parts train=0.95,val=0.05 --seed 0

# part NAME OPTIONS...: begins a part of the training, or goes on with it
part() {
    name=$1; shift
    [ ! -e "runs/$name/best.onnx" ] || return 0
    if [ -d "runs/$name" ]; then lucidbox train --resume "runs/$name"; return; fi
    lucidbox train runs/coco-parts/data.toml --recipe "recipes/$name.toml" --set "teacher=$teacher" \
        --licence Apache-2.0 --out "runs/$name" "$@"
}
part bundled-224 --model yolo11n
part bundled-224-long --weights runs/bundled-224/best.safetensors
part bundled-320 --weights runs/bundled-224-long/last.safetensors
part bundled-416 --weights runs/bundled-320/last.safetensors

# The threshold of best F1 is chosen on the part that was kept from training.
lucidbox evaluate --annotations runs/coco-parts/data.toml --part val --weights runs/bundled-416/best.onnx \
    --json runs/bundled-416/val.json
conf=$(python3 -c 'import json; print(round(json.load(open("runs/bundled-416/val.json"))["best"]["score"], 2))')
lucidbox weights convert runs/bundled-416/best.safetensors runs/yolo11n.safetensors --fp16 --conf "$conf" --force
lucidbox export runs/yolo11n.safetensors --to onnx --precision fp16 --out runs/yolo11n.onnx --force
echo "runs/yolo11n.safetensors and runs/yolo11n.onnx are made; the package's are in src/lucidbox/model_files/bundled/"
