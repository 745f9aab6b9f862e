"""The cards of converted weights: the Hub's own reader takes them, and the programs in them run as they are printed.

    pip install torch torchvision transformers timm onnxruntime safetensors numpy pillow
    cargo build --release -p dinoscope
    python tests/interop/cards_check.py [--program PATH] [--official FOLDER] [--only NAME]

For the starter weights, random ones of several kinds and a small run: `dinoscope weights convert --card` to every form.
What stands between the fences of `README.md` is executed beside it, with a picture; the tokens that it computes must be
those of `dinoscope features --npy` within 1e-4. Ends with status 1 when something differs. The official code: see
`handover_check.py`.
"""

import argparse
import contextlib
import os
import re
import subprocess
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import transformers
from huggingface_hub import ModelCard

import common
from common import ANTIALIAS, CASES, ROOT, Dinoscope, Tally, picture
from handover_check import official_code, resampled_as

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
CHECKED = ["offset", "registers", "plain", "swiglu", "vits14"]
# Library that the front matter names, for each form; a file's name, or none for a folder.
FORMS = {
    "hugging-face": ("transformers", None),
    "timm": ("timm", "model.safetensors"),
    "official": ("dinoscope", "model.safetensors"),
    "onnx": ("onnx", "model.onnx"),
}
TINY = [
    "model.depth=2",
    "model.dim=48",
    "crops.global_size=32",
    "crops.local_size=16",
    "crops.locals=2",
    "head.prototypes=64",
    "head.hidden=32",
    "data.scene_size=32",
    "data.scenes=24",
    "train.batch=4",
    "train.iterations=24",
    "train.evaluate_every=24",
]


def middle(rgb, side):
    """The square in the middle, cut as torchvision does."""
    top, left = (round((length - side) / 2) for length in rgb.shape[:2])
    return rgb[top : top + side, left : left + side]


def run_python(code, folder):
    """Executes a program in a folder; the names that it leaves behind."""
    names = {}
    with contextlib.chdir(folder):
        exec(compile(code, "README.md", "exec"), names)
    return names


class Check:
    def __init__(self, dinoscope, tally, name, source, config):
        self.dinoscope, self.tally, self.name, self.source, self.config = dinoscope, tally, name, source, config

    def card(self, form):
        """Converts, and returns the folder with the card in it."""
        library, file = FORMS[form]
        folder = self.dinoscope.folder / f"{self.name}-{form}"
        folder.mkdir()
        self.dinoscope.run("weights", "convert", self.source, folder / file if file else folder, "--to", form, "--card", "--force")
        card = ModelCard.load(folder / "README.md")
        said = (card.data.library_name, card.data.pipeline_tag, card.data.license)
        assert said == (library, "image-feature-extraction", "unknown"), said
        assert "dinov2" in card.data.tags, card.data.tags
        return folder, (folder / "README.md").read_text()

    def weights_like(self, form, folder):
        """Weights with which Dinoscope resamples positions as the form's program does."""
        if form == "hugging-face":
            return folder
        if form == "timm":
            # With the original's positions in it, all of them.
            whole = self.dinoscope.folder / f"{self.name}-whole.safetensors"
            self.dinoscope.run("weights", "convert", self.source, whole, "--to", "official", "--no-card", "--force")
            return resampled_as(whole, self.dinoscope.folder / f"{self.name}-like.safetensors", ANTIALIAS)
        return self.source

    def hold(self, form):
        folder, text = self.card(form)
        patch, image = self.config["patch"], self.config["grid"] * self.config["patch"]
        side = min(image, 224 // patch * patch)
        # Of a size that is not resized, so that only the model is compared.
        whole = side if form == "onnx" else side * 256 // 224
        # The middle lies between whole pixels; halves are rounded in more ways than one.
        rgb = picture(whole, whole + (0 if form == "onnx" else 10 - (whole - side) % 2))
        common.write_png(folder / "picture.jpg", rgb)
        programs = dict(re.findall(r"```(python|sh)\n(.*?)```", text.split("## How it was trained")[0], re.DOTALL))
        names = run_python(programs["python"], folder)
        patches, cls = self.dinoscope.features(self.weights_like(form, folder), middle(rgb, side), patch)
        found = [np.asarray(names[part])[0] for part in ("cls", "patches")]
        worst = max(np.abs(found[0] - cls).max(), np.abs(found[1] - patches).max())
        self.tally.hold(f"{self.name}, card of {form}", f"{side} x {side}", worst)
        if form != "onnx":
            path = f"{self.dinoscope.path.parent}{os.pathsep}{os.environ['PATH']}"
            subprocess.run(["sh", "-ec", programs["sh"]], cwd=folder, env=os.environ | {"PATH": path}, check=True, **QUIET)
            assert (folder / "seen/picture.pca.png").is_file(), "what the card promises was not written"
        return text


def a_run(dinoscope):
    """A run of seconds, and the same in one file."""
    folder = dinoscope.folder / "tiny-run"
    sets = [word for pair in TINY for word in ("--set", pair)]
    dinoscope.run("train", "nano", *sets, "--out", folder, "--device", "cpu", "--json")
    packed = dinoscope.folder / "tiny-run.zip"
    with zipfile.ZipFile(packed, "w") as zip_:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.parent.name != "tensorboard":
                zip_.write(file, file.relative_to(folder))
    return folder, packed


def check_run(dinoscope, tally, forms):
    folder, packed = a_run(dinoscope)
    whole = dinoscope.folder / "tiny-run.safetensors"
    dinoscope.run("weights", "convert", folder, whole, "--to", "official", "--no-card", "--force")
    config = common.own_config(whole)
    texts = [
        Check(dinoscope, tally, name, source, config).hold("hugging-face")
        for name, source in [("run", folder), ("zip", packed)]
    ]
    assert texts[0] == texts[1], "a run in one file has another card"
    for part in ("# tiny-run", "24 of 24", "24 varied scenes", "k-NN top-1", "--set model.dim=48"):
        assert part in texts[0], f"{part!r} is not in the card of a run"
    assert "grid" in dinoscope.run("weights", "inspect", packed)
    for form in (form for form in forms if form != "hugging-face"):
        Check(dinoscope, tally, "run", whole, config).hold(form)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=common.program(), type=Path)
    parser.add_argument("--official", default=os.environ.get("DINOV2"), help="a checkout of facebookresearch/dinov2")
    parser.add_argument("--only", help="one case")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="xFormers")
    transformers.utils.logging.disable_progress_bar()
    missing = official_code(arguments.official)
    forms = [form for form in FORMS if form != "official" or missing is None]
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        dinoscope = Dinoscope(arguments.program.resolve(), folder)
        starter = ROOT / "assets/weights/starter.safetensors"
        for name, given in [("starter", starter), *((name, c) for name, c, _ in CASES if name in CHECKED)]:
            if arguments.only not in (None, name):
                continue
            weights = given
            if isinstance(given, dict):
                weights = folder / f"{name}.safetensors"
                common.write_weights(weights, given)
            config = common.own_config(weights)
            for form in forms:
                Check(dinoscope, tally, name, weights, config).hold(form)
        if arguments.only in (None, "run"):
            check_run(dinoscope, tally, forms)
    if missing is not None:
        print(f"\nnot compared with the official code: {missing}\na checkout of it: --official FOLDER or DINOV2=FOLDER")
    tally.end()


if __name__ == "__main__":
    main()
