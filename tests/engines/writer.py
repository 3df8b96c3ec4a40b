"""Writes one month over and over, each time with another value in every row; the tests kill it.

Run as ``python -m tests.engines.writer <url> <rows>``; prints a line for each month that stands.
"""

import itertools
import sys

from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.offline import open_store

SPEC = FeatureSetSpec("killed", 1, "k", "", (FeatureSpec("turn", "numeric"),))


def main(url: str, rows: int) -> None:
    store = open_store(url)
    for turn in itertools.count(1):
        store.write_partition(SPEC, f"select k, {turn} as turn from keys where k < {rows}", value="202201")
        print(turn, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
