"""Converted weights in the programs that they are for, beside what Dinoscope itself computes.

    pip install torch transformers timm safetensors numpy
    cargo build --release -p dinoscope
    python tests/interop/handover_check.py [--program PATH] [--official FOLDER] [--only NAME]

For the starter weights and for random ones of every kind: what `dinoscope weights convert` writes must load in Hugging
Face `transformers`, in `timm` and in the official code with every key in its place, and must give the features of
`dinoscope features --npy` within 1e-4, at the size that the positions are stored for and at others. The official code
is a checkout of its repository: --official or DINOV2 names one (of DINOv3's, --official-dinov3 or DINOV3), else it is fetched from GitHub, and where that can't
be reached the summary says that it was left out. Ends with status 1 when something differs.
"""

import argparse
import io
import json
import os
import struct
import sys
import tarfile
import tempfile
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import timm
import torch
import transformers
from safetensors.torch import load_file
from timm.layers import SwiGLUPacked

import common
from common import ANTIALIAS, CASES, ROOT, Dinoscope, Tally, picture, tensors_of

# The official repositories as they were in August 2025 and July 2026.
COMMITS = {
    "dinov2": "b8931f7bf91576930313be2c6d6af376033b35f0",
    "dinov3": "6876159a11b4df116f30f667f8c9888617df0751",
}


def official_code(package, named):
    """Makes `dinov2` or `dinov3` importable; returns why not, if not."""
    cache = common.program().parents[1] / "interop"
    archive = f"https://codeload.github.com/facebookresearch/{package}/tar.gz/{COMMITS[package]}"
    folder = Path(named) if named else cache / f"{package}-{COMMITS[package]}"
    if not (folder / package / "models/vision_transformer.py").is_file():
        if named:
            sys.exit(f"{folder} is no checkout of facebookresearch/{package}")
        cache.mkdir(parents=True, exist_ok=True)
        try:
            with urllib.request.urlopen(archive, timeout=60) as answer:
                tarfile.open(fileobj=io.BytesIO(answer.read())).extractall(cache, filter="data")
        except OSError as error:
            return f"{archive}: {error}"
    sys.path.insert(0, str(folder))
    return None


def sizes(c):
    """Arguments that all three programs call alike."""
    return {
        "patch_size": c["patch"],
        "embed_dim": c["dim"],
        "depth": c["depth"],
        "num_heads": c["heads"],
        "qkv_bias": c["qkv_bias"],
    }


def official_model(c):
    if "rope" in c:
        return official_rope_model(c)
    from dinov2.models.vision_transformer import DinoVisionTransformer

    return DinoVisionTransformer(
        img_size=common.sides(c)[0] * c["patch"],
        **sizes(c),
        mlp_ratio=4,
        init_values=c["layerscale"],
        ffn_layer="mlp" if c["ffn"] == "mlp" else "swiglufused",
        block_chunks=0,
        num_register_tokens=c["registers"],
        interpolate_antialias=c["interpolation"]["antialias"],
        interpolate_offset=c["interpolation"]["offset"],
    )


def official_rope_model(c):
    from dinov3.models.vision_transformer import DinoVisionTransformer

    swiglu = c["ffn"] == "swiglu"
    return DinoVisionTransformer(
        img_size=common.sides(c)[0] * c["patch"],
        **sizes(c),
        ffn_ratio=4,
        layerscale_init=c["layerscale"],
        norm_layer="layernormbf16",
        ffn_layer="swiglu" if swiglu else "mlp",
        n_storage_tokens=c["registers"],
        mask_k_bias=True,
        pos_embed_rope_base=c["rope"]["base"],
        pos_embed_rope_dtype="fp32",
    )


def with_epsilon(model, c):
    """The model, its norms with the backbone's epsilon: the official code and timm have one built in."""
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = c.get("norm_eps", 1e-6)
    return model.eval()


def timm_model(c):
    if "rope" in c:
        return timm.create_model(
            "vit_small_patch16_dinov3_qkvb",
            num_classes=0,
            img_size=common.sides(c)[0] * c["patch"],
            **sizes(c),
            num_reg_tokens=c["registers"],
            mlp_ratio=(c["hidden"] + 0.5) / c["dim"],
            swiglu_mlp=c["ffn"] == "swiglu",
            swiglu_align_to=1 if c["ffn"] == "swiglu" else 0,
        )
    swiglu = {"mlp_layer": SwiGLUPacked, "act_layer": torch.nn.SiLU, "mlp_ratio": (2 * c["hidden"] + 0.5) / c["dim"]}
    registers = {"reg_tokens": c["registers"], "no_embed_class": True}
    return timm.create_model(
        "vit_small_patch14_dinov2",
        num_classes=0,
        img_size=tuple(side * c["patch"] for side in common.sides(c)),
        **sizes(c),
        # timm takes None for "as in this model".
        init_values=c["layerscale"] or 0,
        dynamic_img_size=True,
        **(swiglu if c["ffn"] == "swiglu" else {}),
        **(registers if c["registers"] else {}),
    )


def resampled_as(path, out, interpolation):
    """The same weights, whose positions are brought to other sizes in another way."""
    head, start = common.header(path)
    own = json.loads(head["__metadata__"]["dinoscope.config"])
    head["__metadata__"]["dinoscope.config"] = json.dumps(own | {"interpolation": interpolation})
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    out.write_bytes(struct.pack("<Q", len(text)) + text + path.read_bytes()[start:])
    return out


