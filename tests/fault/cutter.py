"""A TCP proxy that cuts connections: each has, out of the seed, a direction and a number of bytes after which both sides
are closed, half of them by RST; some live on. The bytes before the cut arrive, those after it do not."""
import random
import selectors
import socket
import struct
import threading

CUT_SHARE = 0.9
BYTES_MAX = 100_000
CHUNK = 16 * 1024


class Pair:
    """A connection of a client, and ours to the server. left: bytes to the cut, by the side they come from."""

    def __init__(self, client, server, choice):
        self.client, self.server = client, server
        self.other = {client: server, server: client}
        self.left = {}
        if choice.random() < CUT_SHARE:
            # As often among the first bytes as among the last thousands.
            count = int(BYTES_MAX ** choice.random())
            self.left[client if choice.random() < 0.5 else server] = count
        self.reset = choice.random() < 0.5


class Cutter:
    def __init__(self, seed, target_port):
        self.seed, self.target = seed, ("127.0.0.1", target_port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepted = self.cuts = 0
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.cutting, self.ended = True, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended:
            for key, _ in self.selector.select(0.1):
                if key.data is None:
                    self.accept()
                elif key.fileobj.fileno() >= 0:  # not closed with its pair a moment ago
                    self.pump(key.fileobj, key.data)

    def accept(self):
        client, _ = self.listener.accept()
        self.accepted += 1
        try:
            server = socket.create_connection(self.target, 5)
        except OSError:
            client.close()
            return
        pair = Pair(client, server, random.Random(f"{self.seed}/connection/{self.accepted}"))
        for side in (client, server):
            side.settimeout(10)
            self.selector.register(side, selectors.EVENT_READ, pair)

    def pump(self, side, pair):
        try:
            data = side.recv(CHUNK)
            left = pair.left.get(side) if self.cutting else None
            if left is not None:
                data = data[:left]
                pair.left[side] -= len(data)
            if data:
                pair.other[side].sendall(data)
        except OSError:
            data, left = b"", None
        if left is not None and pair.left[side] == 0:
            self.cuts += 1
            self.close(pair, pair.reset)
        elif not data:
            self.close(pair, False)

    def close(self, pair, reset):
        for side in (pair.client, pair.server):
            self.selector.unregister(side)
            if reset:
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            side.close()

    def done(self):
        self.ended = True
        self.thread.join(10)
        self.listener.close()
