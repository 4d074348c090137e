// What the server says when it refuses: problem documents (RFC 9457), as one exception.

export interface FieldError {
  field: string;
  message: string;
}

interface ProblemDocument {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  errors?: FieldError[];
  [member: string]: unknown;
}

export class Problem extends Error {
  readonly status: number;
  /** The whole document: some problems carry more, such as a track's `status`. */
  readonly document: ProblemDocument;
  /** Seconds to wait, where the server asks for it; else 0. */
  readonly retryAfter: number;

  constructor(status: number, document: ProblemDocument, retryAfter = 0) {
    super(document.detail ?? document.title ?? `The server answered ${status}.`);
    this.name = 'Problem';
    this.status = status;
    this.document = document;
    this.retryAfter = retryAfter;
  }

  /** The message about one field of a form, "" where that field is fine. */
  field(name: string): string {
    return this.document.errors?.find((error) => error.field === name)?.message ?? '';
  }

  static async from(response: Response): Promise<Problem> {
    const type = response.headers.get('Content-Type') ?? '';
    const retryAfter = Number(response.headers.get('Retry-After') ?? 0) || 0;
    let document: ProblemDocument = { title: response.statusText, status: response.status };
    if (type.includes('json')) {
      document = await response.json().catch(() => document);
    }
    return new Problem(response.status, document, retryAfter);
  }
}

/** Worth trying again by itself: no answer at all, or a server that says it is busy. */
export function isPassing(error: unknown): boolean {
  if (error instanceof Problem) {
    return error.status === 429 || error.status === 502 || error.status === 503 || error.status === 504;
  }
  return error instanceof TypeError || error instanceof ConnectionLost;
}

/** What was said is wrong and stays so, whoever says it again and whenever. */
const REFUSALS = new Set([400, 409, 412, 413, 415, 422]);

/** The server has looked at what it was told and won't ever take it; of no use to keep. Any other error says nothing of it. */
export const isRefused = (error: unknown): boolean => error instanceof Problem && REFUSALS.has(error.status);

/** Milliseconds that the server asks to wait, at most half a minute. */
export const waitAsked = (error: unknown): number => (error instanceof Problem ? Math.min(30, error.retryAfter) * 1000 : 0);

/** The connection ended before the answer was there. */
export class ConnectionLost extends Error {
  constructor() {
    super('The connection was lost.');
    this.name = 'ConnectionLost';
  }
}

/** Any exception in words for people. */
export function words(error: unknown): string {
  if (error instanceof Problem) {
    const fields = (error.document.errors ?? []).map((e) => e.message).filter(Boolean);
    return error.document.detail ?? (fields.length > 0 ? fields.join(' ') : error.message);
  }
  if (error instanceof TypeError || error instanceof ConnectionLost) {
    return 'The server can’t be reached. Trying again may help.';
  }
  return error instanceof Error ? error.message : String(error);
}
