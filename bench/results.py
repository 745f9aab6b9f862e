"""What distillation and adaptation are worth, over several seeds: the tables of docs/results.md.

    cargo build --release -p dinoscope
    python bench/results.py --data scenes:easy --out /tmp/results
    python bench/results.py --data ~/fashion-mnist --out /tmp/results

For each seed a teacher is trained, a smaller student from scratch, and the same student distilled from the teacher for as
many steps, by its heads and by its features. The teacher is adapted to pictures of twice the size, and as a control to
pictures of its own. All are judged with the command line's evaluations, beside the untrained model and raw pixels. Runs
and judgements that are there already are not made again, so that an interrupted script goes on. Needs nothing but Python.
"""

import argparse
import concurrent.futures
import json
import subprocess
import sys
from pathlib import Path

from interval import half_interval, mean

# A quarter of the preset's own rate, which is for losses that fall within a minute and leaves poorer features.
RATE = "optim.base_lr=5e-3"
# A student of half the preset's width; the preset itself is the teacher.
HALF = ["model.dim=48"]
METHODS = ["heads", "similarity"]
QUIET = ["train.evaluate_every=0", "train.picture_every=0", "train.checkpoint_every=1000000"]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="dinoscope")
    parser.add_argument("--data", required=True, help="`scenes:easy`, `scenes:varied`, or a folder with an IDX pair")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--teacher-steps", type=int, default=900)
    parser.add_argument("--student-steps", type=int, default=150)
    parser.add_argument("--adapt-steps", type=int, default=75)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--jobs", type=int, default=1, help="programs at a time")
    parser.add_argument("--only", help="names of tables, for instance knn,linear,segment")
    return parser.parse_args()


