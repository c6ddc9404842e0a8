"""A few seconds of fuzzing in every run; `make fuzz` goes on for longer with the same target."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 4
HERE = Path(__file__).parent
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python or CPU")
@pytest.mark.parametrize("target", ["fuzz_contract.py", "fuzz_wire.py"])
def test_nothing_breaks_the_decoders_in_a_few_seconds(tmp_path: Path, target: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            str(HERE / target),
            str(tmp_path / "corpus"),
            f"-max_total_time={SECONDS}",
            "-max_len=4096",
            "-malloc_limit_mb=1024",
            "-rss_limit_mb=6144",  # the peak of the process that starts it counts as its own (getrusage over exec)
            "-timeout=5",
            "-seed=1",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert runs is not None, done.stderr[-1000:]
    assert int(runs[1]) > 200, "the target does hardly anything"
