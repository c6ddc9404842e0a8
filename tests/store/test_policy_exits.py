"""Who shows something at an exit reader leaves: gateway.toml and the policy must agree, at start and at import."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs
from policy_rig import NOW_MS, PLACE, TEXT

from gateway import config as configuration
from gateway import wiring
from gateway.store.policy_store import open_policy
from runtime.errors import ConfigError

EXITS = {"lobby": "lobby-inside"}
NAMED = TEXT.replace('name = "lobby"\n', 'name = "lobby"\nexit_points = ["lobby-inside"]\n')


def opened(folder, text: str, exits: dict[str, str]):
    file = folder / "policy.toml"
    file.write_text(text, "utf-8")
    place = replace(PLACE, exits=exits)
    return open_policy(folder / "policy.sqlite", folder / "policy.key", place, file, now_ms=NOW_MS, newest_seen=0)


def test_a_policy_that_does_not_name_the_exit_reader_is_refused_at_start(tmp_path):
    with pytest.raises(ConfigError, match=r"'lobby': exit_points: expected the exit_reader 'lobby-inside' .* add it"):
        opened(tmp_path, TEXT, EXITS)


def test_a_reader_that_is_added_later_is_asked_for_at_the_next_start_and_no_import_takes_it_away(tmp_path):
    opened(tmp_path, TEXT, {}).close()
    with pytest.raises(ConfigError, match="exit_points"):
        opened(tmp_path, TEXT, EXITS)


def test_an_import_without_it_is_refused_and_nothing_changes(tmp_path):
    store = opened(tmp_path, NAMED, EXITS)
    document = store.in_force.document
    portals = tuple(structs.replace(portal, exit_points=()) for portal in document.portal)
    without = structs.replace(document, portal=portals)
    with pytest.raises(ConfigError, match="exit_points"):
        store.commit(without, base=1, operator="desk", cause="import", now_ms=NOW_MS)
    assert store.in_force.row.version == 1
    store.close()


def test_every_exit_reader_of_the_configuration_is_one():
    label = configuration.Label("门", "Door")
    config = configuration.GatewayConfig(
        site=configuration.Site("west", "garden", "gate-1", label, "site.key"),
        paths=configuration.Paths("data", "run"),
        policy=configuration.Policy("policy.toml"),
        door=(
            configuration.Door("lobby", label, "lobby", exit_reader="lobby-inside"),
            configuration.Door("shed", label, "shed"),
        ),
        turnstile=(configuration.Turnstile("arms", label, "arms", exit_reader="arms-inside"),),
    )
    assert wiring.exit_readers(config) == {"lobby": "lobby-inside", "arms": "arms-inside"}
