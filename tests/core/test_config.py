"""Settings: which source wins, and that each error names the setting, the value and what would be right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tracker.config.loading import ENV, load
from tracker.config.names import names
from tracker.config.settings import Settings
from tracker.config.showing import secrets_of, shown
from tracker.errors import ConfigError
from tracker.orders.engine import engine_of
from tracker.store.connect import server_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "milepost.toml"


def refused(
    env: Mapping[str, str] | None = None, file: Path | None = None, flags: Mapping[str, str] | None = None
) -> str:
    with pytest.raises(ConfigError) as error:
        load(file, env or {}, flags or {})
    return str(error.value)


# ------------------------------------------------------------ which source wins


def test_nothing_set_is_the_defaults() -> None:
    assert load(env={}) == Settings()


def test_the_environment_wins_over_the_file_and_a_flag_over_both(file: Path) -> None:
    file.write_text('[http]\nport = 1001\nhost = "127.0.0.2"\npublic_url = "https://a.example"\n')
    settings = load(file, {"MILEPOST_HTTP_PORT": "1002", "MILEPOST_HTTP_HOST": "127.0.0.3"}, {"http.port": "1003"})
    assert (settings.http.port, settings.http.host) == (1003, "127.0.0.3")
    assert settings.public_url == "https://a.example"


def test_what_is_not_ours_in_the_environment_is_left_alone() -> None:
    assert load(env={"HOME": "x", "MILEPOSTS": "7"}) == Settings()


def test_what_the_command_line_reads_itself_is_no_setting_and_no_error() -> None:
    assert load(env={"MILEPOST_URL": "x", "MILEPOST_API_KEY": "x", "MILEPOST_CONFIG": "x"}) == Settings()


@pytest.mark.parametrize("name", names())
def test_every_setting_can_be_set_by_environment_and_by_flag(name: str) -> None:
    texts = {
        "data": "elsewhere",
        "roles": "intake",
        "processes": "roles",
        "store.url": "redis://127.0.0.1:1",
        "store.durability": "relaxed",
        "http.host": "127.0.0.2",
        "http.public_url": "https://parcels.example",
        "http.open_console": "true",
        "http.trusted_proxies": "10.0.0.0/8",
        "http.forwarded": "forwarded",
        "log.level": "debug",
        "log.format": "json",
        "secrets.key": "c2VjcmV0",
        "egress.allow": "10.0.0.0/8, fd00::/8",
        "egress.deny": "198.51.100.0/24",
        "egress.ports": "9000,9001",
        "http.metrics_token": "a-token-of-many-letters",
        "privacy.mask": "all",
        "privacy.accounts": '{ shop-a = "all" }',
        "stall.hours": "{ picked_up = 48 }",
        "stall.carriers": "{ sf = { picked_up = 12 } }",
        "stall.accounts": '{ "shop/sf" = { picked_up = 6 } }',
        "orders.url": "sqlite+aiosqlite:///x.db",
    }
    text = texts.get(name, "7")
    by_env = load(env={ENV + name.replace(".", "_").upper(): text})
    by_flag = load(env={}, flags={name: text})
    assert by_env == by_flag != Settings()


def test_lists_are_written_with_commas_and_tables_as_inline_toml() -> None:
    settings = load(env={}, flags={"roles": "intake, delivery", "stall.hours": "{ picked_up = 48, in_transit = 96.5 }"})
    assert settings.roles == ("intake", "delivery")
    assert settings.stall.hours == {"picked_up": 48, "in_transit": 96.5}


def test_the_public_address_is_where_it_listens_until_it_is_set() -> None:
    assert load(env={}).public_url == load(env={}).known_url == "http://127.0.0.1:8040"
    assert load(env={}, flags={"http.host": "::1"}).public_url == "http://[::1]:8040"
    assert (
        load(env={}, flags={"http.host": "0.0.0.0"}).known_url
        == load(env={}, flags={"http.host": "::"}).known_url
        == ""
    )
    assert load(env={}, flags={"http.port": "0"}).heard_on(1234).known_url == "http://127.0.0.1:1234"
    assert load(env={}, flags={"http.public_url": "https://a.example/"}).public_url == "https://a.example"


# ------------------------------------------------------------ what is wrong, by name, value and remedy


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("http.port", "x", "http.port: 'x' is not a whole number"),
        ("http.port", "", "http.port: '' is not a whole number"),
        ("http.port", "99999", "http.port: 99999 is not between 0 and 65535"),
        ("http.open_console", "yes", "http.open_console: 'yes' is not true or false"),
        ("http.public_url", "a.example", "http.public_url: 'a.example' must begin with https:// or http://"),
        (
            "http.metrics_token",
            "too short",
            "http.metrics_token: must have 16 characters or more: `openssl rand -hex 16`",
        ),
        ("log.level", "loud", "log.level: 'loud' is not debug or info or warning or error"),
        ("log.format", "xml", "log.format: 'xml' is not auto or json or console"),
        ("store.durability", "no", "store.durability: 'no' is not always or relaxed"),
        ("store.shards", "-1", "store.shards: -1 is not between 0 and 4096"),
        ("roles", "intake,cook", "roles[1]: 'cook' is not intake or delivery or poller"),
        ("roles", "", "roles: there are none; name one or more of intake, delivery, poller"),
        ("delivery.timeout_s", "nan", "delivery.timeout_s: nan is not between 0.1 and 300"),
        ("delivery.total", "0", "delivery.total: 0 is not between 1 and 100000"),
        ("delivery.pause_days", "0", "delivery.pause_days: 0.0 must be more than 0"),
        ("poll.factor", "0", "poll.factor: 0.0 must be more than 0"),
        ("stall.factor", "-1", "stall.factor: -1.0 must be more than 0"),
        ("feed.keep_days", "inf", "feed.keep_days: inf must be more than 0 and finite"),
        ("privacy.mask", "some", "privacy.mask: 'some' is not off or contact or all"),
        (
            "privacy.accounts",
            "{ shop = 'some' }",
            "privacy.accounts: {'shop': 'some'} holds something that is not off or contact or all",
        ),
        ("audit.keep_days", "0", "audit.keep_days: 0.0 is not between 1 and 3650"),
        ("audit.keep_entries", "many", "audit.keep_entries: 'many' is not a whole number"),
        ("http.forwarded", "via", "http.forwarded: 'via' is not x-forwarded-for or forwarded"),
        ("http.header_s", "0", "http.header_s: 0.0 is not between 0.5 and 300"),
        ("http.body_s", "nan", "http.body_s: nan is not between 0.5 and 3600"),
        ("http.idle_s", "1e9", "http.idle_s: 1000000000.0 is not between 0.5 and 3600"),
        ("http.write_s", "-1", "http.write_s: -1.0 is not between 0.5 and 3600"),
        ("http.max_connections", "0", "http.max_connections: 0 is not between 1 and 1000000"),
        ("http.max_per_address", "-1", "http.max_per_address: -1 is not between 0 and 1000000"),
        ("limits.key_rate", "-1", "limits.key_rate: -1.0 is not between 0 and 1000000"),
        ("limits.push_rate", "nan", "limits.push_rate: nan is not between 0 and 1000000"),
        ("limits.stranger_rate", "many", "limits.stranger_rate: 'many' is not a number"),
        ("limits.replay_s", "-1", "limits.replay_s: -1.0 is not between 0 and 86400"),
        ("limits.window_s", "0", "limits.window_s: 0.0 is not between 1 and 3600"),
        ("egress.ports", "80,x", "egress.ports[1]: 'x' is not a whole number"),
        ("stall.hours", "48", "stall.hours: 48 is not a table"),
        ("stall.hours", "lots", "stall.hours: 'lots' is no inline table like { picked_up = 48 }"),
        ("stall.hours", "{ picked_up = 'x' }", "stall.hours: {'picked_up': 'x'} holds something that is not a number"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(name: str, value: str, message: str) -> None:
    assert refused(flags={name: value}) == message
    assert refused({ENV + name.replace(".", "_").upper(): value}) == message


def test_a_network_that_is_none_is_named_with_how_one_is_written() -> None:
    for name in ("egress.allow", "http.trusted_proxies"):
        message = refused(flags={name: "10.0.0.0/8,hello"})
        assert message.startswith(f"{name}: 'hello' ")
        assert message.endswith("a network is written 10.0.0.0/8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[http]\nprot = 1\n", "http.prot is no setting; did you mean http.port? `milepost config` lists them"),
        ("[htpp]\nport = 1\n", "htpp is no setting; did you mean http? `milepost config` lists them"),
        ("http = 5\n", "http: 5 is not a table"),
        ("roles = 'intake'\n", "roles: 'intake' is not a list"),
        ("[store]\nshards = true\n", "store.shards: True is not a whole number"),
        ("[http]\nport = 80.5\n", "http.port: 80.5 is not a whole number"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    assert refused(file=file) == message


def test_a_section_that_the_file_made_a_value_is_named_when_the_environment_sets_into_it(file: Path) -> None:
    file.write_text("http = 5\n")
    assert refused({"MILEPOST_HTTP_PORT": "1"}, file) == "http: 5 is not a table"


def test_a_misspelt_name_is_an_error_wherever_it_stands() -> None:
    assert refused({"MILEPOST_HTPP_PORT": "1"}) == (
        "environment: MILEPOST_HTPP_PORT is no setting; did you mean MILEPOST_HTTP_PORT? `milepost config` lists them"
    )
    assert refused(flags={"http.prot": "1"}).startswith("http.prot is no setting; did you mean http.port?")
    assert refused(flags={"nonsense": "1"}) == "nonsense is no setting; `milepost config` lists them"
    assert refused(flags={"http": "1"}) == "http is no setting; `milepost config` lists them"


def test_a_file_that_is_absent_or_no_toml_is_named(file: Path) -> None:
    assert refused(file=file) == f"settings file {file}: No such file or directory"
    file.write_text("x = [")
    assert refused(file=file).startswith(f"settings file {file} is not TOML: ")
    file.write_bytes(b"\xff\xfe")
    assert refused(file=file).startswith(f"settings file {file} is not TOML: ")


@pytest.mark.parametrize("url", ["http://store.example", "store.example:6379", "redis:/store.example"])
def test_an_address_of_no_store_is_refused_with_those_that_are(url: str) -> None:
    assert refused(flags={"store.url": url}).endswith(
        "is no kind of store; redis://, redis+sentinel:// and redis+cluster:// are"
    )


# ------------------------------------------------------------ secrets


def test_no_error_repeats_a_secret(file: Path) -> None:
    assert "hunter2" not in refused(flags={"store.url": "user:hunter2@store.example"})
    file.write_text("[secrets]\nkey = ['hunter2']\n")
    assert refused(file=file) == "secrets.key: the value is not text"


@pytest.mark.parametrize("url", ["redis://:{}@a", "redis+sentinel://u:{}@a:1,b:2/x", "postgresql+asyncpg://u:{}@a/b"])
@pytest.mark.parametrize("letter", "/?#@")
def test_a_password_that_parts_its_address_is_refused_with_how_it_is_written(url: str, letter: str) -> None:
    """Every other one that `openssl rand -base64` makes has a slash, and what stood before it was taken for a port."""
    name = "orders.url" if url.startswith("postgresql") else "store.url"
    said = refused(flags={name: url.format(f"hunter2{letter}x")})
    assert said.startswith(f"{name}: a user name or password with / ? # @ in it is written / as %2F")
    assert "hunter2" not in said
    written = url.format(f"hunter2%{ord(letter):X}x")
    assert f"hunter2{letter}x" in secrets_of(load(env={}, flags={name: written}))


def test_a_password_that_was_taken_for_a_port_is_not_named() -> None:
    with pytest.raises(ConfigError, match=r"store\.url: a port is no number"):
        server_of("redis://u:hunter2")
    with pytest.raises(ConfigError, match=r"orders\.url: the port is no number"):
        engine_of("postgresql+asyncpg://u:hunter2")


def test_a_file_may_lie_where_a_sign_parts_a_login() -> None:
    said = {"orders.url": "sqlite+aiosqlite:////home/me@work/orders.db", "store.url": "unix:///run/me@work/s.sock"}
    assert load(env={}, flags=said).orders.url == said["orders.url"]


@pytest.mark.parametrize("name", ["store.url", "orders.url"])
def test_a_password_in_a_query_is_one_too(name: str) -> None:
    scheme = "redis" if name == "store.url" else "postgresql+asyncpg"
    settings = load(env={}, flags={name: f"{scheme}://a/b?x=1&password=hunter2"})
    assert dict(shown(settings))[name] == "(hidden)"
    assert "hunter2" in secrets_of(settings)


def test_a_list_of_the_settings_hides_what_is_secret() -> None:
    flags = {
        "secrets.key": "hunter2",
        "store.url": "redis://u:hunter2@a",
        "orders.url": "postgresql+asyncpg://u:hunter2@a",
        "http.metrics_token": "a-token-of-many-letters",
    }
    rows = dict(shown(load(env={}, flags=flags)))
    assert {rows[name] for name in flags} == {"(hidden)"}
    assert list(rows) == names()
    assert dict(shown(load(env={}, flags={"store.url": "redis://a:6379"})))["store.url"] == '"redis://a:6379"'


# ------------------------------------------------------------ the operator's table


def test_the_operators_document_lists_every_setting_with_its_default() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    table = text.partition("| setting | default | meaning |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]*)` \| (.+) \|$", table, re.MULTILINE)
    assert [(name, default) for name, default, _ in rows] == list(shown(Settings()))
    assert all(meaning for _, _, meaning in rows)
