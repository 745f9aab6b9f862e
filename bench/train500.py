"""The same recipe for 500 steps, by Dinoscope and by PyTorch: do the losses go the same way, and is the result as good?

    pip install torch numpy safetensors
    cargo build --release --workspace --exclude xtask --bins
    python bench/train500.py [--programs target/release] [--out target/train500] [--preset nano] [--set FIELD=VALUE …]

Dinoscope trains as it always does. Its twin, in PyTorch (`model.py`, `objective.py`), trains on the very crops and masks
that Dinoscope's steps are given, from the same initial weights: `batches` writes them. After one step both agree to 1e-7.
What rounding leaves grows from step to step, as it does between any two machines, so after some dozen steps they are
different runs of one recipe. Two things are looked at, therefore.

A shadow in PyTorch takes over weights, moving averages and AdamW's moments from Dinoscope's run every 20 steps: whatever
Dinoscope does otherwise than PyTorch, at whatever time of a run, shows before rounding has grown.

And runs that go on alone are compared as runs. How different such runs are is measured in PyTorch: an echo of the twin,
whose initial weights are moved by 1e-7 of their size, about what another order of additions does; and the twins of
different seeds, which have other initial weights, crops, masks and order. One pair of twins is one draw from what chance
does, so there are several, each with its echo. Dinoscope agrees if

- every loss of every step differs from the shadow's by less than a thousandth;
- for every loss the smoothed curves of twins are, on average over the run and the pairs, no farther from each other than
  PyTorch's runs of different seeds are, or than the echoes from their twins;
- no loss is lower on one side: the mean signed difference over the pairs is zero within its 95 % interval, or less than
  a tenth of how far other seeds are;
- k-NN on the built-in scenes is within one point of the twins', as the mean over the pairs.

What was found is printed, and in the folder: every run's curve and teacher, and the curves of the first seed as an SVG.
Runs that are there already are not made again. Ends with status 1 if they do not agree. A run takes two to four minutes
on two cores; there are three for each seed, and the shadow. `--device gpu --torch-device cuda --jobs 8` is for a machine with a card.
"""

import argparse
import concurrent.futures
import itertools
import json
import math
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

# Threads that spin while they wait for each other cost a machine that has other work most of its time.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import torch  # noqa: E402
from safetensors.torch import load, load_file, save_file  # noqa: E402

