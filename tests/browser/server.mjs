// The real program on a data directory of its own, and its API as a client sees it.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import dns from 'node:dns';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// Node 18 asks the first address of "localhost" alone, which may be ::1; the server listens on 127.0.0.1.
dns.setDefaultResultOrder('ipv4first');

const BINARY = process.env.TUTTI_BINARY;
export const PASSWORD = 'correct horse battery';
const READY_MS = 20_000;
const WORK_MS = 300_000;

const NO_LIMITS = Object.fromEntries(
  ['LOGINS', 'READS', 'WRITES', 'UPLOADS', 'PLAYS'].map((name) => [`TUTTI_LIMITS_${name}_PER_MINUTE`, '0']),
);

/** Asks until the answer is good. */
export async function until(ask, good) {
  const end = Date.now() + WORK_MS;
  for (;;) {
    const answer = await ask();
    if (good(answer)) {
      return answer;
    }
    assert.ok(Date.now() < end, JSON.stringify(answer));
    await sleep(100);
  }
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

export class Server {
  /** `url`: what clients see, where something stands between. `environment`: more of it. */
  static async start({ url, port, environment = {} } = {}) {
    const server = new Server();
    server.port = port ?? (await freePort());
    server.url = url ?? `http://localhost:${server.port}`;
    server.data = mkdtempSync(join(tmpdir(), 'tutti-browser-'));
    const listen = ['--data', server.data, '--listen', `127.0.0.1:${server.port}`, '--log-level', 'warning'];
    server.process = spawn(BINARY, ['serve', ...listen], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...NO_LIMITS, TUTTI_SERVER_URL: server.url, ...environment },
    });
    server.log = '';
    for (const stream of [server.process.stdout, server.process.stderr]) {
      stream.on('data', (text) => (server.log += text));
    }
    try {
      await server.ready();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  async ready() {
    const until = Date.now() + READY_MS;
    for (;;) {
      const answer = await fetch(`http://localhost:${this.port}/readyz`).catch(() => null);
      if (answer?.ok) {
        return;
      }
      assert.equal(this.process.exitCode, null, `the server ended:\n${this.log}`);
      assert.ok(Date.now() < until, `the server is not ready:\n${this.log}`);
      await sleep(30);
    }
  }

  addUser(name, role) {
    const options = ['--role', role, '--email', `${name}@example.org`, '--password-stdin', '--data', this.data];
    execFileSync(BINARY, ['user', 'add', name, ...options], { input: `${PASSWORD}\n`, timeout: 30_000 });
  }

  setupCode() {
    return readFileSync(join(this.data, 'setup-code'), 'utf8').trim();
  }

  async stop() {
    this.process.kill('SIGTERM');
    const killer = setTimeout(() => this.process.kill('SIGKILL'), 15_000);
    if (this.process.exitCode === null) {
      await new Promise((resolve) => this.process.once('exit', resolve));
    }
    clearTimeout(killer);
    rmSync(this.data, { recursive: true, force: true });
  }
}

/** Somebody who is signed in, without a browser. */
export class Person {
  static async signIn(server, username, password = PASSWORD) {
    const person = new Person();
    person.base = `http://localhost:${server.port}`;
    const answer = await person.call('POST', '/api/v1/auth/login', { username, password });
    person.token = answer.accessToken;
    return person;
  }

  async call(method, path, json) {
    const headers = { 'Content-Type': 'application/json' };
    if (this.token) {
      headers.Authorization = `Bearer ${this.token}`;
    }
    const response = await fetch(this.base + path, { method, headers, body: json && JSON.stringify(json) });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  async becomeArtist(name) {
    const answer = await this.call('POST', '/api/v1/me/artist', { name });
    this.token = answer.accessToken;
    return answer.artist;
  }

  /** Uploads sounds ({title, data}) as an album and waits until they play, or their ladders are whole. */
  async uploadAlbum(artistId, title, sounds, { whole = true } = {}) {
    const album = await this.call('POST', '/api/v1/albums', { artistId, title });
    const ids = [];
    for (const { title: name, data } of sounds) {
      const { uploadUrl, trackUrl } = await this.call('GET', `/api/v1/tracks/upload-url?size=${data.length}`);
      const put = await fetch(uploadUrl, { method: 'PUT', body: data });
      assert.ok(put.ok, `PUT: ${put.status} ${await put.text()}`);
      const track = await this.call('POST', '/api/v1/tracks', { albumId: album.id, title: name, trackUrl });
      ids.push(track.id);
    }
    return { album, tracks: await Promise.all(ids.map((id) => (whole ? this.whole(id) : this.playable(id)))) };
  }

  async track(id) {
    const track = await this.call('GET', `/api/v1/tracks/${id}`);
    assert.notEqual(track.status, 'failed', JSON.stringify(track.failure));
    return track;
  }

  /** The track once every AAC rung is there. */
  whole(id) {
    return until(
      () => this.track(id),
      ({ status, progress, pendingVersion }) => status === 'ready' && progress.done === progress.of && !pendingVersion,
    );
  }

  /** The track once it plays. */
  playable(id) {
    return until(() => this.track(id), ({ status }) => status === 'ready');
  }
}
