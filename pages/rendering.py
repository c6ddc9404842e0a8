"""Turn templates and values into HTML. Autoescape is always on and an undefined name is an error, never blank."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pages.language import LANGUAGES, Texts, Words

KIT = Path(__file__).parent
SHOWN_CHARS = 120  # of a device's own text on a page


class Renderer:
    """The templates of one page process: its own folder first, then the kit's.

    folders: template folders of the page. texts: the page's own; the kit's are added by the caller.
    zone: the time zone in which times are shown. assets: static files of the page's own, by names of their own.
    """

    def __init__(self, folders: list[Path], texts: Texts, zone: tzinfo, assets: Path | None = None) -> None:
        self._env = Environment(
            loader=FileSystemLoader([*folders, KIT / "templates"]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        versions = {f"/static/{name}": version for name, version in _versions(KIT / "static").items()}
        if assets is not None:
            versions |= {f"/static/page/{name}": version for name, version in _versions(assets).items()}
        self._assets = {path.rpartition("/")[2]: f"{path}?v={version}" for path, version in versions.items()}
        self._env.globals["asset"] = self._assets.__getitem__
        self._env.globals["languages"] = LANGUAGES
        self._env.filters["at"] = lambda ms: local_time(ms, zone)
        self._env.filters["iso"] = lambda ms: iso(ms)
        self._env.filters["shown"] = shown
        self.words = {name: Words(texts, name) for name in LANGUAGES}

    def html(self, template: str, language: str, **values: object) -> str:
        """Render a whole page or a fragment in one language; templates call `t(key)`."""
        return self._env.get_template(template).render(t=self.words[language], language=language, **values)


def local_time(ms: int, zone: tzinfo) -> str:
    """`07-21 14:03:09` in the site's zone."""
    when = datetime.fromtimestamp(ms / 1000, tz=zone)
    return when.strftime("%m-%d %H:%M:%S")


def iso(ms: int) -> str:
    """RFC 3339 with milliseconds, UTC, for `<time datetime>`."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown(text: object) -> str:
    """A device's own text made fit to show: unprintable characters become a visible mark, long text is cut."""
    plain = "".join(c if c.isprintable() else "\ufffd" for c in str(text))
    return plain if len(plain) <= SHOWN_CHARS else plain[: SHOWN_CHARS - 1] + "…"


def _versions(folder: Path) -> dict[str, str]:
    """The hash of each file. It stands in the file's URL, so that browsers may keep the file for good."""
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest()[:12] for f in folder.iterdir() if f.is_file()}
