// A line between browser and server that a test can slow down, cut and mend.
import net from 'node:net';

export class Proxy {
  static async start(targetPort) {
    const proxy = new Proxy();
    proxy.targetPort = targetPort;
    proxy.pairs = new Set();
    proxy.isCut = false;
    /** Bytes a second from the browser to the server; 0: as fast as it goes. */
    proxy.upRate = 0;
    proxy.received = 0;
    proxy.server = net.createServer((client) => proxy.accept(client));
    await new Promise((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    proxy.port = proxy.server.address().port;
    proxy.url = `http://localhost:${proxy.port}`;
    return proxy;
  }

  accept(client) {
    if (this.isCut) {
      client.destroy();
      return;
    }
    const upstream = net.connect(this.targetPort, '127.0.0.1');
    const pair = [client, upstream];
    const end = () => {
      this.pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    this.pairs.add(pair);
    for (const socket of pair) {
      socket.on('error', end).on('close', end);
    }
    client.on('data', (chunk) => {
      this.received += chunk.length;
      upstream.write(chunk);
      if (this.upRate > 0) {
        client.pause();
        setTimeout(() => client.resume(), (1000 * chunk.length) / this.upRate);
      }
    });
    upstream.pipe(client);
  }

  /** Every connection ends at once, and new ones are refused. */
  cut() {
    this.isCut = true;
    for (const pair of [...this.pairs]) {
      pair.forEach((socket) => socket.destroy());
    }
  }

  mend() {
    this.isCut = false;
  }

  stop() {
    this.cut();
    this.server.close();
  }
}
