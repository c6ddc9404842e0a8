"""A private PostgreSQL server for tests: Debian's programs, a cluster in a temporary folder, a Unix socket only."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

DEADLINE_S = 60


def programs() -> Path:
    """The folder of initdb and pg_ctl. Fails with what to install."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    assert on_path, "PostgreSQL is not installed: apt-get install postgresql (setup/test-packages.sh)"
    return Path(on_path).parent


class PostgresServer:
    """A running cluster. `database()` makes an empty database and gives its connection string."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.folder = folder
        self._user = user  # the server refuses to run as root
        self._programs = programs()
        self._made = 0

    def _run(self, program: str, *words: str) -> None:
        with (self.folder / "words.log").open("ab") as log:
            subprocess.run(
                [str(self._programs / program), *words],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                timeout=DEADLINE_S,
                **({"user": self._user, "group": pwd.getpwnam(self._user).pw_gid} if self._user else {}),
            )

    def make(self) -> None:
        self._run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off -c max_connections=40"
        self._run("pg_ctl", "-D", "data", "-l", "server.log", "-w", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", "data", "-m", mode, "-w", "stop")

    def database(self) -> str:
        self._made += 1
        name = f"center_{self._made}"
        with psycopg.connect(f"host={self.folder} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"host={self.folder} user=postgres dbname={name}"


@contextlib.contextmanager
def running() -> Iterator[PostgresServer]:
    """A server for the length of a block; then it and its folder are gone."""
    user = None
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = "postgres" if "postgres" in names else "nobody"
    folder = Path(tempfile.mkdtemp(prefix="zhian-pg-"))  # short: a socket's path has at most 107 bytes
    try:
        if user is not None:
            shutil.chown(folder, user)
        server = PostgresServer(folder, user)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
