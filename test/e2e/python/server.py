"""A grpcio server with OTLP's three methods. Decodes with the published message classes and says what it got.

Reads answers from standard input, one line of JSON for the next requests: {"times": 1, "code": 14, "message": "later",
"retry": 50} or {"times": 1, "rejected": 2, "message": "two too many"}. Without any it takes everything.
"""
import base64
import json
import queue
import sys
import threading
from concurrent import futures

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from google.protobuf import any_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

services = {
    "traces": ("trace", "Trace", traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse, "rejected_spans"),
    "metrics": ("metrics", "Metrics", metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse,
                "rejected_data_points"),
    "logs": ("logs", "Logs", logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse, "rejected_log_records"),
}
answers = queue.Queue()
lock = threading.Lock()


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


def handler(signal):
    _, _, request_type, response_type, rejected = services[signal]

    def export(body, context):
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        try:
            message = request_type.FromString(body)
        except Exception as error:
            say(signal=signal, undecodable=len(body))
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"cannot decode: {error}")
        try:
            answer = answers.get_nowait()
        except queue.Empty:
            answer = {}
        # Written again by another implementation: what it does not know would be lost or moved.
        again = base64.b64encode(message.SerializeToString(deterministic=True)).decode()
        say(signal=signal, body=again, metadata=metadata, taken=not answer.get("code"))
        if "code" in answer:
            details = []
            if "retry" in answer:
                delay = Duration()
                delay.FromMilliseconds(answer["retry"])
                packed = any_pb2.Any()
                packed.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
                details.append(packed)
            status = status_pb2.Status(code=answer["code"], message=answer["message"], details=details)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            code = next(one for one in grpc.StatusCode if one.value[0] == answer["code"])
            context.abort(code, answer["message"])
        response = response_type()
        if "rejected" in answer:
            setattr(response.partial_success, rejected, answer["rejected"])
            response.partial_success.error_message = answer["message"]
        return response.SerializeToString()

    return grpc.unary_unary_rpc_method_handler(export)


def main():
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    for signal, (folder, name, *_) in services.items():
        service = f"opentelemetry.proto.collector.{folder}.v1.{name}Service"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler(signal)}),))
    port = server.add_insecure_port(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:0")
    server.start()
    say(port=port)
    for line in sys.stdin:
        answer = json.loads(line)
        for _ in range(answer.pop("times", 1)):
            answers.put(answer)
        say(queued=True)
    server.stop(0)


main()
