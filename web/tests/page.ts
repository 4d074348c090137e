// What the app takes for granted of a browser, for tests that run without one. Imported before the app's own modules, which
// look for it as they load. A test answers the requests, and says when time has passed.
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

class Node {
  childNodes: Node[] = [];
  parentNode: Node | null = null;
  attributes: unknown[] = [];
  style = { setProperty() {} };
  data = '';

  constructor(
    readonly nodeType: number,
    readonly localName: string,
  ) {}

  get firstChild(): Node | null {
    return this.childNodes[0] ?? null;
  }
  get nextSibling(): Node | null {
    const all = this.parentNode?.childNodes ?? [];
    return all[all.indexOf(this) + 1] ?? null;
  }
  get textContent(): string {
    return this.data + this.childNodes.map((child) => child.textContent).join('');
  }
  insertBefore(child: Node, next: Node | null): void {
    child.remove();
    this.childNodes.splice(next ? this.childNodes.indexOf(next) : this.childNodes.length, 0, child);
    child.parentNode = this;
  }
  appendChild(child: Node): void {
    this.insertBefore(child, null);
  }
  remove(): void {
    const all = this.parentNode?.childNodes ?? [];
    all.splice(all.indexOf(this), all.includes(this) ? 1 : 0);
    this.parentNode = null;
  }
  removeChild(child: Node): void {
    child.remove();
  }
  contains(): boolean {
    return true;
  }
  setAttribute(): void {}
  removeAttribute(): void {}
}

const element = (name: string) => new Node(1, name);
const text = (data: string) => Object.assign(new Node(3, '#text'), { data });
const body = element('body');
const page = new EventTarget();

const kept = new Map<string, string>();
const storage = {
  getItem: (key: string) => kept.get(key) ?? null,
  setItem: (key: string, value: string) => kept.set(key, value),
  removeItem: (key: string) => kept.delete(key),
};

/** Says something to the page, such as "online". */
export const happens = (event: string): boolean => page.dispatchEvent(new Event(event));

/** Until all that waits for no more than its turn has had it: answers, drawings and effects. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) {
    await sleep(0);
  }
}

export async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !holds(); await sleep(1)) {
    assert.ok(Date.now() < end, `it never came: ${holds}`);
  }
}

export interface Asked {
  method: string;
  path: string;
  body: Record<string, unknown>;
  token: string | null;
  /** The Idempotency-Key. */
  once: string | null;
}

interface Given {
  status?: number;
  body?: unknown;
}

type Answer = Given | Promise<Given>;

const all: Asked[] = [];
let answer: (asked: Asked) => Answer = () => ({});

/** How the server answers from now on. Returns what it is asked, as it comes. */
export function answers(by: (asked: Asked) => Answer): Asked[] {
  answer = by;
  all.length = 0;
  return all;
}

async function fetchFrom(url: URL | string, options: RequestInit = {}): Promise<Response> {
  options.signal?.throwIfAborted();
  const headers = new Headers(options.headers);
  const asked: Asked = {
    method: options.method ?? 'GET',
    path: new URL(url).pathname.replace('/api/v1/', ''),
    body: typeof options.body === 'string' ? (JSON.parse(options.body) as Asked['body']) : {},
    token: headers.get('Authorization'),
    once: headers.get('Idempotency-Key'),
  };
  all.push(asked);
  const stopped = new Promise<never>((_, reject) => {
    options.signal?.addEventListener('abort', () => reject(options.signal!.reason as Error), { once: true });
  });
  const { status = 200, body: document = {} } = await Promise.race([answer(asked), stopped]);
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  return new Response(typeof document === 'string' ? document : JSON.stringify(document), { status, headers: { 'Content-Type': type } });
}

/** The other tabs, of which there are none. */
class NoChannel {
  postMessage(): void {}
  addEventListener(): void {}
}

Object.assign(globalThis, {
  window: globalThis,
  document: {
    baseURI: 'http://h/',
    hidden: false,
    body,
    createElement: element,
    createElementNS: (_: string, name: string) => element(name),
    createTextNode: text,
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
  },
  addEventListener: page.addEventListener.bind(page),
  removeEventListener: page.removeEventListener.bind(page),
  location: { origin: 'http://h', pathname: '/', hash: '' },
  localStorage: storage,
  BroadcastChannel: NoChannel,
  fetch: fetchFrom,
  requestAnimationFrame: (draw: () => void) => setTimeout(draw, 0),
  cancelAnimationFrame: clearTimeout,
  setInterval: () => 0, // what is done now and then has no part in a test
});
for (const [name, value] of Object.entries({ navigator: {}, crypto: webcrypto })) {
  Object.defineProperty(globalThis, name, { value, configurable: true });
}
