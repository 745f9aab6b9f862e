"""Dinoscope's evaluations of whole pictures, judged again by scikit-learn and PyTorch on the same numbers.

    pip install numpy scikit-learn torch
    dinoscope eval knn --weights W --data D --dump judged/knn --out judged/knn
    dinoscope eval logistic --weights W --data D --dump judged/logistic --out judged/logistic
    dinoscope eval linear --weights W --data D --dump judged/linear --out judged/linear
    python bench/judge.py judged/knn judged/logistic judged/linear

or all of it in one go: `python bench/judge.py --weights W --data D [--dinoscope PATH] judged`. A folder holds the
features and labels that were judged (`--dump`) and what was found (`--out`).

Nearest neighbours: scikit-learn's `KNeighborsClassifier`, cosine distance, weights exp(similarity / 0.07), at every k.
Logistic regression: scikit-learn's `LogisticRegression` at the C that Dinoscope chose, which must be the same optimum.
Linear probe: heads in PyTorch, trained with SGD at the rates of the same grid and on the same columns; the head that
Dinoscope chose, several times with other seeds, since the order of pictures and the first weights are random: a result
within the range of what was found has a difference of 0, one outside is as far away as it is from the range. Ends with
status 1 if a difference is above 0.3 points.

Beside them, not judged: what is found when C or the head is chosen here, on tenths of the training pictures that NumPy
draws. Such a choice from few pictures is itself random.
"""

import argparse
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

ALLOWED = 0.3
TEMPERATURE = 0.07
TASKS = {"Nearest neighbours": "knn", "Logistic regression": "logistic", "Linear probe": "linear"}


class Judged:
    """Numbers that Dinoscope judged, and what it found."""

    def __init__(self, folder):
        self.folder = folder
        load = lambda name: np.load(folder / f"{name}.npy")
        self.train, self.test = load("train_features"), load("test_features")
        self.train_labels = load("train_labels").astype(np.int64)
        self.test_labels = load("test_labels").astype(np.int64)
        outcomes = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
        outcomes = [outcome for outcome in outcomes if outcome.get("title") in TASKS]
        if len(outcomes) != 1:
            raise SystemExit(f"{folder} holds {len(outcomes)} outcomes, not one; see --help")
        self.outcome = outcomes[0]
        self.task = TASKS[self.outcome["title"]]
        self.rows = [row for row in self.outcome["rows"] if row["subject"] == "weights"]
        self.notes = "\n".join(self.outcome["notes"])

    def top1(self, row):
        return next(figure["value"] for figure in row["figures"] if figure["name"] == "top-1")

    def accuracy(self, predicted):
        return float((predicted == self.test_labels).mean())

    def tenth(self, rng):
        """Training pictures to fit, and a tenth to choose with."""
        order = rng.permutation(len(self.train_labels))
        held = max(len(order) // 10, 1)
        return order[held:], order[:held]


def knn(judged, _):
    """Dinoscope's and scikit-learn's accuracy at each k."""
    for row in judged.rows:
        k = int(row["setting"].split()[1])
        votes = KNeighborsClassifier(
            n_neighbors=k, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1 - d) / TEMPERATURE)
        )
        votes.fit(judged.train.astype(np.float64), judged.train_labels)
        theirs = judged.accuracy(votes.predict(judged.test.astype(np.float64)))
        yield f"k {k}", judged.top1(row), [theirs], True


def optimum(c, features, labels):
    return LogisticRegression(C=c, tol=1e-8, max_iter=20_000).fit(features, labels)


def chosen_c(grid, fit, held):
    """The smallest of the values of C that are right most often on what was held out."""
    found, right = LogisticRegression(tol=1e-6, max_iter=1000, warm_start=True), []
    with warnings.catch_warnings():
        # At the largest C of the grid nothing holds the weights, and the optimum is far away.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for c in grid:
            found.set_params(C=c).fit(*fit)
            right.append(int((found.predict(held[0]) == held[1]).sum()))
    return grid[int(np.argmax(right))]


def logistic(judged, draws):
    grid = np.logspace(-6, 5, 45)
    train, test = judged.train.astype(np.float64), judged.test.astype(np.float64)
    row = judged.rows[0]
    said = float(re.search(r"C ([\d.e+-]+)", row["setting"]).group(1))
    chosen = grid[np.abs(np.log(grid / said)).argmin()]
    same = judged.accuracy(optimum(chosen, train, judged.train_labels).predict(test))
    yield f"C {chosen:.3g}, as chosen", judged.top1(row), [same], True
    found, cs = [], []
    for seed in range(draws):
        halves = [(train[rows], judged.train_labels[rows]) for rows in judged.tenth(np.random.default_rng(seed))]
        cs.append(chosen_c(grid, *halves))
        found.append(judged.accuracy(optimum(cs[-1], train, judged.train_labels).predict(test)))
    yield f"C chosen here, {min(cs):.3g} to {max(cs):.3g}", judged.top1(row), found, False


RATES = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1]


