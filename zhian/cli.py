"""`zhian`: one command for every process and tool. Sub-commands are imported only when they are asked for."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import NoReturn

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("zhian.demo", "Run a whole virtual community and print where to look."),
    "gateway": ("zhian.gateway", "Core of a gateway: decides at the door."),
    "access": ("zhian.access", "Who may pass, where and when: ask, change, undo, visitor passes."),
    "portal": ("zhian.portal", "Open a portal, set modes, lockdown, fire reset."),
    "vision": ("zhian.vision", "The worker process that reads pictures."),
    "web": ("zhian.web", "The property manager's pages."),
    "center": ("zhian.center", "The district center: ingest, pages, subscribe."),
    "broker": ("zhian.broker", "The embedded MQTT broker."),
    "bus": ("zhian.bus", "RS-485 lines: who is there, keys, lights, traces."),
    "sim": ("zhian.sim", "The simulator: scenarios and the virtual world."),
    "plate": ("zhian.plate", "Read plates from pictures and films."),
    "face": ("zhian.face", "Measure pictures of faces; nobody is looked up."),
    "models": ("zhian.models", "List, fetch, accept, verify and check the models."),
    "profile": ("zhian.profile", "List and check device profiles."),
    "events": ("zhian.events", "The catalogue of events."),
    "bench": ("zhian.bench", "Measure this machine against the budgets."),
    "chaos": ("zhian.chaos", "Break the way of an event, and count."),
    "doctor": ("zhian.doctor", "Check every part and say what to do."),
}

OURS = ("zhian", "gateway", "center", "sim", "firmware", "device_profiles", "runtime", "pages", "model_conversion")


def main() -> NoReturn:
    """Entry point of the console script. Exit: 0 done, 1 the answer is no or the input is bad, 2 wrong usage."""
    try:
        import typer
    except ModuleNotFoundError:
        sys.exit("zhian: the command line needs an extra: pip install 'zhian[gateway]' (or center, sim)")
    from runtime.errors import UserError

    if "--version" in sys.argv[1:2]:
        from importlib.metadata import version

        print(f"zhian {version('zhian')}")
        sys.exit(0)
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    try:
        app = build([asked] if asked in COMMANDS else [])
        app(standalone_mode=True)
    except UserError as e:
        fail(e)
    except ModuleNotFoundError as e:
        if e.name is None or e.name.partition(".")[0] in OURS:
            raise
        fail(UserError(f"{asked}: the package {e.name} is not installed; pip install 'zhian[gateway,center,sim]'"))
    except ExceptionGroup as group:  # a task of a running process failed; its sentence is what the person needs
        matched, rest = group.split(UserError)
        if matched is None or rest is not None:
            raise
        fail(_leaf(matched))
    except typer.Abort:
        sys.exit(1)
    sys.exit(0)


def build(loaded: list[str]):  # type: ignore[no-untyped-def]
    """The Typer app; only the commands named in `loaded` are imported, the others are listed with their help."""
    import typer

    app = typer.Typer(
        name="zhian",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        epilog="zhian --version prints the version.",
        help="zhian (智安): the open security gateway of a residential community.",
    )
    for name, (module, text) in COMMANDS.items():
        _add(app, name, text, importlib.import_module(module) if name in loaded else None)
    return app


def _add(app, name: str, text: str, module: ModuleType | None) -> None:  # type: ignore[no-untyped-def]
    """A module offers either `command`, one function, or `app`, a group of sub-commands."""
    if module is None:
        app.command(name=name, help=text)(lambda: None)
    elif hasattr(module, "command"):
        app.command(name=name)(module.command)
    else:
        app.add_typer(module.app, name=name, help=text)


def fail(error: BaseException) -> NoReturn:
    """One sentence on stderr, exit 1."""
    print(f"zhian: {error}", file=sys.stderr)
    sys.exit(1)


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
