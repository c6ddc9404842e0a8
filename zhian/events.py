"""`zhian events`: the catalogue of events, for people and for programs."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _events() -> None:
    """The catalogue of events."""


@app.command()
def catalogue(
    json: Annotated[bool, typer.Option("--json", help="a JSON list")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="a Markdown table")] = False,
) -> None:
    """Every event that can be reported: type, version, severity, titles and fields."""
    import json as json_text

    from center.contract.descriptions import as_markdown, described

    if json and markdown:
        raise typer.BadParameter("choose --json or --markdown")
    if json:
        print(json_text.dumps(described(), ensure_ascii=False, indent=1))
    elif markdown:
        print(as_markdown(), end="")
    else:
        for event in described():
            fields = ", ".join(field["name"] for field in event["fields"])
            print(f"{event['type']:<26} {event['severity']:<12} {event['title_zh']} / {event['title_en']}: {fields}")
