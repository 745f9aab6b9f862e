"""The same work as `dinoscope bench --only forward` and `--only step`, in PyTorch.

    python bench/peers.py forward --sizes FILE [--compile] [--autocast] [--paced]

`--sizes` is the `sizes` of a row that `dinoscope bench --json` printed (a file, or `-` for standard input's first
line): both sides then do the same model, crops, batch and prototypes. `--paced` makes one run for every line on
standard input, so that another program can be measured in turn. Prints lines of JSON; the last one is the report.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch

from model import Vit
from objective import Step


def forward(sizes, device, compiled, autocast):
    b = sizes["backbone"]
    torch.manual_seed(0)
    ffn = b["ffn"]
    vit = Vit(
        b["patch"], b["grid"], b["dim"], b["depth"], b["heads"], ffn, b["hidden"], b["registers"], b["layerscale"]
    )
    vit = vit.to(device).eval()
    side = sizes["resolution"]
    images = torch.randn(sizes["batch"], 3, side, side, device=device)
    run = torch.compile(vit) if compiled else vit

    def work():
        with torch.inference_mode(), torch.autocast(device.type, enabled=autocast, dtype=torch.float16):
            return run(images)[0]

    return work


def resident():
    """Largest resident size since the last reset, in bytes, on Linux."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def restart_resident():
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak(device, sync):
    """Operations per second of one large float32 matrix product."""
    size = 2048
    a, b = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    best = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        a @ b
        sync()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def say(value):
    print(json.dumps(value), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("subject", choices=["forward", "step"])
    parser.add_argument("--sizes", required=True, help="a file, or - for the first line of standard input")
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--autocast", action="store_true", help="half precision where PyTorch finds it safe (GPU)")
    parser.add_argument("--threads", type=int, default=0, help="threads of the CPU; 0 for all")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--paced", action="store_true", help="one run for every line on standard input")
    arguments = parser.parse_args()

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    # What the official code does on GPUs that have it; without it float32 there is slower.
    torch.backends.cuda.matmul.allow_tf32 = True
    device = torch.device(arguments.device)
    sync = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    text = sys.stdin.readline() if arguments.sizes == "-" else Path(arguments.sizes).read_text()
    sizes = json.loads(text)

    make = forward if arguments.subject == "forward" else Step
    work = make(sizes, device, arguments.compile, arguments.autocast)
    for _ in range(arguments.warmup):
        work()
    sync()
    restart_resident()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    work()
    sync()
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else resident()

    taken = []

    def more():
        if not arguments.paced:
            return len(taken) < arguments.repeat
        say({"seconds": taken[-1]} if taken else {"ready": True})
        return bool(sys.stdin.readline())

    out = None
    while more():
        start = time.perf_counter()
        out = work()
        sync()
        taken.append(time.perf_counter() - start)
    say(
        {
            "program": f"PyTorch {torch.__version__}",
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "way": "compile" if arguments.compile else "eager",
            "autocast": arguments.autocast,
            "seconds": statistics.median(taken) if taken else None,
            "runs": len(taken),
            "memory": memory,
            "peak_flops_per_second": peak(device, sync),
            "finite": bool(torch.isfinite(out).all()) if out is not None else None,
        }
    )


if __name__ == "__main__":
    main()
