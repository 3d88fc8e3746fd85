"""The API on a port, in a thread of its own: who asks it here waits for each answer."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.api.everything import one_of_everything
from tests.api.world import NOW, Api, opened
from tracker.accounts import OPERATOR, public_part
from tracker.api import mount
from tracker.store import EmbeddedServer, StoreSettings, open_store


class Served:
    """A running API, and accounts with one of everything for whoever asks it."""

    def __init__(self, api: Api, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self._api, self._loop = api, loop

    def one_of_everything(self, *, operator: bool = False) -> tuple[dict[str, str], str]:
        """A new account with one of everything, and an admin key of it, or of the operator who made it."""
        return asyncio.run_coroutine_threadsafe(self._make(operator), self._loop).result(30)

    async def _make(self, operator: bool) -> tuple[dict[str, str], str]:
        account = await self._api.account()
        made = await one_of_everything(self._api, account)
        if not operator:
            return made, await self._api.key(account)
        own = await self._api.key(OPERATOR)
        await self._make_room(public_part(own))
        key = await self._api.call(OPERATOR, "POST", "/keys", json={"scopes": ["read"]})
        return made | {"key": key.body["id"]}, own

    async def _make_room(self, own: str) -> None:
        """Take away the operator's keys of the examples before: an account has a hundred."""
        accounts = self._api.services.accounts
        for key in await accounts.keys(OPERATOR):
            if key.id != own:
                await accounts.revoke(OPERATOR, key.id)


@contextlib.contextmanager
def serving(server: EmbeddedServer, directory: Path) -> Iterator[Served]:
    """The API over an emptied store, for as long as the context lasts."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        stack = contextlib.AsyncExitStack()
        served = loop.run_until_complete(_open(stack, server, directory))
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(30)


async def _open(stack: contextlib.AsyncExitStack, server: EmbeddedServer, directory: Path) -> Served:
    settings = StoreSettings(directory=server.directory, url=server.url)
    store = await stack.enter_async_context(open_store(settings))
    await store.clear()
    services = await stack.enter_async_context(opened(store, directory))
    await services.accounts.create(OPERATOR, now=NOW)
    root = web.Application()
    mount(root, services)
    runner = web.AppRunner(root, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = await stack.enter_async_context(aiohttp.ClientSession(url))
    return Served(Api(client, services), url, asyncio.get_running_loop())
