"""Exported ONNX files, run by onnxruntime, beside what the program itself computes.

    pip install onnx onnxruntime numpy
    cargo build --release -p dinoscope
    python tests/interop/onnx_check.py [--program PATH] [--only NAME]

For the starter weights and for random ones of every kind: `dinoscope weights convert --to onnx`, of free size and of a
fixed one; the file must pass onnx's checker, and its tokens must be those of `dinoscope features --npy` within 1e-4.
Ends with status 1 when one is not.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import common
from common import CASES, ROOT, Dinoscope, Tally, picture, tensors_of


class Check:
    def __init__(self, dinoscope, tally):
        self.dinoscope, self.tally = dinoscope, tally

    def session(self, weights, size):
        path = self.dinoscope.folder / "model.onnx"
        self.dinoscope.run("weights", "convert", weights, path, "--to", "onnx", "--size", size, "--force")
        onnx.checker.check_model(str(path), full_check=True)
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def compare(self, name, session, weights, patch, registers, rows, cols):
        rgb = picture(rows * patch, cols * patch)
        patches, cls = self.dinoscope.features(weights, rgb, patch)
        pixels = tensors_of(rgb)
        # A second picture of the batch: pictures must not see each other.
        batch = np.stack([pixels, pixels[:, ::-1]])
        tokens, pooled = session.run(["last_hidden_state", "pooler_output"], {"pixel_values": batch})
        assert tokens.shape[1] == 1 + registers + len(patches), tokens.shape
        worst = max(
            np.abs(tokens[0, 1 + registers :] - patches).max(),
            np.abs(tokens[0, 0] - cls).max(),
            np.abs(pooled[0] - cls).max(),
        )
        self.tally.hold(name, f"{rows * patch} x {cols * patch}", worst)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=common.program(), type=Path)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        check = Check(Dinoscope(arguments.program, Path(folder)), tally)
        for name, c, sizes in CASES:
            if arguments.only not in (None, name):
                continue
            weights = Path(folder) / f"{name}.safetensors"
            common.write_weights(weights, c)
            session = check.session(weights, "free")
            for rows, cols in sizes:
                check.compare(f"{name}, free", session, weights, c["patch"], c["registers"], rows, cols)
            rows, cols = sizes[-1]
            session = check.session(weights, f"{rows * c['patch']}x{cols * c['patch']}")
            check.compare(f"{name}, fixed", session, weights, c["patch"], c["registers"], rows, cols)
        if arguments.only in (None, "starter"):
            weights = ROOT / "assets/weights/starter.safetensors"
            session = check.session(weights, "free")
            for rows, cols in [(12, 12), (28, 28), (21, 40)]:
                check.compare("starter, free", session, weights, 8, 0, rows, cols)
    tally.end()


if __name__ == "__main__":
    main()
