"""`zhian bus` and its operations, against real nodes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from osdp_rig import KEY, bench, until
from test_osdp_keys import key_file, panel_with
from typer.testing import CliRunner

from center.contract import catalogue
from gateway.control.bus_desk import BusDesk
from gateway.drivers.only_one import only_one
from gateway.drivers.osdp import KeyFile
from gateway.drivers.osdp.decode import Decoder
from gateway.drivers.osdp.ring import Heard
from gateway.operations.messages import Done, HearBus, HeardAnswer, Refused, RotateKey
from gateway.operations.operations import Operations
from runtime.errors import UserError
from zhian.bus import app

CONFIG = """
[site]
district = "d"
site = "s"
gateway = "g"
label = {{ zh = "a", en = "a" }}
site_key_file = "site.key"
[paths]
data = "data"
run = "run"
[policy]
file = "policy.toml"
[[bus]]
name = "a"
port = "{port}"
baud = 115200
[[reader]]
name = "r0"
bus = "a"
address = 5
profile = "zhian-door-node"
key_file = "r0.scbk"
"""


def config_in(folder: Path, port: Path) -> Path:
    file = folder / "gateway.toml"
    file.write_text(CONFIG.format(port=port))
    key_file(folder)
    return file


async def bus(*words: str) -> str:
    """What the command prints; its error is raised."""
    done = await asyncio.to_thread(CliRunner().invoke, app, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


async def test_an_installer_looks_shows_and_changes_keys(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        config = str(config_in(tmp_path, it.cable.bus_path))
        (found,) = json.loads(await bus("scan", "--config", config, "--from", "4", "--to", "6", "--json"))
        assert (found["address"], found["vendor"], found["serial"], found["line"]) == (5, "025a41", "1005", "a")
        assert {"function": 9, "compliance": 1, "items": 0} in found["capabilities"]
        text = await bus("scan", "--port", str(it.cable.bus_path), "--baud", "115200", "--from", "5", "--to", "5")
        assert "secure channel AES-128" in text
        assert "025a41" in text
        assert json.loads(await bus("list", "--config", config, "--json")) == [
            {"device": "r0", "bus": "a", "address": 5, "baud": 115200, "answers": True, "key": "own key"}
        ]
        await bus("light", "r0", "green", "--config", config)
        await bus("beep", "r0", "--times", "2", "--config", config)
        await until(lambda: ("buzzer", 2) in it.pins[0].indicators, "two beeps")
        assert ("led", "green") in it.pins[0].indicators
        with pytest.raises(UserError, match="NAK"):
            await bus("text", "r0", "hello", "--config", config)  # our door has no display
        assert "fresh key" in await bus("rotate-key", "r0", "--config", config)
        assert KeyFile(tmp_path / "r0.scbk").key() not in (None, KEY)
        assert "answers at address 9" in await bus("set-line", "r0", "--address", "9", "--config", config)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("scan",), "expected --config or --port"),
        (("scan", "--port", "/nowhere", "--baud", "7"), "--baud: expected all or one of"),
        (("scan", "--port", "/nowhere", "--baud", "9600"), "/nowhere: cannot be opened"),
        (("light", "r0", "blue", "--config", "CONFIG"), "colour: expected one of"),
        (("light", "r7", "red", "--config", "CONFIG"), "device: expected one of"),
        (("text", "r0", "h\u00e9", "--config", "CONFIG"), "printable ASCII"),
        (("set-line", "r0", "--config", "CONFIG"), "expected another address"),
        (("trace", "show", "/nowhere"), "/nowhere: cannot be read"),
    ],
)
async def test_bad_input_is_one_sentence(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    config = str(config_in(tmp_path, tmp_path / "nothing"))
    with pytest.raises(UserError, match=says) as refused:
        await bus(*[config if word == "CONFIG" else word for word in words])
    assert "\n" not in str(refused.value)


async def test_while_core_runs_its_lines_are_left_alone(tmp_path: Path) -> None:
    config = str(config_in(tmp_path, tmp_path / "nothing"))
    with only_one(tmp_path / "data"):
        for words in (("scan",), ("beep", "r0"), ("rotate-key", "r0"), ("install-key", "r0"), ("list",)):
            with pytest.raises(UserError, match="core has the bus"):
                await bus(*words, "--config", config)


class Judge:
    """What the desk needs of the real one."""

    def __init__(self) -> None:
        self.facts: list[object] = []

    def token(self, kind: str, name: str) -> str:
        return f"{kind}{name}".ljust(16, "0")[:16]

    async def fact(self, data: object) -> None:
        self.facts.append(data)


async def test_a_running_core_changes_a_key_and_shows_its_line(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        file = key_file(tmp_path)
        panel_with(it, file)
        await it.online()
        judge = Judge()
        desk = BusDesk(judge, {"a": it.bus}, {"r0": it.bus})  # type: ignore[arg-type, dict-item]
        operations = Operations({}, lambda: None, buses=desk)  # type: ignore[arg-type, return-value]
        assert await operations.perform(RotateKey("r0", "wang")) == Done()
        assert judge.facts == [catalogue.DeviceRekeyed("r0", "operatorwang0000")]
        answer = await operations.perform(HearBus("a"))
        assert isinstance(answer, HeardAnswer)
        heard = [Heard(one.time_ns, one.from_panel, one.data) for one in answer.heard]
        key = file.key()
        assert key is not None
        names = {one.name for one in Decoder([KEY, key]).told(heard)}
        assert {"POLL", "KEYSET", "CHLNG", "RMAC_I"} <= names
        assert key.hex() not in b"".join(one.data for one in heard).hex(), "a key is never on the line in plain"
        for request in (RotateKey("nobody", "wang"), HearBus("b")):
            assert isinstance(await operations.perform(request), Refused)
        assert len(judge.facts) == 1


async def test_a_trace_is_read_and_handed_on(tmp_path: Path) -> None:
    from gateway.drivers.osdp.capture import to_osdpcap

    async with bench(tmp_path) as it:
        panel = it.panel()
        await it.online()
        it.pins[0].card(0x155_5555)
        await until(lambda: it.cards(), "a card")
        heard = panel.trace.newest()
    capture, key = tmp_path / "line.osdpcap", key_file(tmp_path)
    capture.write_text("".join(to_osdpcap(one) + "\n" for one in heard))
    sealed = await bus("trace", "show", str(capture))
    assert "RAW" in sealed
    assert "card" not in sealed
    opened = await bus("trace", "show", str(capture), "--key-file", str(key.path))
    assert "card of 26 bits" in opened
    assert "555555" not in opened  # random challenges may hold fewer of them in a row
    private = await bus("trace", "show", str(capture), "--key-file", str(key.path), "--private", "--json")
    assert any("55555540" in json.loads(line)["detail"] for line in private.splitlines())
    await bus("trace", "pcapng", str(capture), str(tmp_path / "line.pcapng"))
    assert (tmp_path / "line.pcapng").read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    assert (tmp_path / "line.pcapng").stat().st_mode & 0o077 == 0
