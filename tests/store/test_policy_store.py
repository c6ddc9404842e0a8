"""The policy in force: signed, versioned, and refused where it is not the site's newest own."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import replace

import pytest
from msgspec.structs import replace as with_fields
from policy_rig import NOW_MS, PLACE, TEXT, document, store_in

from gateway.errors import OperationRefusedError, StoreError
from gateway.model import CredentialKind
from gateway.store import policy_file, policy_versions
from gateway.store.policy_document import PolicyDocument
from gateway.store.policy_signing import PolicyKey, make_key_file, read_key
from gateway.store.policy_store import PolicyStore, file_was_changed, seen
from runtime.errors import ConfigError

CARD = (CredentialKind.CARD, "26:1")


def renamed(before: PolicyDocument, name: str) -> PolicyDocument:
    first = before.holder[0]
    return with_fields(before, holder=(with_fields(first, name=with_fields(first.name, en=name)), *before.holder[1:]))


def edit(store: PolicyStore, name: str, base: int | None = None, operator: str = "li") -> int:
    made = store.commit(
        renamed(store.in_force.document, name), base=base, operator=operator, cause="import", now_ms=NOW_MS
    )
    return made.row.version


def english(store: PolicyStore) -> str:
    return store.in_force.policy.holders["lin"].name["en"]


def tamper(folder, statement: str, *values: object) -> None:
    with sqlite3.connect(folder / "data/policy.sqlite") as connection:
        connection.execute(statement, values)
    connection.close()


def refused(folder, **options) -> str:
    with pytest.raises((StoreError, ConfigError)) as error:
        store_in(folder, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_first_start_imports_the_file_and_makes_the_key(tmp_path):
    store = store_in(tmp_path)
    assert store.in_force.policy.credentials[CARD].holder == "lin"
    assert (store.in_force.row.version, store.in_force.row.operator, store.in_force.row.cause) == (
        1,
        "set-up",
        "import",
    )
    for name in ("policy.key", "policy.sqlite"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600
    assert len(store.key.public) == 32


def test_the_file_counts_once_a_restart_undoes_no_edit(tmp_path):
    store = store_in(tmp_path)
    edit(store, "Lin Two")
    assert not file_was_changed(store, tmp_path / "policy.toml")
    store.close()
    (tmp_path / "policy.toml").write_text(TEXT.replace("Lin Xiao", "Lin Three"), "utf-8")
    again = store_in(tmp_path)
    assert english(again) == "Lin Two"
    assert file_was_changed(again, tmp_path / "policy.toml")


def test_later_the_file_may_be_broken_or_gone(tmp_path):
    store_in(tmp_path).close()
    (tmp_path / "policy.toml").write_text("version = ", "utf-8")
    assert english(store_in(tmp_path)) == "Lin Xiao"


def test_a_broken_file_at_the_first_start_leaves_nothing_behind(tmp_path):
    (tmp_path / "policy.toml").write_text("version = ", "utf-8")
    assert "not valid TOML" in refused(tmp_path)
    assert not (tmp_path / "data").exists()


def test_every_edit_is_a_version_that_says_who_and_when(tmp_path):
    store = store_in(tmp_path)
    assert edit(store, "Lin Two", operator="chen") == 2
    newest, first = store.versions.rows()
    assert (newest.version, newest.operator, newest.cause, newest.made_ms) == (2, "chen", "import", NOW_MS)
    assert newest.digest != first.digest
    assert store.version(1).policy.holders["lin"].name["en"] == "Lin Xiao"
    store.close()
    again = store_in(tmp_path)
    assert (again.in_force.row, english(again)) == (newest, "Lin Two")


def test_only_the_newest_versions_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(policy_versions, "KEPT_VERSIONS", 3)
    store = store_in(tmp_path)
    for i in range(5):
        edit(store, f"Lin {i}")
    assert [row.version for row in store.versions.rows()] == [6, 5, 4]
    with pytest.raises(StoreError, match="there is no version 2; 4 to 6 are kept"):
        store.version(2)


def test_two_editors_do_not_overwrite_one_another(tmp_path):
    store = store_in(tmp_path)
    both_began_with = store.in_force.row.version
    edit(store, "Lin of Chen", base=both_began_with, operator="chen")
    with pytest.raises(OperationRefusedError) as error:
        edit(store, "Lin of Zhao", base=both_began_with, operator="zhao")
    assert str(error.value) == (
        "this edit began with version 1, but version 2 of operator 'chen' (import) is in force; export it, make your"
        " changes there, and import that"
    )
    assert english(store) == "Lin of Chen"


def test_a_refused_document_changes_nothing(tmp_path):
    store = store_in(tmp_path)
    without_lobby = with_fields(document(), portal=(), rule=())
    with pytest.raises(ConfigError, match="portal 'lobby' of this gateway is missing"):
        store.commit(without_lobby, base=1, operator="li", cause="import", now_ms=NOW_MS)
    assert store.in_force.row.version == 1
    assert store.versions.newest_number() == 1


def test_a_clock_set_back_does_not_reorder_versions(tmp_path):
    store = store_in(tmp_path)
    store.commit(renamed(document(), "A"), base=1, operator="li", cause="import", now_ms=NOW_MS - 3_600_000)
    assert store.in_force.row.made_ms == NOW_MS
    assert store.at(NOW_MS).row.version == 2


def test_what_was_in_force_at_a_moment_can_be_asked(tmp_path):
    store = store_in(tmp_path)
    store.commit(renamed(document(), "Later"), base=1, operator="li", cause="import", now_ms=NOW_MS + 60_000)
    assert store.at(NOW_MS + 59_999).policy.holders["lin"].name["en"] == "Lin Xiao"
    assert store.at(NOW_MS + 60_000).policy.holders["lin"].name["en"] == "Later"
    assert store.at(NOW_MS - 1) is None


# --- attacks and mishaps ------------------------------------------------------------------------------------------


def test_a_changed_body_is_refused(tmp_path):
    import zstandard

    store_in(tmp_path).close()
    with sqlite3.connect(tmp_path / "data/policy.sqlite") as connection:
        (packed,) = connection.execute("SELECT body FROM version").fetchone()
        body = zstandard.decompress(packed).replace(b'"26:1"', b'"26:9"')
        connection.execute("UPDATE version SET body = ?", (zstandard.compress(body),))
    connection.close()
    assert "version 1 is not signed by this site's policy key" in refused(tmp_path)


@pytest.mark.parametrize("column", ["operator = 'mallory'", "made_ms = 1", "cause = 'undo'", "digest = 'ff'"])
def test_a_changed_row_is_refused(tmp_path, column):
    store_in(tmp_path).close()
    tamper(tmp_path, f"UPDATE version SET {column}")
    assert "differs from what its row says" in refused(tmp_path)


def test_a_signed_older_version_under_a_newer_number_is_refused(tmp_path):
    store = store_in(tmp_path)
    edit(store, "Lin Two")
    store.close()
    tamper(tmp_path, "DELETE FROM version WHERE version = 2")
    tamper(tmp_path, "UPDATE mark SET value = '1' WHERE key = 'newest'")
    tamper(tmp_path, "UPDATE version SET version = 2")
    assert "differs from what its row says" in refused(tmp_path)


def test_another_sites_key_is_refused(tmp_path):
    store_in(tmp_path).close()
    (tmp_path / "data/policy.key").unlink()
    make_key_file(tmp_path / "data/policy.key")
    assert "is not signed by this site's policy key" in refused(tmp_path)


def test_a_lost_key_is_not_made_anew(tmp_path):
    store_in(tmp_path).close()
    (tmp_path / "data/policy.key").unlink()
    assert "there is no policy key" in refused(tmp_path)


def test_another_sites_policy_is_refused(tmp_path):
    store_in(tmp_path).close()
    said = refused(tmp_path, place=replace(PLACE, site="other"))
    assert "is the policy of west/garden, this gateway is at west/other" in said


def test_rollback_to_an_older_copy_of_the_file_is_refused(tmp_path):
    store = store_in(tmp_path)
    old = (tmp_path / "data/policy.sqlite").read_bytes()
    edit(store, "Lin Two")
    store.close()
    (tmp_path / "data/policy.sqlite").write_bytes(old)
    said = refused(tmp_path, newest_seen=seen({"policy-version": "2"}))
    assert "version 2 of the policy was in force, but the newest here is 1" in said


def test_a_lost_store_is_not_begun_anew_from_the_file(tmp_path):
    store_in(tmp_path).close()
    (tmp_path / "data/policy.sqlite").unlink()
    assert "version 1 of the policy was in force, but there is none here" in refused(tmp_path, newest_seen=1)


def test_newest_row_taken_away_is_refused(tmp_path):
    store = store_in(tmp_path)
    edit(store, "Lin Two")
    store.close()
    tamper(tmp_path, "DELETE FROM version WHERE version = 2")
    assert "version 2 of the policy was in force, but the newest here is 1" in refused(tmp_path)


def test_a_body_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    import zstandard

    store_in(tmp_path).close()
    monkeypatch.setattr(policy_versions, "MAX_BODY_BYTES", 10_000)
    bomb = zstandard.ZstdCompressor(write_content_size=False).compress(b" " * 1_000_000)
    tamper(tmp_path, "UPDATE version SET body = ?", bomb)
    assert "version 1 is damaged" in refused(tmp_path)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    store_in(tmp_path).close()
    (tmp_path / "data/policy.sqlite").write_bytes(b"not a database, and long enough to look like one" * 100)
    assert "cannot be opened" in refused(tmp_path)


def test_a_newer_schema_is_refused(tmp_path):
    store_in(tmp_path).close()
    tamper(tmp_path, "PRAGMA user_version = 7")
    assert "schema version 7, this program knows 1" in refused(tmp_path)


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [("ab" * 32, 0o644, "only its owner can read"), ("ab" * 31, 0o600, "64 hex digits"), ("x" * 64, 0o600, "64 hex")],
)
def test_a_wrong_key_file_is_refused_without_showing_it(tmp_path, text, mode, says):
    file = tmp_path / "policy.key"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(ConfigError, match=says) as error:
        read_key(file)
    assert text not in str(error.value)


def test_a_policy_signature_is_no_pass_signature():
    key = PolicyKey(b"k" * 32)
    signature = key.sign_policy(b"body")
    assert key.policy_is_ours(b"body", signature)
    assert not key.pass_is_ours(b"body", signature)
    assert not key.policy_is_ours(b"bodY", signature)
    assert not key.policy_is_ours(b"body", signature[:-1])
    assert not PolicyKey(b"j" * 32).policy_is_ours(b"body", signature)


def test_a_key_file_is_never_overwritten(tmp_path):
    make_key_file(tmp_path / "policy.key")
    with pytest.raises(ConfigError, match="cannot be written"):
        make_key_file(tmp_path / "policy.key")


# --- hostile documents --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version = 1\n" + "x = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ('version = 1\n[[holder]]\nid = "a"\nname = { zh = "", en = "b" }', "holder[0].name.zh"),
        ('version = 1\n[[holder]]\nid = "../x"\nname = { zh = "a", en = "b" }', "holder[0].id"),
        (f"version = {'9' * 5000}", "not valid TOML"),
        ("version = -1", "version: expected `int` >= 1"),
        ('version = 1\n[[portal]]\nname = "a\\n"\naccepts = [["card"]]', "portal[0].name"),
        ('version = 1\n[[zone]]\nname = "z"\npassback = "timed"\ntimed_s = 99999999', "zone[0].timed_s"),
        ("version = 1\n" + "[[zone]]\nname = 'z'\n" * 201, "zone: expected `array` of length <= 200"),
    ],
)
def test_a_hostile_document_is_refused_in_one_short_sentence(text, says):
    with pytest.raises(ConfigError) as error:
        policy_file.parse(text.encode(), "policy.toml")
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(policy_file, "MAX_FILE_BYTES", 100)
    (tmp_path / "policy.toml").write_text(TEXT, "utf-8")
    with pytest.raises(ConfigError, match="more than 100 bytes"):
        policy_file.read(tmp_path / "policy.toml")


def test_rules_that_multiply_are_refused(monkeypatch):
    from gateway.store import policy_compile

    monkeypatch.setattr(policy_compile, "MAX_RULE_PORTALS", 1)
    with pytest.raises(ConfigError, match="name more than 1 portals"):
        policy_compile.compile_document(document(), "policy.toml")
