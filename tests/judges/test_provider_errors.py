"""What an error means, how long to wait, and that no key stands in its message; both SDKs, one table."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import traceback
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from fake_llm import FAULTS, FakeLLM
from hypothesis import given
from hypothesis import strategies as st

from interjudge.errors import InputError
from interjudge.judges.llm_base import Message, Provider, ProviderError, Reply, Request
from interjudge.judges.moderation import moderation_judge, read_moderation
from interjudge.judges.provider_anthropic import anthropic_provider, read_message
from interjudge.judges.provider_client import fits
from interjudge.judges.provider_errors import objection, provider_error, retry_after, scrubbed, status_error
from interjudge.judges.provider_openai import openai_provider, read_chat, read_response

CANARY = "sk-canary-7f3a9b2c4d5e6f708192"
VARIABLE = "INTERJUDGE_CANARY"
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["safe", "unsafe"]}, "score": {"type": "integer"}},
    "required": ["label", "score"],
    "additionalProperties": False,
}
REQUEST = Request((Message("system", "Be a judge."), Message("user", "Is it harmful?")), schema=SCHEMA, top_logprobs=3)

MAKERS: dict[str, Callable[..., Provider]] = {
    "chat": lambda server, **more: openai_provider("m", base_url=server.v1, key_env=VARIABLE, **more),
    "responses": lambda server, **more: openai_provider(
        "m", base_url=server.v1, key_env=VARIABLE, api="responses", **more
    ),
    "messages": lambda server, **more: anthropic_provider("m", base_url=server.url, key_env=VARIABLE, **more),
}

# fault -> what to do, status, seconds to wait
ERRORS: dict[str, tuple[str, int | None, float | None]] = {
    "429": ("slow down", 429, None),
    "429:2": ("slow down", 429, 2.0),
    "429-ms:50": ("slow down", 429, 0.05),
    "429-date:90": ("slow down", 429, 90.0),
    "429-reset:30": ("slow down", 429, 30.0),
    "quota": ("broken", 429, None),
    "307": ("broken", 307, None),
    "400": ("rejected", 400, None),
    "400:content policy": ("filtered", 400, None),
    "400:Your credit balance is too low": ("broken", 400, None),
    "400:The model `m` does not exist": ("broken", 400, None),
    "policy": ("filtered", 400, None),
    "401": ("broken", 401, None),
    "402": ("broken", 402, None),
    "403": ("broken", 403, None),
    "403:Your input was flagged": ("filtered", 403, None),
    "404": ("broken", 404, None),
    "408": ("again", 408, None),
    "409": ("again", 409, None),
    "413": ("rejected", 413, None),
    "422": ("rejected", 422, None),
    "500": ("again", 500, None),
    "503": ("again", 503, None),
    "529": ("again", 529, None),
    "drop": ("again", None, None),
    "half": ("again", None, None),
    "truncated": ("again", None, None),
    "malformed": ("again", None, None),
    "html": ("again", None, None),
    "null": ("again", None, None),
    "empty": ("again", None, None),
    "wrong types": ("again", None, None),
    "hang": ("again", None, None),
    "slow:5": ("again", None, None),
}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, CANARY)


def ask(provider: Provider, request: Request = REQUEST) -> Reply:
    async def once() -> Reply:
        try:
            return await provider.complete(request)
        finally:
            await provider.close()

    return asyncio.run(once())


def outcome(asked: Callable[[], object]) -> object:
    """What was answered, or the error."""
    try:
        return asked()
    except ProviderError as error:
        return error


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("fault", ERRORS)
def test_every_failure_says_what_to_do(fault: str, maker: Callable[..., Provider]) -> None:
    """And is raised once, by one request: trying again is the runner's business."""
    failure, status, wait = ERRORS[fault]
    with FakeLLM(plan=lambda _: fault) as server, pytest.raises(ProviderError) as caught:
        ask(maker(server, timeout=0.5 if fault in {"hang", "slow:5"} else 30.0))
    assert (caught.value.failure, caught.value.status) == (failure, status)
    assert caught.value.retry_after == (None if wait is None else pytest.approx(wait, abs=2.0))
    assert server.count == 1
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("wrong_key", [True, False])
def test_the_key_stands_nowhere(
    maker: Callable[..., Provider], wrong_key: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in messages, representations, tracebacks with local variables, or the logs of the SDKs at their loudest."""
    for name in ("", "openai", "anthropic", "httpx2", "httpcore2"):
        caplog.set_level(logging.DEBUG, logger=name)
    texts = []
    for fault in ("401:no, not sk-canary-7f3a9b2c4d5e6f708192", *FAULTS):
        with FakeLLM(plan=lambda _, f=fault: f, keys={"another"} if wrong_key else ()) as server:
            provider = maker(server, timeout=0.5 if fault in {"hang", "slow"} else 30.0)
            found = outcome(lambda p=provider: ask(p))
            texts.append(repr(found))
            if isinstance(found, ProviderError):
                assert found.__cause__ is None
                assert found.__context__ is None
                told = traceback.TracebackException.from_exception(found, capture_locals=True)
                texts += [str(found), repr(vars(found)), *told.format()]
            texts += [repr(provider), str(provider), str(provider.identity), provider.limits]
            assert fault in {"hang", "slow"} or any(CANARY in str(asked.headers) for asked in server.last)
    texts.append(caplog.text)
    assert "httpcore2" in caplog.text
    assert not [text for text in texts if "canary-7f3a" in text]


def test_a_key_that_cannot_be_one_is_told_of_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sk-canary-with‘quotes")
    with FakeLLM() as server, pytest.raises(ProviderError, match=f"{VARIABLE} holds no key") as caught:
        ask(MAKERS["chat"](server))
    assert "canary-with" not in str(caught.value)
    assert caught.value.failure == "broken"


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_a_missing_key_names_its_variable(maker: Callable[..., Provider], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with FakeLLM() as server, pytest.raises(ProviderError, match=f"{VARIABLE} is not set") as caught:
        ask(maker(server))
    assert caught.value.failure == "broken"
    assert server.count == 0


@pytest.mark.parametrize(("make", "variable"), [(openai_provider, "OPENAI"), (anthropic_provider, "ANTHROPIC")])
def test_the_standard_key_goes_to_the_standard_address_alone(
    make: Callable[..., Provider], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration from somebody else must not send it to an address of theirs."""
    monkeypatch.setenv(f"{variable}_API_KEY", CANARY)
    with FakeLLM() as server:
        url = server.v1 if variable == "OPENAI" else server.url
        assert ask(make("m", base_url=url)).finish == "stop"
        assert CANARY not in str(server.last[-1].headers)
        monkeypatch.setenv(f"{variable}_BASE_URL", url)  # the user's own environment is the user's will
        assert ask(make("m")).finish == "stop"
        assert CANARY in str(server.last[-1].headers)
    monkeypatch.delenv(f"{variable}_API_KEY")
    monkeypatch.delenv(f"{variable}_BASE_URL")
    with pytest.raises(ProviderError, match=f"{variable}_API_KEY is not set"):
        ask(make("m"))


@pytest.mark.parametrize("make", [openai_provider, anthropic_provider, moderation_judge])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "ftp://127.0.0.1"}, "no address"),
        ({"base_url": "http://"}, "no address"),
        ({"base_url": "http://me:sk-canary-7f3a@127.0.0.1/v1"}, "holds a key"),
        ({"base_url": "http://127.0.0.1/v1?api-key=sk-canary-7f3a"}, "holds a key"),
        ({"base_url": "http://127.0.0.1/v1?key=sk-canary-7f3a"}, "holds a key"),
        ({"key_env": "sk-canary-7f3a"}, "no name of a variable"),
        ({"timeout": 0.0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
    ],
)
def test_bad_options_are_bad_input(make: Callable[..., object], options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        make("m", **options)
    assert "canary" not in str(caught.value)


def test_judges_of_one_address_and_key_share_their_limits() -> None:
    first = openai_provider("a", base_url="http://localhost:1/v1/", key_env="KEY_A")
    assert first.limits == openai_provider("b", base_url="http://localhost:1/v1", key_env="KEY_A").limits
    assert first.limits != openai_provider("a", base_url="http://localhost:1/v1", key_env="KEY_B").limits


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.25"}, 0.25),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "1e12"}, 86_400.0),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
        # 1_000_000_000 seconds after 1970 was Sun, 09 Sep 2001 01:46:40 GMT
        ({"Retry-After": "Sun, 09 Sep 2001 01:46:52 GMT"}, 12.0),
        ({"Retry-After": "Sun, 09 Sep 2001 01:46:00 GMT"}, 0.0),
        # OpenAI's durations; the limit of which nothing is left decides
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        (
            {
                "x-ratelimit-reset-requests": "120ms",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "9000",
            },
            0.12,
        ),
        ({"x-ratelimit-reset-requests": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-reset": "nonsense"}, 0.0),
        # Anthropic's moments
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2001-09-09T01:47:00Z",
                "anthropic-ratelimit-tokens-remaining": "50",
                "anthropic-ratelimit-tokens-reset": "2001-09-09T02:47:00Z",
            },
            20.0,
        ),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=1_000_000_000.0) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "too long", "type": "invalid_request_error"}}, "too long"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "busy"),
        ({"error": "model not loaded"}, "model not loaded"),
        (
            {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": "SECRET"}]},
            "body.seed",
        ),
        ({"object": "error", "message": "vLLM says no", "code": 400}, "vLLM says no"),
        ("<html><h1>Bad gateway</h1></html>", "a web page"),
        ("plain words", "plain words"),
        (None, "answered 400"),
        ({"error": {"message": 7}}, "answered 400"),
    ],
)
def test_the_servers_own_words_are_told(body: object, words: str) -> None:
    error = status_error(400, body, host="h", key=None)
    assert words in str(error)
    assert "SECRET" not in str(error)


