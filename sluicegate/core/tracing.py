"""Traces of what a request leads to: request → job → calls of a provider, as OpenTelemetry spans sent over OTLP/HTTP.

Off unless SLUICEGATE_TRACES_URL names a collector: nothing of OpenTelemetry is imported then, and a span is one test.
Spans tell what was done and how it ended, never keys of objects, addresses with queries, credentials or error texts.
Names and attributes follow the semantic conventions (https://opentelemetry.io/docs/specs/semconv/); what travels with a
request or a job is the W3C's `traceparent` (https://www.w3.org/TR/trace-context/).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

import aiohttp

from sluicegate.core.errors import ConfigurationError

Kind = Literal["SERVER", "CLIENT", "CONSUMER"]
TRACEPARENT = "traceparent"
_EXPORT_SECONDS = 5
_FLUSH_SECONDS = 2.0

_tracer: Any = None
_api: Any = None
_propagator: Any = None


def configure(url: str, ratio: float = 1.0) -> Callable[[], None]:
    """Sends spans to the collector from now on; `ratio` of the traces that begin here. Returns what ends that.

    Spans wait in a bounded queue and are dropped where the collector does not keep up; ending waits for it up to 2 s.
    What else the SDK takes from OTEL_… variables (headers, resource attributes) holds. Raises ConfigurationError where
    the extra is not installed.
    """
    global _tracer, _api, _propagator  # noqa: PLW0603 - one for the process, as logging is
    try:
        _api = import_module("opentelemetry.trace")
        sdk, export = import_module("opentelemetry.sdk.trace"), import_module("opentelemetry.sdk.trace.export")
        sampling = import_module("opentelemetry.sdk.trace.sampling")
        resources = import_module("opentelemetry.sdk.resources")
        otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        w3c = import_module("opentelemetry.trace.propagation.tracecontext")
    except ImportError:
        raise ConfigurationError(
            "SLUICEGATE_TRACES_URL is set, but OpenTelemetry is not installed.",
            hint="Install it with sluicegate[otel], or unset the variable.",
        ) from None
    provider = sdk.TracerProvider(
        resource=resources.Resource.create({"service.name": "sluicegate"}),
        sampler=sampling.ParentBased(sampling.TraceIdRatioBased(ratio)),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter(url, timeout=_EXPORT_SECONDS)))
    _propagator = w3c.TraceContextTextMapPropagator()
    _tracer = provider.get_tracer("sluicegate")

    def end() -> None:
        global _tracer  # noqa: PLW0603 - see above
        _tracer = None
        # The SDK's own end waits for tens of seconds where the collector is silent.
        flushing = threading.Thread(target=provider.shutdown, name="traces-end", daemon=True)
        flushing.start()
        flushing.join(_FLUSH_SECONDS)

    return end


@contextmanager
def span(name: str, kind: Kind, *, parent: str | None = None, **attributes: str | int) -> Generator[None]:
    """What happens inside is a span. `parent`: a `traceparent` from elsewhere; else the span around, if there is one.

    `_` in the names of attributes stands for a point. An exception that leaves it marks it failed, by its type alone.
    """
    if _tracer is None:
        yield
        return
    context = _propagator.extract({TRACEPARENT: parent}) if parent else None
    with _tracer.start_as_current_span(
        name, context, _api.SpanKind[kind], _dotted(attributes), record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except BaseException as error:
            current.set_attribute("error.type", type(error).__name__)
            current.set_status(_api.StatusCode.ERROR)
            raise


def note(*, failed: bool = False, **attributes: str | int) -> None:
    """Adds to the span around, if there is one."""
    if _tracer is None:
        return
    current = _api.get_current_span()
    current.set_attributes(_dotted(attributes))
    if failed:
        current.set_status(_api.StatusCode.ERROR)


def traceparent() -> str | None:
    """The span around, for what continues it elsewhere."""
    if _tracer is None:
        return None
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get(TRACEPARENT)


def ids() -> dict[str, str]:
    """`trace_id` and `span_id` of the span around, in hexadecimal; empty where there is none."""
    context = None if _tracer is None else _api.get_current_span().get_span_context()
    if context is None or not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def of_client() -> list[aiohttp.TraceConfig]:
    """What makes each request of a session a span, where there is one around it. Empty where traces are off."""
    if _tracer is None:
        return []
    config = aiohttp.TraceConfig()
    config.on_request_start.append(_begin)
    config.on_request_end.append(_answered)
    config.on_request_exception.append(_failed)
    return [config]


async def _begin(_session: object, state: Any, sent: aiohttp.TraceRequestStartParams) -> None:
    state.span = None
    if ids():  # a span of its own for each poll of an idle queue would tell nobody anything
        attributes = {"http.request.method": sent.method, "server.address": sent.url.host or ""}
        state.span = _tracer.start_span(sent.method, kind=_api.SpanKind.CLIENT, attributes=attributes)


async def _answered(_session: object, state: Any, got: aiohttp.TraceRequestEndParams) -> None:
    if state.span is not None:
        state.span.set_attribute("http.response.status_code", got.response.status)
        if got.response.status >= 400:
            state.span.set_status(_api.StatusCode.ERROR)
        state.span.end()


async def _failed(_session: object, state: Any, got: aiohttp.TraceRequestExceptionParams) -> None:
    if state.span is not None:
        state.span.set_attribute("error.type", type(got.exception).__name__)
        state.span.set_status(_api.StatusCode.ERROR)
        state.span.end()


def _dotted(attributes: Mapping[str, str | int]) -> dict[str, str | int]:
    return {name.replace("_", "."): value for name, value in attributes.items()}
