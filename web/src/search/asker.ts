// Asking as somebody types: after a moment's rest, and only for what stands there now. A request that is
// overtaken is taken back, and an answer that comes too late is dropped. Knows no views.

export interface Asked<T> {
  text: string;
  answer: T;
}

const REST_MS = 100;

export class Asker<T> {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private running: AbortController | null = null;
  /** To what stands there now. */
  private answered: Asked<T> | null = null;
  private wanted: ((asked: Asked<T>) => void) | null = null;

  constructor(
    private readonly ask: (text: string, signal: AbortSignal) => Promise<T>,
    private readonly told: (asked: Asked<T> | null) => void,
    private readonly failed: (error: unknown) => void,
    private readonly restMs = REST_MS,
  ) {}

  /** What stands there now; nothing but spaces is told as null at once. */
  type(text: string): void {
    this.stop();
    const wanted = text.trim();
    if (wanted === '') {
      this.told(null);
      return;
    }
    this.timer = setTimeout(() => void this.run(wanted), this.restMs);
  }

  /** Does something with the answer to what stands there now: at once, or when it comes. More typing takes it back, and
   * so does null. */
  whenAnswered(act: ((asked: Asked<T>) => void) | null): void {
    this.wanted = act;
    if (this.answered && act) {
      this.act(this.answered);
    }
  }

  stop(): void {
    clearTimeout(this.timer);
    this.running?.abort();
    this.running = null;
    this.answered = null;
    this.wanted = null;
  }

  private act(asked: Asked<T>): void {
    const act = this.wanted;
    this.wanted = null;
    act?.(asked);
  }

  private async run(text: string): Promise<void> {
    const request = new AbortController();
    this.running = request;
    try {
      const answer = await this.ask(text, request.signal);
      if (!request.signal.aborted) {
        this.answered = { text, answer };
        this.told(this.answered);
        this.act(this.answered);
      }
    } catch (error) {
      if (!request.signal.aborted) {
        this.failed(error);
      }
    }
  }
}
