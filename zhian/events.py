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
    examples: Annotated[bool, typer.Option("--examples", help="a Markdown page with an example of each")] = False,
    asyncapi: Annotated[bool, typer.Option("--asyncapi", help="the AsyncAPI 3 document, JSON")] = False,
) -> None:
    """Every event that can be reported: type, version, severity, titles, fields, an example."""
    import json as json_text

    from center.contract import asyncapi as contract
    from center.contract.descriptions import as_markdown, described, examples_as_markdown

    if json + markdown + examples + asyncapi > 1:
        raise typer.BadParameter("choose one of --json, --markdown, --examples and --asyncapi")
    if json:
        print(json_text.dumps(described(), ensure_ascii=False, indent=1))
    elif asyncapi:
        print(json_text.dumps(contract.asyncapi(), ensure_ascii=False, indent=1))
    elif markdown or examples:
        print(as_markdown() if markdown else examples_as_markdown(), end="")
    else:
        for event in described():
            fields = ", ".join(field["name"] for field in event["fields"])
            print(f"{event['type']:<26} {event['severity']:<12} {event['title_zh']} / {event['title_en']}: {fields}")