def linear(judged, draws):
    steps, batch = (int(number) for number in re.search(r"(\d+) steps of (\d+) pictures", judged.notes).groups())
    # What the heads look at: the CLS tokens of the last blocks side by side, then the mean patch.
    blocks = max(int(number) for number in re.findall(r"(\d+) blocks?", judged.notes + judged.rows[0]["setting"]))
    dim = judged.train.shape[1] // (blocks + 1)
    name = lambda n, patches: f"{n} block{'s' if n > 1 else ''}{' + patches' if patches else ''}"
    sets = {
        name(n, patches): ((blocks - n) * dim, (blocks + patches) * dim)
        for n in sorted({1, blocks})
        for patches in (0, 1)
    }
    row = judged.rows[0]
    what, rate = re.fullmatch(r"(.*), lr (.*)", row["setting"]).groups()
    on_test = "chosen on the test pictures" in judged.notes
    same, own = [], []
    for seed in range(draws):
        fit, held = judged.tenth(np.random.default_rng(seed))
        if on_test:
            fit = np.arange(len(judged.train_labels))
        held = (judged.test, judged.test_labels) if on_test else (judged.train[held], judged.train_labels[held])
        scores = heads(judged, fit, held, sets, (steps, batch), seed)
        same.append(scores[what, float(rate)][1])
        own.append(max(scores.values(), key=lambda score: score[0])[1])
    yield f"{row['setting']}, as chosen", judged.top1(row), same, True
    yield "head chosen here", judged.top1(row), own, False


def heads(judged, fit, held, sets, length, seed):
    """For each head: its accuracy where it is chosen, and on the test pictures."""
    torch.manual_seed(seed)
    train, labels = torch.from_numpy(judged.train[fit]), torch.from_numpy(judged.train_labels[fit])
    classes = int(max(judged.train_labels.max(), judged.test_labels.max())) + 1
    (steps, batch), all_heads = length, {}
    for what, (start, end) in sets.items():
        for rate in RATES:
            head = torch.nn.Linear(end - start, classes)
            torch.nn.init.normal_(head.weight, std=0.01)
            torch.nn.init.zeros_(head.bias)
            all_heads[what, rate] = head
    groups = [{"params": head.parameters(), "lr": rate * batch / 256} for (_, rate), head in all_heads.items()]
    optimizer = torch.optim.SGD(groups, lr=0.0, momentum=0.9, weight_decay=0.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    order = []
    for _ in range(steps):
        while len(order) < batch:
            order += torch.randperm(len(labels)).tolist()
        rows, order = torch.tensor(order[:batch]), order[batch:]
        x, y = train[rows], labels[rows]
        logits = [head(x[:, slice(*sets[what])]) for (what, _), head in all_heads.items()]
        losses = [torch.nn.functional.cross_entropy(of_head, y) for of_head in logits]
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
        cosine.step()
    out = {}
    with torch.no_grad():
        for (what, rate), head in all_heads.items():
            of = lambda features: head(torch.from_numpy(features[:, slice(*sets[what])])).argmax(1).numpy()
            out[what, rate] = (float((of(held[0]) == held[1]).mean()), judged.accuracy(of(judged.test)))
    return out


def evaluate(arguments, folder):
    """Lets Dinoscope judge, and returns the folders with what it judged."""
    made = []
    for word in TASKS.values():
        made.append(folder / word)
        where = ["--dump", made[-1], "--out", made[-1]]
        what = ["eval", word, "--weights", arguments.weights, "--data", arguments.data, "--alone", "--no-cache"]
        subprocess.run([arguments.dinoscope, *what, *where, *arguments.extra], check=True)
    return made


def judge(folder, draws):
    """Prints the comparison; the largest difference in points."""
    judged = Judged(folder)
    print(f"\n{judged.outcome['title']}: {judged.outcome['data']}")
    worst = 0.0
    for what, ours, theirs, counts in {"knn": knn, "logistic": logistic, "linear": linear}[judged.task](judged, draws):
        low, high = min(theirs), max(theirs)
        difference = 100 * max(low - ours, ours - high, 0)
        worst = max(worst, difference if counts else 0.0)
        span = f"{100 * low:.2f}" + (f" to {100 * high:.2f}" if len(theirs) > 1 else "")
        word = "" if counts and difference <= ALLOWED else "   TOO FAR" if counts else "   (not judged)"
        said = f"Dinoscope {100 * ours:6.2f} %   here {span:>14} %   {difference:.2f} points{word}"
        print(f"  {what:<44} {said}", flush=True)
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--weights", help="lets Dinoscope judge these first, into a new folder")
    parser.add_argument("--data", default="scenes:easy", help="for --weights")
    parser.add_argument("--dinoscope", default="dinoscope", help="for --weights: the program")
    parser.add_argument("--draws", type=int, default=3, help="how often what is random is drawn")
    parser.add_argument("--extra", nargs=argparse.REMAINDER, default=[], help="for --weights: more options of `eval`")
    arguments = parser.parse_args()
    folders = arguments.folders
    if arguments.weights:
        if len(folders) != 1:
            raise SystemExit("with --weights: one folder, which is made")
        folders = evaluate(arguments, folders[0])
    differences = [judge(folder, arguments.draws) for folder in folders]
    good = sum(difference <= ALLOWED for difference in differences)
    print(f"\n{good} passed, {len(differences) - good} failed")
    sys.exit(0 if good == len(differences) else 1)


if __name__ == "__main__":
    main()