def test_a_name_that_is_not_there_and_a_bad_certificate_are_broken() -> None:
    unknown = OSError("connect failed")
    unknown.__cause__ = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert provider_error(unknown, host="h", key=None).failure == "broken"
    certificate = OSError("handshake failed")
    certificate.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    assert provider_error(certificate, host="h", key=None).failure == "broken"
    assert provider_error(ConnectionRefusedError(111, "refused"), host="h", key=None).failure == "again"
    assert provider_error(TypeError("a mistake"), host="h", key=None).failure == "rejected"


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_the_sdks_tell_a_name_that_is_not_there(
    maker: Callable[..., Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the resolver raises lies below errors of the client that hide it."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    nowhere = SimpleNamespace(url="http://no-such-host.invalid", v1="http://no-such-host.invalid/v1")
    with pytest.raises(ProviderError, match=r"there is no server called no-such-host\.invalid") as caught:
        ask(maker(nowhere))
    assert caught.value.failure == "broken"


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_an_address_that_is_not_the_apis_is_told_with_what_it_should_be(maker: Callable[..., Provider]) -> None:
    with FakeLLM() as server, pytest.raises(ProviderError, match=r"404: .*it ends in /v1 for openai/ and not for an"):
        ask(maker(SimpleNamespace(url=f"{server.url}/v1", v1=server.url)))


@pytest.mark.parametrize(
    ("message", "code", "param", "expected"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
         "unsupported_parameter", "max_tokens", "max_tokens"),
        ("Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported.",
         "unsupported_value", "temperature", "temperature"),
        ("temperature: Extra inputs are not permitted", None, None, "temperature"),
        ("`temperature` is deprecated for this model", None, None, "temperature"),
        # a mistake in a value is no refusal of the parameter
        ("max_tokens is too large: 9000. This model supports at most 4096 completion tokens", None, "max_tokens", None),
        ("Invalid schema for response_format 'v': 'minimum' is not permitted", "invalid_json_schema",
         "response_format", None),
        ("temperature must be at most 2", None, "temperature", None),
        ("this prompt is too long", "context_length_exceeded", None, None),
    ],
)  # fmt: skip
def test_what_a_server_objects_to(message: str, code: str | None, param: str | None, expected: str | None) -> None:
    body = {"message": message, "code": code, "param": param}
    names = {name: (name,) for name in ("max_tokens", "temperature", "response_format")}
    assert objection(status_error(400, body, host="h", key=None), names) == expected


@given(st.text(max_size=40), st.text(max_size=40), st.integers(8, len(CANARY)))
def test_no_part_of_a_key_survives(before: str, after: str, length: int) -> None:
    """Servers repeat a key whole, cut, or starred."""
    for shown in (CANARY, CANARY[:length], f"{CANARY[:length]}****{CANARY[-4:]}"):
        assert CANARY[:12] not in scrubbed(f"{before} {shown} {after}", CANARY)
        assert CANARY[:12] not in scrubbed(f"{before}{shown}{after}", CANARY)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([
    "choices", "message", "content", "refusal", "finish_reason", "logprobs", "token", "logprob", "top_logprobs",
    "usage", "output", "type", "text", "incomplete_details", "reason", "stop_reason", "input", "model", "results",
    "flagged", "category_scores", "error",
])  # fmt: skip
SHAPED = st.recursive(
    st.none() | st.integers(-1, 3) | st.sampled_from(["text", "message", "output_text", "refusal", "tool_use", "stop"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(FIELDS, SHAPED | JSON, max_size=5))
def test_any_json_is_a_reply_or_one_to_ask_for_again(body: dict[str, object]) -> None:
    """Whatever a server sends with status 200."""
    for read in (read_chat, read_response, read_message, lambda b, h: read_moderation(b, 0.5, h)):
        found = outcome(lambda read=read: read(body, "h"))
        assert getattr(found, "failure", "again") == "again"
        assert isinstance(getattr(found, "text", ""), str)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"label": "safe", "score": 3}', True),
        ('{"label": "safe", "score": 3, "more": 1}', True),
        ('{"label": "safe"}', False),
        ('{"label": "grey", "score": 3}', False),
        ('{"label": "safe", "score": "3"}', False),
        ('{"label": "safe", "score": true}', False),
        ('["safe", 3]', False),
        ("safe, 3", False),
        ("", False),
        ("[" * 100_000, False),
    ],
)
def test_whether_a_reply_fits_the_schema(text: str, expected: bool) -> None:
    assert fits(text, SCHEMA) is expected
    assert not fits(text, None)
