"""What the providers share: an address and its key, one SDK client for each event loop, one request tried once."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from interjudge.errors import InputError
from interjudge.judges.llm_base import ProviderError
from interjudge.judges.messages import is_secret_name
from interjudge.judges.provider_errors import malformed, objection, provider_error

# As many as any machine will ask at once; kept open, since a new connection costs more than a request.
_CONNECTIONS: Final = 2000
_CONNECT_SECONDS: Final = 20.0
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER: Final = "none"  # the SDKs insist on a key; a server without keys ignores it


@dataclass(frozen=True)
class Address:
    """Where requests go. `key_env`: the variable with the key; `needs_key`: it must be set."""

    url: str
    key_env: str | None
    needs_key: bool

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def limits(self) -> str:
        return f"{self.url} {self.key_env or ''}".strip()

    def key(self) -> str:
        """The key, from the environment.

        Raises
        ------
        ProviderError : ``broken``: the variable is not set, or holds what no key is.
        """
        key = os.environ.get(self.key_env, "").strip() if self.key_env else ""
        if not key and self.needs_key:
            raise ProviderError(f"no key for {self.host}: the variable {self.key_env} is not set", failure="broken")
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            message = f"the variable {self.key_env} holds no key: only plain characters without spaces can be one"
            raise ProviderError(message, failure="broken")
        return key or _PLACEHOLDER


def address(
    base_url: str | None, key_env: str | None, *, default: str, url_variable: str, key_variable: str
) -> Address:
    """Where to ask, and the key for it.

    The standard variable's key goes to the standard address (or the one in the SDK's own variable) and nowhere
    else: a key for another address is named by `key_env`.

    Raises
    ------
    InputError : the address is no http(s) address, or holds a key or a password.
    """
    if key_env is not None and not _VARIABLE.fullmatch(key_env):  # it may be the key itself: it is not repeated
        raise InputError("key_env is no name of a variable", expected="letters, digits and _, such as MY_API_KEY")
    url = (base_url or os.environ.get(url_variable) or default).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError("base_url is no address of a server", found=parts.scheme or url, expected="http(s)://HOST/...")
    if "@" in parts.netloc or any(_is_key(name) for name, _ in parse_qsl(parts.query)):
        expected = "the key in a variable of the environment, named by key_env"
        raise InputError("base_url holds a key or a password", expected=expected)
    if key_env is not None:
        return Address(url, key_env, needs_key=True)
    if base_url is None or parts.netloc == urlsplit(default).netloc:
        return Address(url, key_variable, needs_key=not _is_loopback(parts.hostname))
    return Address(url, None, needs_key=False)


class Connection:
    """One SDK client, made by `make(url, key, options)` when it is first needed, and anew in another event loop.

    `changes` are what the server made us leave out or say otherwise; they hold for every later request.
    """

    def __init__(self, where: Address, make: Callable[[str, str, dict[str, Any]], Any], timeout: float) -> None:
        if not timeout > 0:
            raise InputError("timeout is not positive", found=timeout, expected="seconds")
        self.address = where
        self.timeout = timeout
        self.refused: set[str] = set()
        self._make = make
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, call: Callable[[Any], Awaitable[Any]]) -> Mapping[str, Any]:
        """The JSON object that the server answers to `call(client)`: a raw request of the SDK, or `post`.

        Raises
        ------
        ProviderError : no reply, or one that is no JSON object.
        """
        try:
            client = self._opened()  # the first time a second of its own, which is not the server's
            async with asyncio.timeout(self.timeout):
                response = await call(client)
            content = getattr(response, "http_response", response).content
            return _object(self.without_key(content), self.address.host)
        # Whatever a client may raise: its message is cleaned before anybody sees it.
        except Exception as error:  # noqa: BLE001
            failed = provider_error(error, host=self.address.host, key=self.key_if_set())
        # Raised outside the handler: the SDK's error, which holds the request and its headers, is not kept with it.
        raise failed

    async def send_adapted(
        self,
        call: Callable[[Any, dict[str, Any]], Awaitable[Any]],
        write: Callable[[frozenset[str]], dict[str, Any]],
        names: Mapping[str, Iterable[str]],
    ) -> Mapping[str, Any]:
        """The answer to the body `write(refused)`, written again without what the server objects to.

        `names`: parameter of the body -> how servers call it when they object (`provider_errors.objection`).
        """
        while True:
            body = write(frozenset(self.refused))
            try:
                return await self.send(lambda client, body=body: call(client, body))  # type: ignore[misc]
            except ProviderError as error:
                refused = objection(error, {name: words for name, words in names.items() if name in body})
                if refused is None or write(frozenset({*self.refused, refused})) == body:
                    raise
                self.refused.add(refused)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    def _opened(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            import httpx2  # noqa: PLC0415  with the SDK, half a second

            limits = httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
            timeout = httpx2.Timeout(self.timeout, connect=min(self.timeout, _CONNECT_SECONDS))
            # No redirects: the key would go where it was not sent.
            options = {"limits": limits, "timeout": timeout, "follow_redirects": False}
            self._client, self._loop = self._make(self.address.url, self.address.key(), options), loop
        return self._client

    def without_key(self, content: bytes) -> bytes:
        """What a server sent, without the key: an answer that repeats it would be kept with its verdict."""
        key = self.key_if_set()
        return content.replace(key.encode(), b"[hidden]") if key and len(key) >= 8 else content

    def key_if_set(self) -> str | None:
        """The key, to clean messages of it."""
        name = self.address.key_env
        return os.environ.get(name, "").strip() or None if name else None


async def post(client: Any, body: dict[str, Any], *, path: str) -> Any:
    """A request through the SDK's own door for any path, which sends the body as it is.

    The methods of its resources first look through the whole body for names to translate, the schema included: a
    fifth of the time that a request takes, and there are none.
    """
    import httpx2  # noqa: PLC0415  with the SDK, half a second

    return await client.post(path, body=body, cast_to=httpx2.Response)


def number(value: object) -> int | None:
    """A count of tokens, where it is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def fits(text: str, schema: Mapping[str, Any] | None) -> bool:
    """Whether a reply is a JSON object with the schema's properties, each of the type or choices it names.

    Only the top level is looked at: enough to tell a server that ignores schemas.
    """
    if schema is None:
        return False
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    parts = schema.get("properties", {})
    if not isinstance(found, dict) or not set(schema.get("required", parts)) <= set(found):
        return False
    return all(_has_type(found[name], part) for name, part in parts.items() if name in found)


def _has_type(value: object, part: Mapping[str, Any]) -> bool:
    if "enum" in part:
        return value in part["enum"]
    kinds = part.get("type", [])
    return not kinds or any(_is_a(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _is_a(value: object, kind: str) -> bool:
    types: dict[str, tuple[type, ...]] = {
        "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,),
        "object": (dict,), "array": (list,), "null": (type(None),),
    }  # fmt: skip
    return isinstance(value, types.get(kind, (object,))) and (kind == "boolean" or not isinstance(value, bool))


def _object(content: bytes, host: str) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        what = "a web page" if content.lstrip()[:1] == b"<" else "no JSON object"
        raise malformed(host, what)
    return found


def _is_key(name: str) -> bool:
    return name.lower() == "key" or is_secret_name(name.replace("-", "_"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
