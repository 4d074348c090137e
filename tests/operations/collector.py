"""What a collector of traces takes: POST /v1/traces, OTLP's JSON. Each request is parsed by the published
protobuf, which knows no unknown field; what came is kept as plain spans."""
import base64
import http.server
import json
import re
import threading
import time

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}


def with_binary_ids(value):
    """OTLP writes ids in hex, where protobuf's JSON has base64."""
    if isinstance(value, list):
        return [with_binary_ids(one) for one in value]
    if not isinstance(value, dict):
        return value
    read = {}
    for name, one in value.items():
        if name in IDS:
            assert re.fullmatch(r"[0-9a-f]{%d}" % (2 * IDS[name]), one), (name, one)
            one = base64.b64encode(bytes.fromhex(one)).decode()
        read[name] = with_binary_ids(one)
    return read


def plain(attributes):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


class Span:
    def __init__(self, span, resource):
        self.name, self.kind, self.resource = span.name, span.kind, resource
        self.trace, self.id, self.parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        self.began, self.ended = span.start_time_unix_nano, span.end_time_unix_nano
        self.failed = span.status.code == 2
        self.attributes = plain(span.attributes)

    def __repr__(self):
        return f"<{self.name} {self.id} below {self.parent or 'nothing'}>"


class Collector:
    def __init__(self, statuses=(), delay_s=0):
        self.spans, self.bodies, self.statuses = [], [], list(statuses)
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(delay_s)
                status = collector.statuses.pop(0) if collector.statuses else 200
                if status == 200:
                    collector.take(self.path, self.headers["Content-Type"], body.decode())
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, content_type, body):
        assert (path, content_type) == ("/v1/traces", "application/json")
        request = json_format.ParseDict(with_binary_ids(json.loads(body)), ExportTraceServiceRequest())
        self.bodies.append(body)
        for part in request.resource_spans:
            resource = plain(part.resource.attributes)
            self.spans += [Span(span, resource) for scope in part.scope_spans for span in scope.spans]

    def wait(self, wanted, timeout=60):
        """The first span that wanted(span) is true for."""
        deadline = time.monotonic() + timeout
        while True:
            for span in list(self.spans):
                if wanted(span):
                    return span
            assert time.monotonic() < deadline, self.spans
            time.sleep(0.05)

    def done(self):
        self.server.shutdown()
        self.server.server_close()