class Check:
    """One set of weights, in every program."""

    def __init__(self, dinoscope, tally, name, weights, sizes):
        self.dinoscope, self.tally, self.name, self.weights, self.sizes = dinoscope, tally, name, weights, sizes
        self.config = common.own_config(weights)
        self.known = {}

    def own(self, weights, size):
        """What Dinoscope computes, once for each weights and size."""
        if (weights, size) not in self.known:
            patch = self.config["patch"]
            rgb = picture(size[0] * patch, size[1] * patch)
            self.known[weights, size] = self.dinoscope.features(weights, rgb, patch)
        return self.known[weights, size]

    def convert(self, to, name):
        out = self.dinoscope.folder / f"{self.name}-{name}"
        self.dinoscope.run("weights", "convert", self.weights, out, "--to", to, "--no-card", "--force")
        return out

    @torch.no_grad()
    def hold(self, what, tokens_of, weights, sizes):
        """Compares all tokens of a model with Dinoscope's for some weights."""
        patch, prefix = self.config["patch"], 1 + self.config["registers"]
        for rows, cols in sizes:
            rgb = picture(rows * patch, cols * patch)
            tokens = tokens_of(torch.from_numpy(tensors_of(rgb))[None])[0].numpy()
            patches, cls = self.own(weights, (rows, cols))
            assert tokens.shape == (prefix + len(patches), len(cls)), tokens.shape
            worst = max(np.abs(tokens[prefix:] - patches).max(), np.abs(tokens[0] - cls).max())
            self.tally.hold(f"{self.name}, {what}", f"{rows * patch} x {cols * patch}", worst)

    def official(self):
        model = with_epsilon(official_model(self.config), self.config)
        model.load_state_dict(load_file(self.convert("official", "official.safetensors")), strict=True)

        def tokens(x):
            found = model.forward_features(x)
            registers = "x_storage_tokens" if "rope" in self.config else "x_norm_regtokens"
            parts = ("x_norm_clstoken", registers, "x_norm_patchtokens")
            return torch.cat([found[parts[0]][:, None], found[parts[1]], found[parts[2]]], dim=1)

        self.hold("official code", tokens, self.weights, self.sizes)

    def timm(self):
        model = with_epsilon(timm_model(self.config), self.config)
        model.load_state_dict(load_file(self.convert("timm", "timm.safetensors")), strict=True)
        if "rope" in self.config:
            self.hold("timm", model.forward_features, self.weights, self.sizes)
            return
        # timm brings positions to other sizes in its own way.
        twin = resampled_as(self.weights, self.dinoscope.folder / f"{self.name}-antialias.safetensors", ANTIALIAS)
        self.hold("timm", model.forward_features, self.weights, self.sizes[:1])
        self.hold("timm", model.forward_features, twin, self.sizes[1:])

    def hugging_face(self):
        folder = self.convert("hugging-face", "hf")
        model, loaded = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
        wrong = {what: list(keys) for what, keys in loaded.items() if keys}
        if wrong:
            sys.exit(f"{self.name}: transformers did not find everything in its place: {wrong}")
        kind = "Dinov2WithRegistersModel" if self.config["registers"] else "Dinov2Model"
        kind = "DINOv3ViTModel" if "rope" in self.config else kind
        assert type(model).__name__ == kind, type(model)
        model.eval()

        def tokens(x):
            return model(pixel_values=x).last_hidden_state

        # The folder is read as transformers reads it: positions are resampled in its way.
        self.hold("transformers", tokens, self.weights, self.sizes[:1])
        self.hold("transformers", tokens, folder, self.sizes)
        # And what transformers saves, Dinoscope reads.
        again = self.dinoscope.folder / f"{self.name}-saved"
        model.save_pretrained(again)
        self.hold("saved by transformers", tokens, again, self.sizes[1:2])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=common.program(), type=Path)
    parser.add_argument("--official", default=os.environ.get("DINOV2"), help="a checkout of facebookresearch/dinov2")
    parser.add_argument("--official-dinov3", default=os.environ.get("DINOV3"), help="one of facebookresearch/dinov3")
    parser.add_argument("--only", help="one case")
    arguments = parser.parse_args()
    # xFormers is not there, as the official code says three times.
    warnings.filterwarnings("ignore", message="xFormers")
    transformers.utils.logging.disable_progress_bar()
    missing = {
        "dinov2": official_code("dinov2", arguments.official),
        "dinov3": official_code("dinov3", arguments.official_dinov3),
    }
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        starter = ("starter", ROOT / "assets/weights/starter.safetensors", [(8, 8), (28, 28), (21, 40)])
        for name, given, sizes in [starter, *CASES]:
            if arguments.only not in (None, name):
                continue
            weights = given
            if isinstance(given, dict):
                weights = folder / f"{name}.safetensors"
                common.write_weights(weights, given)
            check = Check(Dinoscope(arguments.program, folder), tally, name, weights, sizes)
            check.timm()
            rows, cols = common.sides(check.config)
            # Only timm takes grids that are not square.
            if rows != cols:
                continue
            if missing["dinov3" if "rope" in check.config else "dinov2"] is None:
                check.official()
            check.hugging_face()
    for package, reason in missing.items():
        if reason is not None:
            print(
                f"\nnot compared with the official code: {reason}\na checkout of it: "
                f"--official{'' if package == 'dinov2' else '-dinov3'} FOLDER or {package.upper()}=FOLDER"
            )
    tally.end()


if __name__ == "__main__":
    main()
