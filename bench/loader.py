"""How many images a second one core makes into DINOv2's ten crops with torchvision, as the official code does it.

Prints one line of JSON. Without a folder it draws its own pictures (about 500 x 375, quality 90) and, with
`--keep FOLDER`, leaves them there, so that `dinoscope bench` can be timed on the very same files:

    python bench/loader.py --keep pictures --images 200
    python bench/loader.py pictures

Needs torch, torchvision, pillow and numpy.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def blur(probability):
    """The official wrapper: it hands the probability of *not* blurring on as that of blurring."""
    kernel = transforms.GaussianBlur(kernel_size=9, sigma=(0.1, 2.0))
    return transforms.RandomApply([kernel], p=1 - probability)


class MultiCrop:
    """`DataAugmentationDINO` of the official code with two global crops of 224 and eight local ones of 98."""

    def __init__(self, locals_count=8, global_size=224, local_size=98):
        self.locals_count = locals_count
        self.cut_global = self.cut(global_size, (0.32, 1.0))
        self.cut_local = self.cut(local_size, (0.05, 0.32))
        jitter = transforms.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
        colours = [transforms.RandomApply([jitter], p=0.8), transforms.RandomGrayscale(p=0.2)]
        normalize = [
            transforms.ToTensor(),
            transforms.Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        ]
        solarize = transforms.RandomSolarize(threshold=128, p=0.2)
        self.global1 = transforms.Compose([*colours, blur(1.0), *normalize])
        self.global2 = transforms.Compose([*colours, blur(0.1), solarize, *normalize])
        self.local = transforms.Compose([*colours, blur(0.5), *normalize])

    @staticmethod
    def cut(size, scale):
        bicubic = transforms.InterpolationMode.BICUBIC
        return transforms.Compose(
            [
                transforms.RandomResizedCrop(size, scale=scale, interpolation=bicubic),
                transforms.RandomHorizontalFlip(p=0.5),
            ]
        )

    def __call__(self, picture):
        crops = [self.global1(self.cut_global(picture)), self.global2(self.cut_global(picture))]
        return crops + [self.local(self.cut_local(picture)) for _ in range(self.locals_count)]


def octaves(rng, height, width, roughness):
    """Noise whose every octave is weaker than the one before, as textures in photographs are; about -1 to 1."""
    total = np.zeros((height, width), np.float32)
    cells = 2
    strength = 1.0
    while cells < width:
        rows = max(2, cells * height // width)
        grid = Image.fromarray(rng.standard_normal((rows, cells)).astype(np.float32), "F")
        total += strength * np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
        strength *= roughness
        cells *= 2
    return total / 2


def draw(rng):
    """A picture with a sky, textured ground, objects with sharp edges and shading, and a sensor's noise."""
    width, height = int(rng.integers(460, 520)), int(rng.integers(340, 400))
    if rng.random() < 0.25:
        width, height = height, width
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    down = (y / height)[..., None]
    top, bottom, ground = rng.uniform(40, 230, (3, 3)).astype(np.float32)
    picture = top + (bottom - top) * down
    picture += 14 * octaves(rng, height, width, 0.45)[..., None]
    horizon = height * rng.uniform(0.4, 0.8) + 12 * octaves(rng, height, width, 0.5)
    textured = ground + 34 * octaves(rng, height, width, rng.uniform(0.6, 0.85))[..., None]
    picture = np.where((y > horizon)[..., None], textured, picture)
    for _ in range(int(rng.integers(4, 14))):
        cx, cy = rng.uniform(0, width), rng.uniform(height * 0.2, height)
        a, b, turn = rng.uniform(12, 90), rng.uniform(12, 90), rng.uniform(0, np.pi)
        u = ((x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)) / a
        v = ((y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)) / b
        inside = u * u + v * v < 1 if rng.random() < 0.6 else np.maximum(abs(u), abs(v)) < 0.8
        light = (1 - 0.45 * (u + v))[..., None]
        skin = 1 + rng.uniform(0.03, 0.35) * octaves(rng, height, width, rng.uniform(0.5, 0.9))[..., None]
        picture = np.where(inside[..., None], rng.uniform(20, 220, 3).astype(np.float32) * light * skin, picture)
    picture += rng.normal(0, rng.uniform(2.0, 9.0), (height, width, 1)) + rng.normal(0, 2.0, picture.shape)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def make_pictures(folder, count):
    """Draws `count` JPEG files into `folder`, the same ones every time."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        draw(np.random.default_rng(index)).save(folder / f"{index:04}.jpg", quality=90)


def decode(path):
    with open(path, "rb") as file:
        return Image.open(file).convert("RGB")


def measure(paths, seconds, warm_up=8):
    """Images per second, the share of time spent decoding, and how many images were timed."""
    crop = MultiCrop()
    for path in paths[:warm_up]:
        crop(decode(path))
    decoding = 0.0
    made = 0
    began = time.perf_counter()
    while made < len(paths) or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        picture = decode(paths[made % len(paths)])
        decoding += time.perf_counter() - start
        crop(picture)
        made += 1
    taken = time.perf_counter() - began
    return made / taken, decoding / taken, made


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", nargs="?", type=Path, help="pictures to use instead of drawing some")
    parser.add_argument("--keep", type=Path, help="draw pictures into this folder, and leave them there")
    parser.add_argument("--images", type=int, default=64, help="pictures to draw, or most to use of the folder")
    parser.add_argument("--seconds", type=float, default=10.0, help="shortest time to measure")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or arguments.keep or Path(scratch)
        if arguments.folder is None:
            make_pictures(folder, arguments.images)
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)[: arguments.images]
        if not paths:
            sys.exit(f"{folder}: no pictures here")
        rate, share, made = measure(paths, arguments.seconds)
    import PIL
    import torchvision

    report = {
        "images_per_second": round(rate, 3),
        "decode_share": round(share, 4),
        "images": made,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "pillow": PIL.__version__,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
