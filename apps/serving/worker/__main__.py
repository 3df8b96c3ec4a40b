"""`python -m apps.serving.worker`: serve until SIGTERM."""

from __future__ import annotations

import sys

from apps.serving.worker.options import parse_options
from apps.serving.worker.parent import Parent


def main() -> int:
    options = parse_options(sys.argv[1:])
    try:
        parent = Parent(options)
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 2
    return parent.run()


if __name__ == "__main__":
    sys.exit(main())
