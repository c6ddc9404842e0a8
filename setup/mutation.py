"""Mutation testing of the pure rooms: how many deliberate errors do a room's own tests notice?

    .venv/bin/python setup/mutation.py [--jobs N] [--minutes M] [--changes] [access] [portal]

mutmut changes one thing at a time in a copy of the room under build/mutation/ROOM and runs the tests that reach it.
Prints a score for each room and every survivor (with --changes, what each changes); docs/mutation.md judges them.
Exit 1 where a room scores below 90 %, 2 for wrong usage. Niced, and bounded by --minutes for each room (what was not
reached by then counts as not killed).
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MUTMUT = ROOT / ".venv/bin/mutmut"
ROOMS = ("access", "portal")
GOAL = 0.9
# What runs the tests of a room: only these packages may be imported by a pure room and its tests.
COPIED = ("gateway", "runtime", "center", "device_profiles", "firmware", "pages")
READ = ("docs/portals.md",)  # files that the tests of a room read
SETTINGS = """\
[tool.mutmut]
source_paths = ["gateway"]
only_mutate = ["gateway/{room}/*.py"]
do_not_mutate = ["gateway/access/reasons.py"]
also_copy = [{copied}]
pytest_add_cli_args = ["-x", "-p", "no:cacheprovider", "--hypothesis-profile=mutation"]
pytest_add_cli_args_test_selection = ["tests/{room}"]
use_git_change_detection = false

[tool.pytest.ini_options]
asyncio_mode = "auto"
"""
# Shrinking a failure is for people; here one failure is all that counts.
CONFTEST = """\
from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "mutation",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=40,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""


def main() -> int:
    asked = argparse.ArgumentParser(description="Mutation testing of the pure rooms.")
    asked.add_argument("rooms", nargs="*", choices=[*ROOMS, []], help="default: all of them")
    asked.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    asked.add_argument("--minutes", type=int, default=30, help="at most, for each room (default 30)")
    asked.add_argument("--changes", action="store_true", help="print what each survivor changes")
    given = asked.parse_args()
    scores = [_score(room, given.jobs, given.minutes, given.changes) for room in given.rooms or ROOMS]
    return 0 if all(score >= GOAL for score in scores) else 1


def _score(room: str, jobs: int, minutes: int, changes: bool) -> float:
    work = _prepare(room)
    _run(work, jobs, minutes)
    results = _results(work)
    killed = sum(status in ("killed", "timeout", "caught by type check") for status in results.values())
    share = killed / len(results) if results else 0.0
    _say(f"{room}: {killed} of {len(results)} mutants killed, {share:.1%} (goal {GOAL:.0%})")
    for name, status in sorted(results.items()):
        if status not in ("killed", "timeout", "caught by type check"):
            _say(f"  {status}: {name}")
            if changes and status == "survived":
                _say(_diff(work, name))
    return share


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _prepare(room: str) -> Path:
    """A fresh copy in which mutmut may do as it likes."""
    work = ROOT / "build/mutation" / room
    shutil.rmtree(work, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.tflite")
    for package in COPIED:
        shutil.copytree(ROOT / package, work / package, ignore=ignored)
    shutil.copytree(ROOT / "tests" / room, work / "tests" / room, ignore=ignored)
    for file in READ:
        (work / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, work / file)
    (work / "tests/conftest.py").write_text(CONFTEST, "utf-8")
    copied = ", ".join(f'"{name}"' for name in (*COPIED, *{Path(file).parts[0] for file in READ}))
    (work / "pyproject.toml").write_text(SETTINGS.format(room=room, copied=copied), "utf-8")
    return work


def _run(work: Path, jobs: int, minutes: int) -> None:
    log = work / "run.log"
    with log.open("wb") as out:
        command = ["nice", "-n", "10", str(MUTMUT), "run", "--max-children", str(jobs)]
        process = subprocess.Popen(command, cwd=work, stdout=out, stderr=out, start_new_session=True)
        try:
            status = process.wait(minutes * 60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # it writes down what it knows
            process.wait(60)
            sys.stderr.write(f"zhian: mutation: stopped after {minutes} minutes; --minutes gives it longer\n")
            return
    if status != 0:
        lines = log.read_text("utf-8", "replace").splitlines()[-20:]
        sys.exit("\n".join([*lines, f"zhian: mutation: mutmut ended with {status}; its last lines are above ({log})"]))


def _results(work: Path) -> dict[str, str]:
    """What became of each mutant, by its name."""
    command = [str(MUTMUT), "results", "--all", "true"]
    told = subprocess.run(command, cwd=work, capture_output=True, text=True, check=True).stdout
    pairs = (line.strip().rsplit(": ", 1) for line in told.splitlines() if ": " in line)
    return dict(pairs)


def _diff(work: Path, name: str) -> str:
    shown = subprocess.run([str(MUTMUT), "show", name], cwd=work, capture_output=True, text=True, check=False).stdout
    kept = [line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return "\n".join(f"    {line}" for line in kept)


if __name__ == "__main__":
    sys.exit(main())
