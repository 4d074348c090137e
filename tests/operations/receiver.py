"""A webhook that Alertmanager tells: keeps what fired and what was resolved."""
import http.server
import json
import threading
import time


class Receiver:
    def __init__(self):
        self.told = []  # (name, status, labels) in their order
        self.news = threading.Condition()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with receiver.news:
                    receiver.told += [(a["labels"]["alertname"], a["status"], a["labels"]) for a in message["alerts"]]
                    receiver.news.notify_all()
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def last(self, name):
        """The last status that was told of each set of labels of an alert."""
        return {tuple(sorted(labels.items())): status for told, status, labels in self.told if told == name}

    def wait(self, names, status, timeout=120):
        """Until the last word of every alert is this status."""
        deadline = time.monotonic() + timeout
        with self.news:
            while True:
                missing = [n for n in names if not self.last(n) or set(self.last(n).values()) != {status}]
                if not missing:
                    return
                assert self.news.wait(max(0, deadline - time.monotonic())), \
                    f"not {status}: {missing}; told: {[(n, s) for n, s, _ in self.told]}"

    def done(self):
        self.server.shutdown()
        self.server.server_close()