class Bench:
    def __init__(self, args):
        self.args = args
        self.scenes = args.data.startswith("scenes")
        self.root = args.out / ("scenes" if self.scenes else Path(args.data).name)
        self.commands = set()
        every = ["knn", "linear"] + (["segment"] if self.scenes else [])
        self.only = args.only.split(",") if args.only else every
        if self.scenes:
            self.data = ["data.scenes=2400"]
            self.size, self.large = 64, 128
        else:
            # 28 pixels across: patches of 4 keep a grid of eight by eight.
            self.data = ["model.patch=4", "crops.global_size=32", "crops.local_size=16"]
            self.size, self.large = 32, 64

    def write_student(self):
        """A recipe of its own, so that the teacher's heads are fitted to the student's sizes."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.student = self.root / "student.toml"
        sections = {}
        for pair in [*self.data, *HALF]:
            section, field = pair.split(".", 1)
            sections.setdefault(section, []).append(field.replace("=", " = "))
        text = "".join(f"[{section}]\n" + "".join(f"{field}\n" for field in sections[section]) for section in sections)
        self.student.write_text('preset = "nano"\n' + text)

    def call(self, words, done):
        line = ["dinoscope", *words]
        self.commands.add(" ".join(line))
        if done.exists():
            return
        print(" ".join(line), flush=True)
        subprocess.run([self.args.program, *words], check=True, stdout=subprocess.DEVNULL)

    def run(self, name, seed, words, sets):
        out = self.root / f"{name}-{seed}"
        report = out / "report.html"
        if out.exists() and not report.exists():
            words, sets = [words[0], "--resume"], []
        pairs = [pair for s in sets for pair in ("--set", s)]
        self.call([*words, *pairs, "--out", str(out), "--device", self.args.device], report)
        return out

    def train(self, seed):
        a, common = self.args, [*QUIET, RATE, f"train.seed={seed}", *self.data]
        data = ["--data", a.data]
        long, short = f"train.iterations={a.teacher_steps}", f"train.iterations={a.student_steps}"
        teacher = self.run("teacher", seed, ["train", "nano", *data], [*common, long])
        runs = {"teacher": teacher}
        student = ["train", str(self.student), *data]
        runs["student from scratch"] = self.run("scratch", seed, student, [*common, short])
        for method in METHODS:
            words = ["distill", "--teacher", str(teacher), "--student", str(self.student), "--method", method, *data]
            runs[f"student distilled, {method}"] = self.run(method, seed, words, [*common, short])
        if "segment" in self.only:
            for name, size in [("adapted", self.large), ("stayed", self.size)]:
                words = ["train", "--adapt", str(teacher), "--resolution", str(size), "--iterations", str(a.adapt_steps)]
                runs[name] = self.run(name, seed, words, [])
        return runs

    def judge(self, word, run, size, alone):
        out = run / "evaluations" / f"{word}-{size}"
        words = ["eval", word, "--weights", str(run), "--size", str(size), "--out", str(out)]
        words += ["--device", self.args.device, "--data", self.args.data]
        if word != "segment" and not self.scenes:
            words += ["--limit", "6000", "--limit-test", "3000"]
        if alone:
            words.append("--alone")
        self.call(words, out / f"{word}.json")
        return json.loads((out / f"{word}.json").read_text())


def quoted(outcome, word):
    """The figure to quote of each subject: the first row of each, for k-NN the one with 20 neighbours."""
    found = {}
    for row in outcome["rows"]:
        if word == "knn" and row["setting"] != "k 20":
            continue
        found.setdefault(row["subject"], row["figures"][0]["value"])
    return found


def quoted_mean(values):
    middle = f"{100 * mean(values):.1f}"
    return middle if len(values) < 2 else f"{middle} ± {100 * half_interval(values):.1f}"


def table(title, rows):
    print(f"\n{title}\n")
    seeds = max(len(values) for values in rows.values())
    print("| | " + " | ".join(f"seed {i}" for i in range(seeds)) + " | mean, 95 % |")
    print("|---" * (seeds + 2) + "|")
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{100 * v:.1f}" for v in values) + f" | {quoted_mean(values)} |")


def difference(title, a, b):
    print(f"\n{title}: {quoted_mean([x - y for x, y in zip(a, b)])} points (paired by seed)")


def main():
    args = parse()
    bench = Bench(args)
    bench.write_student()
    if not bench.scenes:
        args.data = str(Path(args.data).resolve())
    pool = concurrent.futures.ThreadPoolExecutor(args.jobs)
    runs = list(pool.map(bench.train, range(args.seeds)))
    distilled = [f"student distilled, {method}" for method in METHODS]
    names = ["student from scratch", *distilled, "teacher"]
    for word in [w for w in bench.only if w != "segment"]:
        every = [(seed, name) for seed in range(args.seeds) for name in names]
        asked = [pool.submit(bench.judge, word, runs[seed][name], bench.size, name != names[0]) for seed, name in every]
        rows = {}
        for (_, name), outcome in zip(every, asked):
            outcome = quoted(outcome.result(), word)
            rows.setdefault(name, []).append(outcome.pop("weights"))
            for other, value in outcome.items():
                rows.setdefault(other, []).append(value)
        table({"knn": "k-NN, 20 neighbours, top-1 in %", "linear": "Linear probe, top-1 in %"}[word], rows)
        for name in distilled:
            difference(f"{name}: above scratch", rows[name], rows[names[0]])
    if "segment" in bench.only:
        models = [
            (f"teacher, {bench.size} pixels", "teacher", bench.size, True),
            (f"teacher, {bench.large} pixels", "teacher", bench.large, False),
            (f"the same stage at {bench.size}, {bench.large} pixels", "stayed", bench.large, True),
            (f"adapted, {bench.large} pixels", "adapted", bench.large, True),
        ]
        every = [(seed, *one) for seed in range(args.seeds) for one in models]
        asked = [pool.submit(bench.judge, "segment", runs[seed][of], size, alone) for seed, _, of, size, alone in every]
        rows = {}
        for (_, name, _, size, _), outcome in zip(every, asked):
            outcome = quoted(outcome.result(), "segment")
            rows.setdefault(name, []).append(outcome.pop("weights"))
            for other, value in outcome.items():
                rows.setdefault(f"{other}, {size} pixels", []).append(value)
        table("Linear segmentation, mIoU in %", rows)
        keys = [name for name, *_ in models]
        adapted = f"adapted, {bench.large} pixels"
        difference("Adapted above the same size before", rows[adapted], rows[f"teacher, {bench.large} pixels"])
        difference("Adapted above the training's size before", rows[adapted], rows[keys[0]])
        difference("Adapted above the same stage without larger pictures", rows[adapted], rows[keys[2]])
    print("\nCommands:\n")
    print("\n".join(sorted(bench.commands)))


if __name__ == "__main__":
    sys.exit(main())
