#!/usr/bin/env bash
# transformers 5.24.0 writes a DINOv3 model under other names than the model itself has.
#
# A good guess: model.safetensors of `save_pretrained` holds the tensors of `state_dict()` under the same names, so that
# `load_state_dict(load_file("model.safetensors"))` gives the model back.
# What happens: blocks are `layer.0.…` in the file and `model.layer.0.…` in the model (`from_pretrained` renames them on the
# way). `load_state_dict(…, strict=False)` leaves every block at random and raises nothing; of 24 tensors of a model with
# one block 17 are missing and 17 unexpected. Both spellings are in circulation: files, and state dicts saved by `torch.save`.
#
# Takes a few GB in a temporary folder, which is removed at the end. Ends with status 1 when this has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.15.0 transformers==5.24.0 safetensors==0.8.0 numpy==2.4.6
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
import transformers
from safetensors.torch import load_file

config = transformers.DINOv3ViTConfig(
    hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, image_size=32
)
model = transformers.DINOv3ViTModel(config)
model.save_pretrained("saved")
in_file, in_model = load_file("saved/model.safetensors"), model.state_dict()
other = transformers.DINOv3ViTModel(config)
before = other.state_dict()["model.layer.0.mlp.up_proj.weight"].clone()
result = other.load_state_dict(in_file, strict=False)
untouched = torch.equal(before, other.state_dict()["model.layer.0.mlp.up_proj.weight"])
again = transformers.DINOv3ViTModel.from_pretrained("saved").state_dict()
whole = all(torch.equal(again[name], tensor) for name, tensor in in_model.items())

print(f"transformers {transformers.__version__}, torch {torch.__version__}")
print(f"in the file:  {min(set(in_file) - set(in_model))}")
print(f"in the model: {min(set(in_model) - set(in_file))}")
print(f"load_state_dict(strict=False): {len(result.missing_keys)} of {len(in_model)} missing, "
      f"{len(result.unexpected_keys)} unexpected, block as it was: {untouched}")
print(f"from_pretrained gives all of it back: {whole}")
as_seen = len(result.missing_keys) == len(result.unexpected_keys) == 17 and untouched and whole
sys.exit(0 if as_seen else 1)
PYTHON
