"""The table: medians over the rounds, and ratios of a round's slices with their spread."""

from statistics import median, quantiles

from bench.load import Slice
from bench.operations import Operation
from bench.sides import FLOOR, OURS, PEER

Results = dict[Operation, list[Slice]]  # one slice a round
COLUMNS = "{:<14}{:<11}{:>7} {:>8} {:>8}   {:<18}{:<18}{:<18}"


def percentile(seconds: list[float], percent: int) -> float:
    """Of latencies in seconds, in milliseconds."""
    return quantiles(seconds, n=100, method="inclusive")[percent - 1] * 1000 if len(seconds) > 1 else 0.0


def table(results: Results) -> str:
    """All operations, and at the end the replay against our own read: the goal is 0.5 or more."""
    heads = ("operation", "side", "rps", "p50 ms", "p99 ms", "rps/floor", "rps/plain DRF", "p99/floor")
    replay, read = _find(results, "replay", OURS.name), _find(results, "read", OURS.name)
    lines = [COLUMNS.format(*heads), *(_line(results, operation) for operation in results)]
    return "\n".join([*lines, "", f"replay / our own read, rps: {_rps_ratio(results, replay, read)}"])


def _line(results: Results, operation: Operation) -> str:
    slices = results[operation]
    latencies = [seconds for one in slices for seconds in one.latencies]
    numbers = (median(one.rps for one in slices), percentile(latencies, 50), percentile(latencies, 99))
    floor, peer = (_find(results, operation.like, side.name) for side in (FLOOR, PEER))
    ratios = [_rps_ratio(results, operation, floor), _rps_ratio(results, operation, peer)]
    ratios.append(_p99_ratio(results, operation, floor))
    shown = [f"{numbers[0]:.0f}", f"{numbers[1]:.1f}", f"{numbers[2]:.1f}", *ratios]
    return COLUMNS.format(operation.name, operation.side.name, *shown)


def _find(results: Results, name: str, side: str) -> Operation:
    return next(operation for operation in results if (operation.name, operation.side.name) == (name, side))


def _rps_ratio(results: Results, ours: Operation, other: Operation) -> str:
    if ours is other or ours.side is FLOOR:
        return ""
    return _spread([a.rps / b.rps for a, b in zip(results[ours], results[other], strict=True) if b.rps])


def _p99_ratio(results: Results, ours: Operation, other: Operation) -> str:
    if ours is other or ours.side is FLOOR:
        return ""
    tails = [[percentile(one.latencies, 99) for one in results[operation]] for operation in (ours, other)]
    return _spread([a / b for a, b in zip(*tails, strict=True) if b])


def _spread(ratios: list[float]) -> str:
    if not ratios:
        return "-"
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def faults(results: Results) -> list[str]:
    """A line for every operation that had an answer other than 2xx; empty when all is well."""
    lines = []
    for operation, slices in results.items():
        for one in slices:
            if one.faults:
                sample = one.sample.decode(errors="replace")
                lines.append(f"{operation.name}, {operation.side.name}: {dict(one.faults)} {sample}")
    return lines
