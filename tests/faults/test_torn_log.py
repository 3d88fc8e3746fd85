"""The end of the log is torn, in every way that a power cut can leave it: what was acknowledged before it is there.

One server for each: it must have the data set of before its last transaction or of after it, and nothing in between.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from msgspec import Struct

from tests.faults.conftest import LONG
from tests.store.goods import creation, next_write, register
from tracker.errors import ConfigError
from tracker.store import EmbeddedServer, StoreSettings, logfile, open_store
from tracker.store.connect import ask, hang_up, open_connection, server_of

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
DIGEST = ("--enable-debug-command", "yes")


class Torn(Struct, frozen=True):
    """A directory whose server was killed, and its log up to the last transaction and with it."""

    directory: Path
    log: Path
    before: bytes
    whole: bytes
    digest_before: bytes
    digest_after: bytes

    @property
    def last(self) -> bytes:
        return self.whole[len(self.before) :]

    def write(self, log: bytes) -> None:
        """This is what the next server finds."""
        self.log.write_bytes(log)


async def digest(server: EmbeddedServer) -> bytes:
    """A digest of everything that the server holds."""
    connection = await open_connection(server_of(server.url))
    try:
        return bytes(await ask(connection, "DEBUG", "DIGEST"))
    finally:
        await hang_up(connection)


def cuts(size: int) -> list[int]:
    """Where something of that size is cut: at every byte of both ends, and at some between, or at all of them."""
    some = {*range(40), *range(40, size - 30, 7), *range(size - 30, size)}
    return list(range(size)) if LONG else sorted(some)


async def started(torn: Torn) -> bytes:
    """The digest of what a server makes of the log as it is."""
    with EmbeddedServer(torn.directory, extra=DIGEST) as server:
        await server.ready()
        return await digest(server)


@pytest.fixture
async def torn(tmp_path: Path) -> Torn:
    server = EmbeddedServer(tmp_path, extra=DIGEST)
    server.start()
    await server.ready()
    async with open_store(StoreSettings(directory=tmp_path, url=server.url)) as store:
        await register(store, "acme", "W1")
        write = creation(store, "acme", "W2")
        committed = await store.commit(write)
        log = logfile.current(tmp_path)
        assert log
        before, digest_before = log.read_bytes(), await digest(server)
        await store.commit(next_write(write, committed, document=b"\0 to \xff, and \0\0"))
        digest_after = await digest(server)
    os.kill(server.pid, signal.SIGKILL)
    server.reap()
    server.abandon()
    return Torn(tmp_path, log, before, log.read_bytes(), digest_before, digest_after)


async def test_a_log_cut_anywhere_in_its_last_transaction_has_all_before_it_and_nothing_of_it(torn: Torn) -> None:
    """In a length, in a value, after MULTI, before EXEC, amid the last newline; the long form: at every byte."""
    assert torn.last.startswith(b"*1\r\n$5\r\nMULTI\r\n")
    assert torn.last.endswith(b"$4\r\nEXEC\r\n")
    for cut in cuts(len(torn.last)):
        torn.write(torn.before + torn.last[:cut])
        assert await started(torn) == torn.digest_before, torn.last[:cut]
    torn.write(torn.whole)
    assert await started(torn) == torn.digest_after


@pytest.mark.parametrize("zeros", [1, 7, 4096, 200_000])
async def test_zeros_behind_the_log_are_cut_off(torn: Torn, zeros: int) -> None:
    """A file system had the length on disk and not what was written: behind a whole transaction, and amid one."""
    torn.write(torn.whole + bytes(zeros))
    assert await started(torn) == torn.digest_after
    for cut in range(0, len(torn.last), 20):
        torn.write(torn.before + torn.last[:cut] + bytes(zeros))
        assert await started(torn) == torn.digest_before, torn.last[:cut]


async def test_zeros_in_the_place_of_what_was_written_are_cut_off(torn: Torn) -> None:
    """The file has its full length, and its last block is empty."""
    for cut in range(0, len(torn.last), 20):
        torn.write(torn.before + torn.last[:cut] + bytes(len(torn.last) - cut))
        assert await started(torn) == torn.digest_before, torn.last[:cut]


async def test_a_log_of_nothing_but_zeros_is_an_empty_one(torn: Torn) -> None:
    """It had just been begun."""
    torn.write(bytes(5_000))
    await started(torn)
    assert b"\0" not in torn.log.read_bytes()


@pytest.mark.parametrize("cut", [0, 9, 60, 200])
async def test_a_torn_end_with_something_else_behind_it_is_refused_and_left_as_it_is(torn: Torn, cut: int) -> None:
    """That is no power cut: it says up to where the log can be read and what cuts it off there, which then works."""
    found = torn.before + torn.last[:cut] + b"\xfe\xed" * 300 + torn.last
    torn.write(found)
    with pytest.raises(ConfigError, match=r"ended at its start: .*reading the append only file") as refusal:
        await started(torn)
    assert torn.log.read_bytes() == found
    said = str(refusal.value)
    assert f"it can be read up to byte {len(torn.before)} of {len(found)} and was left as it is" in said
    assert said.endswith(f"truncate -s {len(torn.before)} {torn.log}")
    os.truncate(torn.log, len(torn.before))
    assert await started(torn) == torn.digest_before
