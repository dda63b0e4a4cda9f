"""Emits spans, log records and metrics with the OpenTelemetry SDK, and exports the same objects to every target.

Arguments: namespace, number of spans, then the targets as protocol,endpoint,compression
"""
import sys

import grpc
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcTraces
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpTraces
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

attributes = {
    "text": "ä ✓ 🦊", "empty": "", "yes": True, "no": False, "int": -(2**63), "double": 0.1,
    "texts": ["a", ""], "ints": [1, -2], "doubles": [0.5], "bools": [True, False],
}


def exporters(target):
    protocol, endpoint, compression = target.split(",")
    if protocol == "grpc":
        gzip = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
        options = {"endpoint": f"http://{endpoint}", "insecure": True, "compression": gzip}
        return GrpcTraces(**options), GrpcLogs(**options), GrpcMetrics(**options)
    kind = {"gzip": Compression.Gzip, "deflate": Compression.Deflate}.get(compression, Compression.NoCompression)
    return tuple(
        exporter(endpoint=f"http://{endpoint}/v1/{signal}", compression=kind)
        for exporter, signal in ((HttpTraces, "traces"), (HttpLogs, "logs"), (HttpMetrics, "metrics"))
    )


def spans(resource, count):
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("shop", "1.2.3", schema_url="https://opentelemetry.io/schemas/1.30.0")
    kinds = list(trace.SpanKind)
    previous = None
    for n in range(count):
        links = [trace.Link(previous, {"n": n})] if previous else []
        with tracer.start_as_current_span(f"GET /cart/{n}", kind=kinds[n % 5], attributes=attributes, links=links) as span:
            span.add_event("exception", {"exception.message": "boom"}, timestamp=1_700_000_000_000_000_001)
            with tracer.start_as_current_span("child"):
                pass
            if n % 3 == 0:
                span.set_status(trace.Status(trace.StatusCode.ERROR, "could not ✗"))
            previous = span.get_span_context()
    return memory.get_finished_spans()


def records(resource, count):
    memory = InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    logger = provider.get_logger("shop", "1.2.3")
    bodies = ["a text", "", 42, 1.5, True, ["a", 1, [True]], {"nested": {"list": [1, {"x": "y"}]}}, b"\x00\xff", None]
    for n in range(count):
        logger.emit(LogRecord(
            timestamp=1_700_000_000_000_000_000 + n, observed_timestamp=n, severity_text="WARN",
            severity_number=SeverityNumber(n % 24 + 1), body=bodies[n % len(bodies)],
            attributes={**attributes, "map": {"a": {"b": [1]}}, "bytes": b"\x09"}, event_name="checkout",
        ))
    return memory.get_finished_logs()


def metrics(resource):
    reader = InMemoryMetricReader()
    exponential = View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider([reader], resource, AlwaysOnExemplarFilter(), views=[exponential])
    meter = provider.get_meter("shop", "1.2.3")
    counter = meter.create_counter("requests", unit="{request}", description="Requests served.")
    open_ = meter.create_up_down_counter("open")
    gauge = meter.create_gauge("heat")
    latency = meter.create_histogram("latency", unit="ms", explicit_bucket_boundaries_advisory=[0, 5, 10, 1000])
    exponential = meter.create_histogram("exponential", unit="ms")
    tracer = TracerProvider().get_tracer("exemplars")
    for n in range(30):
        with tracer.start_as_current_span("exemplar"):
            labels = {"route": f"/r{n % 3}", "ok": n % 2 == 0}
            counter.add(n, {**labels, "filtered": n})
            open_.add(-n / 3, labels)
            gauge.set(n * 1.5, labels)
            latency.record(n, labels)
            exponential.record(2.0 ** (n - 15), labels)
    return reader.get_metrics_data()


def main():
    namespace, count, *targets = sys.argv[1:]
    resource = Resource({
        "service.name": "shop-api", "k8s.namespace.name": namespace, "secret.token": "x", "host.cpus": 8,
        "tags": ["a", "b"],
    })
    batches = (spans(resource, int(count)), records(resource, int(count)), metrics(resource))
    for target in targets:
        for exporter, batch in zip(exporters(target), batches):
            result = exporter.export(batch)
            if result.name != "SUCCESS":
                sys.exit(f"{target}: {type(exporter).__name__}: {result}")
            exporter.shutdown()


main()
