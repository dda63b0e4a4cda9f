"""Emits spans, log records and metrics with the OpenTelemetry SDK, the same objects to every target.

Arguments: namespace, number of spans, then targets: protocol,endpoint,compression
"""
import logging
import sys

from opentelemetry.exporter.otlp.proto.grpc import Compression as _  # noqa: F401  (fails early where the package is another)
