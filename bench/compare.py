"""Dinoscope against PyTorch on the same machine, in alternating runs: what `cargo xtask bench` starts.

    python bench/compare.py --dinoscope target/release/dinoscope [--only forward,step,loader] [--pairs 7] [--json]

All sides do the same model, crops, batch and prototypes: the sizes come from Dinoscope's own report. They are started
once and then make one run each in turn, so that whatever else slows the machine down slows all of them down; what
counts is the median over the rounds of the ratio of seconds. A ratio below 1 means that Dinoscope is faster.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


class Side:
    """A program that makes one run for every line it gets."""

    def __init__(self, name, command):
        self.name = name
        words = [str(word) for word in command]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seconds = []
        self.report = None

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def wait_until_ready(self):
        if not self.hear().get("ready"):
            raise SystemExit(f"{self.name} does not take turns")

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.seconds.append(self.hear()["seconds"])

    def end(self):
        self.process.stdin.close()
        self.report = self.hear()
        self.process.wait()


def sizes_of(arguments, subject):
    """What Dinoscope's side does, in its own words: one quick run's report."""
    command = [arguments.dinoscope, "bench", "--only", subject, "--paced", "--warmup", "0"]
    process = subprocess.run(
        [*command, *device(arguments), *arguments.extra], input="", stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(process.stdout.splitlines()[-1])


def device(arguments):
    return ["--device", arguments.device]


def model(arguments, subject, scratch):
    """`forward` or `step`: Dinoscope, PyTorch eager and compiled, in turn."""
    report = sizes_of(arguments, subject)
    row = report["rows"][0]
    file = Path(scratch) / f"{subject}.json"
    file.write_text(json.dumps(row["sizes"]))
    print(f"\n{subject}: {row['what']}", file=sys.stderr)

    ours = [arguments.dinoscope, "bench", "--only", subject, "--paced", "--warmup", 2]
    theirs = [sys.executable, HERE / "peers.py", subject, "--sizes", file, "--paced"]
    theirs += ["--threads", report["threads"]]
    if not arguments.device.startswith("gpu"):
        theirs += ["--device", "cpu"]
    variants = [("PyTorch eager", []), ("PyTorch compile", ["--compile"])]
    if arguments.device.startswith("gpu"):
        variants += [(f"{name}, autocast", [*flags, "--autocast"]) for name, flags in variants]
    if arguments.eager_only:
        variants = [(name, flags) for name, flags in variants if "--compile" not in flags]
    # One after the other: two that warm up at once would only be in each other's way.
    sides = []
    for name, command in [("dinoscope", ours + device(arguments) + arguments.extra)] + [
        (name, theirs + flags) for name, flags in variants
    ]:
        sides.append(Side(name, command))
        sides[-1].wait_until_ready()
    for pair in range(arguments.pairs):
        for side in sides:
            side.run()
        said = ", ".join(f"{side.name} {side.seconds[-1]:.3f} s" for side in sides)
        print(f"  {pair + 1}/{arguments.pairs}  {said}", file=sys.stderr)
    for side in sides:
        side.end()
    memory = [sides[0].report["rows"][0].get("memory", {})] + [{"resident": s.report["memory"]} for s in sides[1:]]
    return row["what"], [
        {
            "way": side.name,
            "seconds": statistics.median(side.seconds),
            "ratios": [ours / theirs for ours, theirs in zip(sides[0].seconds, side.seconds)],
            "resident": used.get("resident") or used.get("peak"),
            "peak_flops_per_second": side.report["peak_flops_per_second"],
            "threads": side.report["threads"],
        }
        for side, used in zip(sides, memory)
    ]


def loader(arguments, scratch):
    """One thread of each makes the same pictures into crops."""
    pictures = arguments.data or Path(scratch) / "pictures"
    if arguments.data is None:
        drawing = [sys.executable, HERE / "loader.py", "--keep", pictures, "--images", "64", "--seconds", "0"]
        subprocess.run([str(word) for word in drawing], check=True, stdout=subprocess.DEVNULL)
    ours = [arguments.dinoscope, "bench", "--only", "loader", "--data", pictures, "--json", "--repeat", "1"]
    theirs = [sys.executable, HERE / "loader.py", pictures, "--seconds", "5"]
    seconds, ratios = [[], []], []
    for pair in range(arguments.pairs):
        lines = [
            subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True).stdout
            for command in (ours, theirs)
        ]
        own, other = (json.loads(line.splitlines()[-1]) for line in lines)
        seconds[0].append(own["rows"][0]["seconds"]["median"])
        seconds[1].append(1 / other["images_per_second"])
        ratios.append(seconds[0][-1] / seconds[1][-1])
        print(f"  {pair + 1}/{arguments.pairs}  {1 / seconds[0][-1]:.1f}, {1 / seconds[1][-1]:.1f}", file=sys.stderr)
    return "pictures of about 500 × 375 to 2 × 224 + 8 × 98, one thread", [
        {"way": "dinoscope", "seconds": statistics.median(seconds[0]), "ratios": [1.0], "threads": 1},
        {"way": "torchvision", "seconds": statistics.median(seconds[1]), "ratios": ratios, "threads": 1},
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--dinoscope", required=True, help="the program")
    parser.add_argument("--only", default="forward,step,loader")
    parser.add_argument("--pairs", type=int, default=7, help="rounds")
    parser.add_argument("--device", default="cpu", help="cpu, gpu or gpu:N")
    parser.add_argument("--threads", type=int, default=0, help="threads of each side; 0 for all of the machine's")
    parser.add_argument("--data", type=Path, help="a folder of pictures for the loaders")
    parser.add_argument("--eager-only", action="store_true", help="leave torch.compile out")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("extra", nargs="*", help="after --: more options of `dinoscope bench`")
    arguments = parser.parse_args()
    if arguments.threads:
        os.environ["RAYON_NUM_THREADS"] = str(arguments.threads)

    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for subject in arguments.only.split(","):
            measure = {"forward": model, "step": model}.get(subject)
            what, ways = measure(arguments, subject, scratch) if measure else loader(arguments, scratch)
            results.append({"subject": subject, "what": what, "ways": ways})
    if arguments.json:
        print(json.dumps(results))
        return
    for result in results:
        print(f"\n{result['subject']}: {result['what']}")
        print(f"  {'':18}{'median':>10}{'dinoscope is':>16}   ratio [lowest, highest]   memory")
        for way in result["ways"]:
            ratio = statistics.median(way["ratios"])
            faster = f"{1 / ratio:.2f}x faster" if ratio < 1 else f"{ratio:.2f}x slower"
            memory = f"{way['resident'] / 2**20:.0f} MiB" if way.get("resident") else ""
            compared = "" if way["way"] == "dinoscope" else f"{faster:>16}   {ratio:.3f}"
            span = "" if not compared else f" [{min(way['ratios']):.3f}, {max(way['ratios']):.3f}]"
            print(f"  {way['way']:18}{way['seconds']:>8.3f} s{compared:21}{span:24}{memory}")


if __name__ == "__main__":
    main()
