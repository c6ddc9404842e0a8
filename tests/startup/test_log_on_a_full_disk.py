"""A log line that cannot be written is lost; whoever wrote it goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import logging
from runtime import log
log.set_up("test")
for n in range(2000):
    log.get("part").info("a line", n=n)
logging.getLogger("a library").error("a line")
print("alive")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_under_the_log_is_nobodys_failure() -> None:
    with open("/dev/full", "w") as full:  # a device
        done = subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=full, check=False)
    assert (done.returncode, done.stdout) == (0, b"alive\n")
