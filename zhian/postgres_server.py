"""A PostgreSQL server of one's own in a folder, for `zhian chaos` and `zhian bench`: Debian's programs, a Unix socket.

It keeps what it has committed (fsync on), as a center's server does. PostgreSQL refuses to run as root: then it runs as
the user `postgres`, or `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from runtime.errors import UserError

_MAKE_TIMEOUT_S = 120
_DEBIAN = Path("/usr/lib/postgresql")


def programs() -> Path | None:
    """The folder of initdb and postgres, the newest there is; None where PostgreSQL is not installed."""
    found = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class PostgresServer:
    """One cluster. `make` once; then run `words` (it stays in the foreground), and use `dsn` when it accepts."""

    def __init__(self, folder: Path) -> None:
        """folder: of its own, reachable by the server's user; short, as a socket's path has at most 107 bytes.

        Raises UserError where PostgreSQL is not installed.
        """
        where = programs()
        if where is None:
            raise UserError(
                "PostgreSQL: initdb is neither on PATH nor in /usr/lib/postgresql; apt-get install postgresql"
            )
        self._programs = where
        self._folder = folder
        self._as: list[str] = []
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            self._owner: pwd.struct_passwd | None = user
            ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
            self._as = ["setpriv", *ids, "--pdeathsig", "KILL", "--"]
        else:
            self._owner = None

    @property
    def data(self) -> Path:
        """The cluster's files."""
        return self._folder / "data"

    @property
    def dsn(self) -> str:
        """Of its only database."""
        return f"host={self._folder} user=postgres dbname=postgres"

    @property
    def words(self) -> list[str]:
        """What runs the server until it is stopped: SIGTERM asks, SIGINT hurries, kill -9 is a crash."""
        settings = ("listen_addresses=", f"unix_socket_directories={self._folder}", "max_connections=40", "fsync=on")
        options = [word for one in settings for word in ("-c", one)]
        return [*self._as, str(self._programs / "postgres"), "-D", str(self.data), *options]

    def make(self) -> None:
        """An empty cluster. Raises UserError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._owner is not None:
            os.chown(self._folder, self._owner.pw_uid, self._owner.pw_gid)
        initdb = [str(self._programs / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust"]
        made = subprocess.run(
            [*self._as, *initdb, "-E", "UTF8", "--locale=C", "--no-sync"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            timeout=_MAKE_TIMEOUT_S,
        )
        if made.returncode:
            said = made.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise UserError(f"PostgreSQL: initdb in {self.data} failed ({said[0][:200]}); check the folder's rights")

    def accepts(self) -> bool:
        """Whether it takes connections now."""
        import psycopg

        try:
            psycopg.connect(self.dsn, connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True
