"""The ceiling of intake: an aiohttp handler that checks an HMAC, parses JSON and does one XADD, flushed as we flush."""

from __future__ import annotations

import hashlib
import hmac
import sys
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web

from tests.bench.journeys import SECRET
from tests.bench.processes import Answer, obey
from tracker.store import StoreSettings, open_store


async def main(directory: Path) -> None:
    """Serve until the pipe closes."""
    async with open_store(StoreSettings(directory=directory)) as store:
        send = store.wire.shard(0).send

        async def take(request: web.Request) -> web.Response:
            body = await request.read()
            signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            given = request.headers.get("X-Simulated-Signature", "")
            if given and not hmac.compare_digest(signature, given):
                return web.Response(status=401)
            msgspec.json.decode(body)
            await send(b"XADD", b"log", b"*", b"body", body)
            return web.Response(body=b'{"received": true}', content_type="application/json")

        app = web.Application()
        app.router.add_post("/hooks/{connection}", take)
        app.router.add_post("/hooks/{connection}/{secret}", take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        await obey({"port": runner.addresses[0][1]}, _nothing)
        await runner.cleanup()


async def _nothing(command: Answer) -> Answer:
    return {}


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
