/** What one follower may have unsent before it is disconnected. */
export const followerMaxBytes = 1024 * 1024;

/**
 * A bounded stream of server-sent events for one reader.
 *
 * The reader takes at its own pace. If more than `maxBytes` are unsent, the follower has a gap: from then on items are only
 * counted, what was queued before is still delivered in order, then an event `gap` says how many are missing, and the stream
 * ends. So a slow reader never holds memory, and never misses something without being told.
 */
export class Follower<Item> {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #o: FollowerOptions<Item>;
  #queue: string[];
  #bytes = 0;
  #dropped = 0;
  #ending = false;
  #cancelled = false;
  #wake: (() => void) | undefined;
  readonly #unsubscribe: () => void;

  constructor(options: FollowerOptions<Item>) {
    this.#o = options;
    // History is bounded by whoever keeps it, so it is not held against the reader.
    this.#queue = options.history.map((item) => this.#frame(item));
    this.#unsubscribe = options.subscribe((item) => this.#take(item));
    this.stream = new ReadableStream<Uint8Array>(
      { pull: (controller) => this.#pull(controller), cancel: () => this.#cancel() },
      { highWaterMark: 0 },
    );
  }

  /** Delivers what is queued, then ends the stream. */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#unsubscribe();
    this.#o.onEnd(this.#dropped);
    this.#wake?.();
  }

  #cancel(): void {
    this.#cancelled = true;
    this.#queue = [];
    this.end();
  }

  #take(item: Item): void {
    if (this.#ending) return;
    if (this.#dropped > 0 || this.#bytes > (this.#o.maxBytes ?? followerMaxBytes)) {
      this.#dropped += 1;
      return;
    }
    const frame = this.#frame(item);
    this.#bytes += Buffer.byteLength(frame);
    this.#queue.push(frame);
    this.#wake?.();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.#queue.length === 0 && this.#dropped === 0 && !this.#ending) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    if (this.#cancelled) return;
    if (this.#queue.length > 0) {
      const chunk = this.#queue.join("");
      this.#queue = [];
      this.#bytes = 0;
      controller.enqueue(Buffer.from(chunk));
      return;
    }
    if (this.#dropped > 0) {
      controller.enqueue(Buffer.from(`event: gap\ndata: ${JSON.stringify({ dropped: this.#dropped })}\n\n`));
      this.end();
    }
    controller.close();
  }

  #frame(item: Item): string {
    const id = this.#o.id?.(item);
    return `${id === undefined ? "" : `id: ${id}\n`}event: ${this.#o.event}\ndata: ${JSON.stringify(item)}\n\n`;
  }
}

export interface FollowerOptions<Item> {
  /** Name of the server-sent event. */
  readonly event: string;
  readonly id?: (item: Item) => number;
  /** Sent first, oldest first. */
  readonly history: readonly Item[];
  readonly subscribe: (take: (item: Item) => void) => () => void;
  /** Called once, with the number of items that were not sent. */
  readonly onEnd: (dropped: number) => void;
  readonly maxBytes?: number;
}