from interval import half_interval, mean  # noqa: E402
from objective import Step, schedule  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
TERMS = ["loss", "dino_local_loss", "dino_global_loss", "ibot_loss", "koleo_loss"]
WINDOW = 25
# Steps after which the shadow takes over Dinoscope's state, and how far its losses may have gone by then.
STRETCH, NEAR = 20, 1e-3
NAMES = {"dinoscope": "Dinoscope", "twin": "PyTorch", "echo": "PyTorch, echo"}
SHADOW = "PyTorch in Dinoscope's shadow"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Batches:
    """What the steps of a recipe are given, from Dinoscope."""

    def __init__(self, arguments, overrides):
        sets = [word for pair in overrides for word in ("--set", pair)]
        command = [arguments.programs / "batches", arguments.preset, "--iterations", str(arguments.steps), *sets]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"batches ended with status {self.process.wait()}")
        self.header = json.loads(line)
        self.recipe = self.header["recipe"]
        self.weights = load(self.read(self.header["weights"]))
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        self.normalized = lambda bytes_: (bytes_.float() / 255 - mean) / std

    def read(self, count):
        found = self.process.stdout.read(count)
        if len(found) != count:
            raise SystemExit(f"batches ended early, with status {self.process.wait()}")
        return found

    def crops(self, views, side):
        shape = (views * self.recipe["train"]["batch"], 3, side, side)
        return self.normalized(self.table(shape))

    def table(self, shape):
        return torch.frombuffer(bytearray(self.read(math.prod(shape))), dtype=torch.uint8).view(shape)

    def __iter__(self):
        crops, patch = self.recipe["crops"], self.recipe["model"]["patch"]
        for _ in range(self.header["iterations"]):
            globals_ = self.crops(2, crops["global_size"])
            locals_ = self.crops(crops["locals"], crops["local_size"])
            masks = self.table((2 * self.recipe["train"]["batch"], (crops["global_size"] // patch) ** 2))
            yield globals_, locals_, masks.bool()
        self.process.wait()


def schedules(recipe):
    """Every scheduled value of every iteration, as the official code makes its tables."""
    optim, total = recipe["optim"], recipe["train"]["iterations"]

    def cosine(base, end, warmup=0):
        rest = np.arange(total - warmup)
        falling = end + 0.5 * (base - end) * (1 + np.cos(np.pi * rest / max(len(rest), 1)))
        return np.concatenate([np.linspace(0, base, warmup), falling])

    lr = cosine(optim["base_lr"] * math.sqrt(recipe["train"]["batch"] / 1024), optim["min_lr"], optim["warmup"])
    last = np.where(np.arange(total) < optim["freeze_last_layer"], 0, lr)
    start, end, warm = optim["teacher_temp_start"], optim["teacher_temp"], optim["teacher_temp_warmup"]
    temperature = np.concatenate([np.linspace(start, end, warm), np.full(max(total - warm, 0), end)])
    decay = cosine(optim["weight_decay"], optim["weight_decay_end"])
    momentum = cosine(optim["momentum"], optim["momentum_end"])
    names = ["lr", "last_layer_lr", "weight_decay", "momentum", "teacher_temperature"]
    rows = zip(lr, last, decay, momentum, temperature)
    return [dict(zip(names, map(float, row))) for row in rows]


class Training(Step):
    """PyTorch's side: a step on every batch, and what it shows."""

    def __init__(self, recipe, seed, device):
        unlike = {
            "model.drop_path": recipe["model"]["drop_path"],
            "loss.centering": recipe["loss"]["centering"] != "sinkhorn-knopp",
            "train.precision": recipe["train"]["precision"] != "f32",
            "model.interpolate_antialias": recipe["model"]["interpolate_antialias"],
            "model.interpolate_offset": recipe["model"]["interpolate_offset"] != 0.1,
        }
        for field in (field for field, is_unlike in unlike.items() if is_unlike):
            raise SystemExit(f"{field} of this recipe is not written in PyTorch; change it with --set")
        self.recipe, self.table = recipe, schedules(recipe)
        sizes = {key: recipe[key] for key in ("model", "head", "crops", "loss", "optim")}
        sizes |= {"batch": recipe["train"]["batch"], "masked": 0, "now": self.table[0]}
        super().__init__(sizes, torch.device(device), seed=seed)

    def start_from(self, weights):
        """Initial weights under official names, for student and teacher."""
        for network in (self.student, self.teacher):
            network.load_state_dict(own_names(weights), strict=True)

    def take_over(self, checkpoint, iteration):
        """All that Dinoscope's run had after so many steps."""
        for network, name in ((self.student, "student"), (self.teacher, "teacher")):
            network.load_state_dict(own_names(load_file(checkpoint / f"{name}.safetensors")), strict=True)
        moments = own_names(load_file(checkpoint / "optimizer.safetensors"))
        for name, parameter in self.student.named_parameters():
            # Moments are named by place, without the activations between a head's layers.
            name = re.sub(r"head\.mlp\.(\d+)", lambda found: f"head.mlp.{int(found[1]) // 2}", name)
            state = self.optimizer.state[parameter]
            state["step"] = torch.tensor(float(iteration), device=self.device)
            for own, kept in (("exp_avg", "first"), ("exp_avg_sq", "second")):
                state[own] = moments[f"{kept}.{name}"].view_as(parameter).to(self.device).clone()

    def loss(self, on_cls, on_masked):
        local, whole, ibot, spread = self.terms(on_cls, on_masked)
        w = self.sizes["loss"]
        # As the official code shows them: KoLeo and iBOT are half of what is optimised.
        shown = [w["dino"] * local, w["dino"] * whole, 0.5 * w["ibot"] * ibot, 0.5 * w["koleo"] * spread]
        self.shown = [term.detach() for term in shown]
        return w["dino"] * (local + whole) + w["ibot"] * ibot + w["koleo"] * spread

    def run(self, batches, name, followed=None):
        """A run; in the shadow of a `followed` folder it takes over what lies there after every stretch."""
        curve = {term: [] for term in TERMS}
        start = time.perf_counter()
        for iteration, batch in enumerate(batches):
            if followed and iteration and iteration % STRETCH == 0:
                self.take_over(followed / "checkpoints" / f"{iteration:06}", iteration)
            self.sizes["now"] = self.table[iteration]
            schedule(self.optimizer, self.table[iteration])
            self.take(*(part.to(self.device) for part in batch))
            self()
            terms = [float(term) for term in self.shown]
            for term, value in zip(TERMS, [sum(terms), *terms]):
                curve[term].append(value)
            if iteration % 50 == 49:
                seconds = (time.perf_counter() - start) / (iteration + 1)
                print(f"  {name}: step {iteration + 1}, loss {sum(terms):.4f}, {seconds:.2f} s a step", flush=True)
        return curve

    def save_teacher(self, path, config):
        """The teacher's backbone under official names, with what its tensors do not tell."""
        state = self.teacher.backbone.state_dict()
        named = {name.replace("patch_embed.", "patch_embed.proj."): tensor.cpu() for name, tensor in state.items()}
        save_file(named, path, metadata={"format": "pt", "dinoscope.config": json.dumps(config)})


def own_names(tensors):
    """Official names as this side has them."""
    return {name.replace("patch_embed.proj.", "patch_embed."): tensor for name, tensor in tensors.items()}


def in_pytorch(arguments, kind, seed):
    """A run in PyTorch from Dinoscope's initial weights (`twin`), from these a little moved (`echo`), or a `shadow`."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    batches = Batches(arguments, recipe_of(arguments, seed))
    training = Training(batches.recipe, seed, arguments.torch_device)
    move = moved if kind == "echo" else lambda tensor: tensor
    training.start_from({key: move(tensor) for key, tensor in sorted(batches.weights.items())})
    followed = arguments.out / f"dinoscope-{seed}" if kind == "shadow" else None
    curve = training.run(batches, f"{kind} {seed}", followed)
    weights = arguments.out / f"{kind}-{seed}.safetensors"
    training.save_teacher(weights, batches.header["backbone"])
    return {"curve": curve, "knn": knn(arguments, weights)}


def moved(tensor):
    return tensor * (1 + 1e-7 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)))


def recipe_of(arguments, seed):
    return [*arguments.set, f"train.iterations={arguments.steps}", f"train.seed={seed}"]


def in_dinoscope(arguments, seed):
    folder = arguments.out / f"dinoscope-{seed}"
    if folder.exists():
        shutil.rmtree(folder)  # of an interrupted comparison
    sets = [word for pair in recipe_of(arguments, seed) for word in ("--set", pair)]
    quiet = ["train.report_every=1", f"train.evaluate_every={arguments.steps}", "train.picture_every=0"]
    quiet += [f"train.checkpoint_every={STRETCH}", "train.keep_checkpoints=1000000"]
    sets += [word for pair in quiet for word in ("--set", pair)]
    command = [arguments.programs / "dinoscope", "train", arguments.preset, *sets]
    start = time.perf_counter()
    command += ["--out", folder, "--device", arguments.device, "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    each = (time.perf_counter() - start) / arguments.steps
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line.get("loss") is not None]
    curve = {term: [line[term] for line in steps] for term in TERMS}
    assert len(steps) == arguments.steps, f"{len(steps)} steps in {folder}"
    recipe = Batches(argparse.Namespace(**(vars(arguments) | {"steps": 0})), recipe_of(arguments, seed)).recipe
    pairs = [(line[name], value) for line, now in zip(steps, schedules(recipe)) for name, value in now.items()]
    drift = max(abs(a - b) for a, b in pairs)
    print(f"  dinoscope {seed}: {each:.2f} s a step, with everything; schedules differ by at most {drift:.1e}", flush=True)
    return {"curve": curve, "knn": knn(arguments, folder)}


def knn(arguments, weights):
    """Top-1 at the fixed k, of 1200 and 600 built-in scenes: value and interval."""
    command = [arguments.programs / "dinoscope", "eval", "knn", "--weights", weights, "--data", "scenes:easy", "--alone"]
    done = subprocess.run([*command, "--device", "cpu", "--json"], check=True, stdout=subprocess.PIPE, text=True)
    figure = json.loads(done.stdout)["rows"][0]["figures"][0]
    return {"value": figure["value"], "interval": figure["interval"]}


def made(arguments, kind, seed):
    """A run, made now or earlier."""
    file = arguments.out / f"{kind}-{seed}.json"
    if not file.exists():
        run = in_dinoscope(arguments, seed) if kind == "dinoscope" else in_pytorch(arguments, kind, seed)
        file.write_text(json.dumps({"run": f"{NAMES.get(kind, SHADOW)}, seed {seed}"} | run))
    return json.loads(file.read_text())


def smooth(values):
    return np.convolve(values, np.ones(WINDOW) / WINDOW, mode="valid")


def apart(a, b, term):
    """How far apart two smoothed curves are, on average over the run: absolutely, and with the sign."""
    difference = smooth(a["curve"][term]) - smooth(b["curve"][term])
    return float(np.abs(difference).mean()), float(difference.mean())


def parted(run, twin):
    """How much the first losses differ, and for some shares the first step whose losses differ by more."""
    a, b = (np.array(one["curve"]["loss"]) for one in (run, twin))
    shares = np.abs(a - b) / np.abs(b)
    found = {}
    for share in (1e-5, 1e-4, 1e-3, 1e-2):
        over = np.nonzero(shares > share)[0]
        found[share] = int(over[0]) if len(over) else None
    return float(shares[0]), found


COLOURS = ["#d1495b", "#1b6ca8", "#7fb3d9", "#8a8a8a", "#b8b8b8"]
WIDTH, HEIGHT, LEFT, TOP = 460, 220, 58, 30


def panel(at, title, lines):
    """One loss, smoothed: an SVG fragment. Runs are drawn last to first, so that Dinoscope is on top."""
    everything = np.concatenate(lines)
    low, high = float(everything.min()), float(everything.max())
    span = (high - low) or 1.0
    x0, y0 = (at % 2) * WIDTH + LEFT, (at // 2) * HEIGHT + TOP
    wide, tall = WIDTH - LEFT - 16, HEIGHT - TOP - 34
    out = [f'<text x="{x0}" y="{y0 - 10}" class="title">{title}</text>']
    for part in range(5):
        value, y = low + span * part / 4, y0 + tall * (1 - part / 4)
        out.append(f'<path d="M{x0} {y:.1f}h{wide}" class="grid"/>')
        out.append(f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for colour, line in reversed(list(zip(COLOURS, lines))):
        steps = np.linspace(x0, x0 + wide, len(line))
        points = "L".join(f"{x:.1f} {y0 + tall * (1 - (v - low) / span):.1f}" for x, v in zip(steps, line))
        out.append(f'<path d="M{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    first, last = WINDOW // 2, WINDOW // 2 + len(lines[0]) - 1
    out.append(f'<text x="{x0}" y="{y0 + tall + 18}">step {first}</text>')
    out.append(f'<text x="{x0 + wide}" y="{y0 + tall + 18}" text-anchor="end">{last}</text>')
    return out


def figure(runs):
    body = []
    for at, term in enumerate(TERMS):
        body += panel(at, term.replace("_", " "), [smooth(run["curve"][term]) for run in runs])
    x, y = WIDTH + LEFT, 2 * HEIGHT + TOP + 10
    for at, (colour, run) in enumerate(zip(COLOURS, runs)):
        knn_text = f"k-NN {100 * run['knn']['value']:.1f} %"
        body.append(f'<path d="M{x} {y + 22 * at}h24" stroke="{colour}" stroke-width="3"/>')
        body.append(f'<text x="{x + 32}" y="{y + 22 * at + 4}">{run["run"]}: {knn_text}</text>')
    style = "text{font:12px system-ui,sans-serif;fill:#333}.title{font-weight:600}.grid{stroke:#0002}"
    width, height = 2 * WIDTH, 3 * HEIGHT
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    rows = [head, f"<style>{style}</style>", f'<rect width="{width}" height="{height}" fill="#fff"/>', *body, "</svg>"]
    return "\n".join(rows) + "\n"


def stretches(ours, shadow):
    """Says how far the shadow's losses are; true when they are near."""
    print(f"\nStretches of {STRETCH} steps from the same state: difference of the losses as a share of their value\n")
    print("| | first step of a stretch | all steps, median | largest |\n|---|---|---|---|")
    good = True
    for term in TERMS:
        a, b = (np.array(run["curve"][term]) for run in (ours, shadow))
        shares = np.abs(a - b) / np.abs(b)
        good &= bool(shares.max() < NEAR)
        cells = [f"{value:.1e}" for value in (shares[::STRETCH].max(), np.median(shares), shares.max())]
        print(f"| {term.removesuffix('_loss').replace('_', ' ')} | " + " | ".join(cells) + " |")
    both = [100 * run["knn"]["value"] for run in (ours, shadow)]
    print(f"\nk-NN after the last stretch: Dinoscope {both[0]:.1f} %, its shadow {both[1]:.1f} %")
    return good and abs(both[0] - both[1]) <= 1


def report(ours, twins, echoes):
    """Says what was found; true when Dinoscope agrees."""
    first = max(parted(a, b)[0] for a, b in zip(ours, twins))
    print(f"\nThe losses of twins' first steps differ by at most {first:.1e} of their value;")
    for share in (1e-5, 1e-4, 1e-3, 1e-2):
        words = [
            ", ".join("never" if (at := parted(a, b)[1][share]) is None else str(at) for a, b in zip(runs, twins))
            for runs in (ours, echoes)
        ]
        print(f"  by more than {share:g} from step {words[0]}; the echoes' from step {words[1]}")

    print(f"\nMean distance of curves smoothed over {WINDOW} steps, and the mean difference with its 95 % interval\n")
    print("| | twins | echoes | other seeds | Dinoscope less its twin | echo less its twin | |")
    print("|---|---|---|---|---|---|---|")
    good, pairs = True, list(itertools.combinations(twins, 2))
    for term in TERMS:
        same, heard, seeds = (
            [apart(a, b, term) for a, b in found]
            for found in (list(zip(ours, twins)), list(zip(echoes, twins)), pairs)
        )
        far = [mean([distance for distance, _ in found]) if found else 0 for found in (same, heard, seeds)]
        signed, echoed = ([sign for _, sign in found] for found in (same, heard))
        within = far[0] <= max(far[1:])
        even = abs(mean(signed)) <= max(half_interval(signed), far[2] / 10)
        good &= within and even
        cells = [term.removesuffix("_loss").replace("_", " "), *(f"{value:.4f}" for value in far)]
        cells += [f"{mean(values):+.4f} ± {half_interval(values):.4f}" for values in (signed, echoed)]
        cells.append("within" if within and even else "OUTSIDE" if not within else "ONE-SIDED")
        print(f"| {' | '.join(cells)} |")

    print("\nk-NN in %\n")
    print("| seed | Dinoscope | PyTorch | echo |\n|---|---|---|---|")
    tops = [[100 * run["knn"]["value"] for run in runs] for runs in (ours, twins, echoes)]
    for seed, row in enumerate(zip(*tops)):
        print(f"| {seed} | " + " | ".join(f"{value:.1f}" for value in row) + " |")
    for name, runs in (("Dinoscope", tops[0]), ("the echo", tops[2])):
        differences = [a - b for a, b in zip(runs, tops[1])]
        print(f"\n{name} less PyTorch: {mean(differences):+.2f} ± {half_interval(differences):.2f} points")
        if name == "Dinoscope":
            near = abs(mean(differences)) <= 1
    return good and near


def main():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--programs", type=Path, default=target / "release", help="where dinoscope and batches are")
    parser.add_argument("--out", type=Path, default=target / "train500")
    parser.add_argument("--preset", default="nano")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=6, help="for each, Dinoscope, its twin and the twin's echo")
    parser.add_argument("--shadow", type=int, default=0, metavar="SEED", help="the run that the shadow follows")
    parser.add_argument("--device", default="cpu", help="Dinoscope's")
    parser.add_argument("--torch-device", default="cpu")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=0, help="PyTorch's in a run; 0 for all of the machine's")
    arguments = parser.parse_args()
    if arguments.steps <= WINDOW:
        raise SystemExit(f"--steps: more than {WINDOW}, over which curves are smoothed")
    arguments.out.mkdir(parents=True, exist_ok=True)
    everything = [(kind, seed) for seed in range(arguments.seeds) for kind in NAMES]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs, mp_context=context) as pool:
        futures = {one: pool.submit(made, arguments, *one) for one in everything}
        runs = {one: future.result() for one, future in futures.items()}
        shadow = pool.submit(made, arguments, "shadow", arguments.shadow).result()
    ours, twins, echoes = ([runs[kind, seed] for seed in range(arguments.seeds)] for kind in NAMES)
    (arguments.out / "curves.svg").write_text(figure([ours[0], twins[0], echoes[0], *twins[1:3]]))
    good = stretches(ours[arguments.shadow], shadow)
    good &= report(ours, twins, echoes)
    print(f"\n{'They agree' if good else 'THEY DO NOT AGREE'}; curves: {arguments.out / 'curves.svg'}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
