"""What the checks in this folder share: random backbones as weights files, pictures, and the program itself."""

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
TOLERANCE = 1e-4
OFFSET = {"offset": 0.1, "antialias": False}
SIZE = {"offset": 0.0, "antialias": False}
ANTIALIAS = {"offset": 0.0, "antialias": True}
# DINOv3's positions, biases and norms.
ROPE = {"rope": {"base": 100.0}, "key_bias": False, "norm_eps": 1e-5}


def config(patch, grid, dim, depth, heads, **more):
    """A backbone as the program writes it into its files."""
    swiglu = more.get("ffn") == "swiglu"
    base = {
        "patch": patch,
        "grid": grid,
        "dim": dim,
        "depth": depth,
        "heads": heads,
        "ffn": "mlp",
        "hidden": -(-(8 * dim // 3) // 8) * 8 if swiglu else 4 * dim,
        "registers": 0,
        "layerscale": 1e-5,
        "qkv_bias": True,
        "interpolation": OFFSET,
        "drop_path": 0.0,
    }
    return base | more


def sides(c):
    """Rows and columns of a backbone's grid: a number where they are the same."""
    return tuple(c["grid"]) if isinstance(c["grid"], list) else (c["grid"], c["grid"])


# Name, backbone, sizes in patches (rows, cols) to look at; the first is the stored grid.
CASES = [
    ("offset", config(8, 12, 96, 4, 3), [(12, 12), (7, 15), (20, 13)]),
    ("size", config(8, 12, 96, 4, 3, interpolation=SIZE, qkv_bias=False), [(12, 12), (7, 15), (20, 13)]),
    ("registers", config(14, 9, 128, 3, 2, registers=4, interpolation=ANTIALIAS), [(9, 9), (5, 11), (17, 12)]),
    ("wide", config(14, [14, 16], 128, 3, 2, interpolation=ANTIALIAS), [(14, 16), (5, 11), (17, 12)]),
    ("tall", config(8, [9, 4], 64, 3, 4, registers=4, norm_eps=0.01), [(9, 4), (4, 9), (13, 4)]),
    ("epsilon", config(8, 6, 64, 3, 4, norm_eps=0.01), [(6, 6), (6, 9), (13, 4)]),
    ("plain", config(8, 6, 64, 3, 4, layerscale=None), [(6, 6), (6, 9), (13, 4)]),
    ("swiglu", config(14, 10, 192, 3, 3, ffn="swiglu", registers=2), [(10, 10), (16, 16), (6, 19)]),
    ("rope", config(8, 9, 96, 3, 3, registers=3, **ROPE), [(9, 9), (5, 11), (17, 12)]),
    ("rope_swiglu", config(16, 6, 192, 3, 3, ffn="swiglu", registers=4, **ROPE), [(6, 6), (14, 14), (6, 19)]),
    ("rope_no_bias", config(8, 6, 128, 3, 2, registers=1, qkv_bias=False, **ROPE), [(6, 6), (9, 4)]),
    ("vits14", config(14, 37, 384, 12, 6), [(37, 37), (16, 16), (20, 14)]),
    ("vits14_reg", config(14, 37, 384, 12, 6, registers=4, interpolation=ANTIALIAS), [(37, 37), (16, 16), (20, 14)]),
]


def shapes(c):
    """Official keys and shapes of a backbone."""
    d, h = c["dim"], c["hidden"]
    out = {
        "cls_token": (1, 1, d),
        "mask_token": (1, d),
        "pos_embed": (1, 1 + int(np.prod(sides(c))), d),
        "patch_embed.proj.weight": (d, 3, c["patch"], c["patch"]),
        "patch_embed.proj.bias": (d,),
        "norm.weight": (d,),
        "norm.bias": (d,),
    }
    if "rope" in c:
        del out["pos_embed"]
    if c["registers"]:
        out["register_tokens"] = (1, c["registers"], d)
    ffn = {"mlp.fc1": (h, d), "mlp.fc2": (d, h)} if c["ffn"] == "mlp" else {"mlp.w12": (2 * h, d), "mlp.w3": (d, h)}
    for i in range(c["depth"]):
        for layer, shape in ({"attn.qkv": (3 * d, d), "attn.proj": (d, d)} | ffn).items():
            out[f"blocks.{i}.{layer}.weight"] = shape
            if layer != "attn.qkv" or c["qkv_bias"]:
                out[f"blocks.{i}.{layer}.bias"] = shape[:1]
        for norm in ("norm1", "norm2"):
            out[f"blocks.{i}.{norm}.weight"] = out[f"blocks.{i}.{norm}.bias"] = (d,)
        if c["layerscale"] is not None:
            out[f"blocks.{i}.ls1.gamma"] = out[f"blocks.{i}.ls2.gamma"] = (d,)
    return out


def write_weights(path, c):
    """Random weights as a safetensors file: sizes as trained ones have, LayerScale near 1, so that depth matters."""
    rng = np.random.default_rng(c["dim"])
    header, blobs, at = {"__metadata__": {"dinoscope.config": json.dumps(c)}}, [], 0
    for key, shape in sorted(shapes(c).items()):
        near_one = key.endswith("gamma") or ("norm" in key and key.endswith("weight"))
        scale = 1.0 / np.sqrt(shape[-1]) if len(shape) == 2 and key.endswith("weight") else 0.1
        values = (rng.standard_normal(shape) * scale + near_one).astype("<f4")
        header[key] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
        blobs.append(values.tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def header(path):
    """The header of a safetensors file, and where the numbers begin."""
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        return json.loads(file.read(length)), 8 + length


def own_config(path):
    """The backbone that a file of the program describes."""
    return json.loads(header(path)[0]["__metadata__"]["dinoscope.config"])


def write_png(path, rgb):
    """An RGB picture, `[height, width, 3]`, without a library."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = rgb.shape
    rows = b"".join(b"\0" + row.tobytes() for row in rgb)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def picture(height, width):
    """Smooth colours with noise: neighbouring patches are alike, none are the same."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = np.stack([np.sin(0.05 * x + 0.02 * y), np.cos(0.03 * x * y / 50), np.sin(0.07 * y)], axis=2)
    noise = np.random.default_rng(height * width).uniform(-30, 30, waves.shape)
    return np.clip(127 + 90 * waves + noise, 0, 255).astype(np.uint8)


def program():
    """The `dinoscope` that cargo built."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "dinoscope"


def tensors_of(rgb):
    """Pictures `[height, width, 3]` of 8 bits as every model here takes them: `[3, height, width]`, normalised."""
    return ((rgb.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)


class Dinoscope:
    """The program, and what it computes itself on the CPU."""

    def __init__(self, path, folder):
        self.path, self.folder = path, folder

    def run(self, *arguments):
        words = [str(word) for word in arguments]
        done = subprocess.run([self.path, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"dinoscope {' '.join(words)}: {done.stderr}")
        return done.stdout

    def features(self, weights, rgb, patch):
        """Patch tokens `[patches, dim]` and the CLS token of a picture whose sides are multiples of the patch."""
        image = self.folder / "seen.png"
        write_png(image, rgb)
        self.run(
            *("features", image, "--weights", weights, "--out", self.folder, "--npy"),
            *("--device", "cpu", "--resolution", min(rgb.shape[:2])),
        )
        patches = np.load(self.folder / "seen.npy")
        assert patches.shape[:2] == (rgb.shape[0] // patch, rgb.shape[1] // patch), "the picture was resized"
        return patches.reshape(-1, patches.shape[2]), np.load(self.folder / "seen.cls.npy")


class Tally:
    """Says of each comparison whether it is good, and counts."""

    def __init__(self):
        self.good = self.bad = 0

    def hold(self, name, about, worst):
        """A largest difference, which must be below the tolerance."""
        good = bool(worst < TOLERANCE)
        self.good += good
        self.bad += not good
        word = "ok    " if good else "FAILED"
        print(f"{word} {name:<34} {about:>12}   largest difference {worst:.1e}", flush=True)

    def end(self):
        """Ends the program: with status 1 when something was not good."""
        print(f"\n{self.good} passed, {self.bad} failed")
        sys.exit(1 if self.bad else 0)
