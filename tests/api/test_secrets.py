"""Sealing, keys and their file."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import ConfigError
from tracker.secrets import KEY_FILE, Sealer, SealError, hash_key, new_key, new_token, same

KEY = new_key()


@given(st.binary(max_size=200))
def test_what_is_sealed_comes_back_and_never_looks_the_same_twice(plain: bytes) -> None:
    sealer = Sealer([KEY])
    first, second = sealer.seal(plain), sealer.seal(plain)
    assert sealer.unseal(first) == sealer.unseal(second) == plain
    assert first != second


def test_a_new_key_opens_what_the_old_one_sealed() -> None:
    old = Sealer([KEY])
    sealed = old.seal(b"secret")
    rotated = Sealer([new_key(), KEY])
    assert rotated.unseal(sealed) == b"secret"
    assert rotated.stale(sealed)
    assert not rotated.stale(rotated.seal(b"secret"))


@pytest.mark.parametrize("spoil", [lambda s: s[:-4], lambda s: s[:-1] + "é", lambda s: "x" + s, lambda s: ""])
def test_a_changed_text_is_not_opened(spoil: Callable[[str], str]) -> None:
    sealed = Sealer([KEY]).seal(b"secret")
    with pytest.raises(SealError):
        Sealer([KEY]).unseal(spoil(sealed))


def test_another_key_opens_nothing() -> None:
    with pytest.raises(SealError, match="not among the configured"):
        Sealer([new_key()]).unseal(Sealer([KEY]).seal(b"secret"))


@pytest.mark.parametrize("text", ["short", base64.b64encode(b"x" * 31).decode(), "é" * 44])
def test_a_wrong_key_is_refused_by_the_name_of_its_setting(text: str) -> None:
    with pytest.raises(ConfigError, match=r"secrets\.key"):
        Sealer([text])


def test_the_key_file_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    sealed = Sealer.of(tmp_path).seal(b"secret")
    assert Sealer.of(tmp_path).unseal(sealed) == b"secret"
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [KEY_FILE]


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Sealer.of(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        Sealer.of(tmp_path)


def test_a_key_file_that_is_cut_short_is_refused_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).touch(mode=0o600)
    with pytest.raises(ConfigError, match=rf"{KEY_FILE}: 0 bytes after base64, must be 32"):
        Sealer.of(tmp_path)


def test_the_setting_goes_before_the_file(tmp_path: Path) -> None:
    sealer = Sealer.of(tmp_path, f"{new_key()},{KEY}")
    assert sealer.unseal(Sealer([KEY]).seal(b"secret")) == b"secret"
    assert not any(tmp_path.iterdir())


def test_hashes_and_tokens_tell_keys_apart() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert same(hash_key("mp_a"), hash_key("mp_a"))
    assert not same(hash_key("mp_a"), hash_key("mp_b"))
