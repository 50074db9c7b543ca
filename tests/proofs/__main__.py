"""Run the proofs at length; further arguments go to pytest."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> int:
    """Run them; return pytest's exit code."""
    os.environ["FILESTORE_LONG_TESTS"] = "1"  # read when the proofs are imported
    import pytest

    return pytest.main([str(Path(__file__).parent), *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
