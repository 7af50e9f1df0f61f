"""Webhooks per second, of our dispatcher and of its floor: in turn, on one database, to one sink."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from bench.load import Broken
from bench.sides import ROOT, environment

COUNT = 2000  # deliveries of a slice
SIDES = {"floor": "bench.floor_deliveries", "ours": "bench.our_deliveries"}
LINE = "{:<14}{:<11}{:>7}   {}"

Rates = dict[str, list[float]]  # deliveries per second of each side, one a round


def measure(url: str, rounds: int) -> Rates:
    """Sends COUNT deliveries from each side in each round. Raises Broken."""
    rates: Rates = {side: [] for side in SIDES}
    with _sink() as port:
        for _round in range(rounds):
            for side in random.sample(list(SIDES), len(SIDES)):
                rates[side].append(COUNT / _seconds(side, port, url))
    return rates


def _seconds(side: str, port: str, url: str) -> float:
    command = [sys.executable, "-m", SIDES[side], port, str(COUNT)]
    done = subprocess.run(command, cwd=ROOT, env=environment(url), check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Broken(f"The deliveries of {side} failed.")
    return float(done.stdout)


@contextmanager
def _sink() -> Iterator[str]:
    """The port of a receiver in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "bench.sink"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def table(rates: Rates) -> str:
    floor, ours = rates["floor"], rates["ours"]
    ratios = [one / other for one, other in zip(ours, floor, strict=True)]
    spread = f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    lines = [
        LINE.format("operation", "side", "per s", "per s/floor"),
        LINE.format("webhooks", "floor", f"{median(floor):.0f}", ""),
        LINE.format("webhooks", "ours", f"{median(ours):.0f}", spread),
    ]
    return "\n".join(lines)
