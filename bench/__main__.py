"""`python -m bench`: floor, peer and ours side by side in one run."""

import argparse
import asyncio
import os
import random
import signal
import sys
from contextlib import ExitStack
from types import FrameType

from bench import deliveries
from bench.database import Unusable, durability, engine_of, fresh
from bench.load import Broken, run_slice
from bench.operations import Operation, operations
from bench.report import Results, faults, table
from bench.sides import ROOT, SIDES, THREADS, prepare, served, workers

WARM_UP_SECONDS = 0.5
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130  # the exit code of Ctrl-C


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Ratios against a raw floor and a plain DRF app.")
    parser.add_argument("--rounds", type=int, default=4, help="every operation once a round, shuffled (default 4)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each slice (default 2)")
    parser.add_argument("--connections", type=int, default=8, help="keep-alive clients (default 8)")
    return parser.parse_args()


def database_url() -> str:
    """DATABASE_URL, or an SQLite file of this run."""
    return os.environ.get("DATABASE_URL") or f"sqlite:///{ROOT / 'var' / f'bench-{os.getpid()}.sqlite3'}"


def measure(rows: list[Operation], ports: dict, options: argparse.Namespace) -> Results:
    """Slices of every operation, in another order each round, after a short warm-up of each."""

    def load(operation: Operation, seconds: float):
        port, requests = ports[operation.side], operation.requests
        return asyncio.run(run_slice(port, requests, connections=options.connections, seconds=seconds))

    for operation in rows:
        load(operation, WARM_UP_SECONDS)
    results: Results = {operation: [] for operation in rows}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for operation in random.sample(rows, len(rows)):
            results[operation].append(load(operation, options.seconds))
    return results


def run(options: argparse.Namespace, url: str) -> tuple[Results, deliveries.Rates]:
    """Makes the database and the servers, measures, and cleans up whatever happens."""
    with ExitStack() as stack:
        stack.enter_context(fresh(url))
        for side in SIDES:
            prepare(side, url)
        print(
            f"{engine_of(url)}; {workers(url)} granian workers x {THREADS} threads, {options.connections} connections"
        )
        print(f"{durability(url)}; load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores\n")
        ports = {side: stack.enter_context(served(side, url)) for side in SIDES}
        return measure(operations(ports), ports, options), deliveries.measure(url, options.rounds)


def _stop(number: int, frame: FrameType | None) -> None:
    """Ends the run; a second Ctrl-C does not disturb the cleaning up."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(INTERRUPTED)


def main() -> int:
    options = arguments()
    for number in SIGNALS:
        signal.signal(number, _stop)
    try:
        results, rates = run(options, database_url())
    except (Broken, Unusable) as error:
        print(error, file=sys.stderr)
        return 1
    print(table(results), deliveries.table(rates), sep="\n\n")
    wrong = faults(results)
    if wrong:
        print("\nAnswers that were not 2xx, so the numbers mean nothing:", *wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
