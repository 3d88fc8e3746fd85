"""Stands between an adapter and the way out, and keeps what the one asked and the other answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from msgspec import Struct

from carriers.sdk import Http, Reply


class Asked(Struct, frozen=True):
    """One request that was answered: `path` is below the base address, without its query."""

    method: str
    path: str
    reply: Reply
    for_token: bool


class Witness:
    """An `Http` that passes everything on to `http`. With `at_home`, an absolute address is asked below its base."""

    def __init__(self, http: Http, *, at_home: bool = False) -> None:
        self._http = http
        self._at_home = at_home
        self._obtaining = False
        self.asked: list[Asked] = []
        self.tokens: list[str] = []

    @property
    def credentials(self) -> Mapping[str, str]:
        return self._http.credentials

    @property
    def base(self) -> str:
        return self._http.base

    def now(self) -> float:
        """Seconds since 1970."""
        return self._http.now()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] | None = None,
        data: bytes | None = None,
    ) -> Reply:
        """Send one request, and keep it with its answer."""
        for_token, below = self._obtaining, self._below(url)
        target = below if self._at_home else url
        reply = await self._http.request(method, target, headers=headers, params=params, data=data)
        self.asked.append(Asked(method, below.partition("?")[0], reply, for_token))
        return reply

    def _below(self, url: str) -> str:
        base = self.base.rstrip("/")
        rest = url.removeprefix(base) if url.startswith(base) else url
        if "://" in rest:  # another host
            rest = rest.partition("://")[2].partition("/")[2]
        return "/" + rest.lstrip("/")

    async def token(self, key: str, obtain: Callable[[Http], Awaitable[tuple[str, float]]]) -> str:
        """The cached token of that key; what `obtain` asks for it is kept as such."""

        async def watched(_: Http) -> tuple[str, float]:
            self._obtaining = True
            try:
                token, life = await obtain(self)
            finally:
                self._obtaining = False
            self.tokens.append(token)
            return token, life

        return await self._http.token(key, watched)
