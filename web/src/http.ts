// One request to our API: base path, token, JSON, problems, and patience with a busy server.
import { backoff, pause } from './backoff';
import { isPassing, Problem, waitAsked } from './problem';
import { accessToken, refresh } from './session';

export interface CallOptions {
  query?: Record<string, string | number | undefined>;
  json?: unknown;
  /** Raw bytes, for images. */
  body?: Blob;
  /** Of the resource as it was read; the server refuses the write when it has changed since. */
  etag?: string;
  /** For sign-in and the like: no token, no refresh. */
  anonymous?: boolean;
  /** Makes a repeated write the same write. */
  idempotencyKey?: string;
  signal?: AbortSignal;
  /** Goes on when the page is gone. */
  keepalive?: boolean;
}

export interface Answer<T> {
  body: T;
  etag: string | null;
}

const TRIES = 4;

export function apiUrl(path: string, query: CallOptions['query'] = {}): string {
  const url = new URL(`api/v1/${path}`, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) {
      url.searchParams.set(name, String(value));
    }
  }
  return url.href;
}

function headersOf(options: CallOptions, token: string | null): Headers {
  const headers = new Headers({ Accept: 'application/json' });
  if (options.json !== undefined) {
    headers.set('Content-Type', 'application/json');
  }
  if (token) {
    headers.set('Authorization', `Bearer ${token}`);
  }
  if (options.etag) {
    headers.set('If-Match', options.etag);
  }
  if (options.idempotencyKey) {
    headers.set('Idempotency-Key', options.idempotencyKey);
  }
  return headers;
}

async function send(method: string, path: string, options: CallOptions): Promise<Response> {
  const attempt = (token: string | null) =>
    fetch(apiUrl(path, options.query), {
      method,
      credentials: 'same-origin',
      headers: headersOf(options, token),
      body: options.json !== undefined ? JSON.stringify(options.json) : options.body,
      signal: options.signal,
      keepalive: options.keepalive,
    });
  if (options.anonymous) {
    return attempt(null);
  }
  const token = await accessToken();
  const response = await attempt(token);
  if (response.status !== 401 || !token) {
    return response;
  }
  await refresh(token);
  return attempt(await accessToken());
}

async function good(method: string, path: string, options: CallOptions): Promise<Response> {
  const response = await send(method, path, options);
  if (!response.ok) {
    throw await Problem.from(response);
  }
  return response;
}

async function once<T>(method: string, path: string, options: CallOptions): Promise<Answer<T>> {
  const response = await good(method, path, options);
  const empty = response.status === 204 || response.headers.get('Content-Length') === '0';
  const body = (empty ? undefined : await response.json()) as T;
  return { body, etag: response.headers.get('ETag') };
}

/** Safe to send twice: reads, and writes that the server recognises. */
function repeatable(method: string, options: CallOptions): boolean {
  return method === 'GET' || method === 'PUT' || options.idempotencyKey !== undefined;
}

export async function callWithTag<T>(
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<Answer<T>> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once<T>(method, path, options);
    } catch (error) {
      if (attempt === TRIES || !isPassing(error) || !repeatable(method, options)) {
        throw error;
      }
      await pause(Math.max(waitAsked(error), backoff(attempt)), options.signal);
    }
  }
}

export async function call<T>(method: string, path: string, options?: CallOptions): Promise<T> {
  return (await callWithTag<T>(method, path, options)).body;
}

/** A small binary. */
export async function bytes(path: string): Promise<Uint8Array> {
  return new Uint8Array(await (await good('GET', path, {})).arrayBuffer());
}

/** An answer that is a file to keep. */
export async function file(method: string, path: string, query?: CallOptions['query']): Promise<Blob> {
  return (await good(method, path, { query })).blob();
}
