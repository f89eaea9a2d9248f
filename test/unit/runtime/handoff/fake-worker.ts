import { until } from "../../../../bench/lib/until.mjs";
import { type Fd, type OwnedFd, type ReceivedMessage, SeqpacketChannel } from "../../../../src/ancillary/index.js";
import { encodeFrame, MAX_RECORD_BYTES, type ToSupervisor, type ToWorker } from "../../../../src/handoff/frame.js";

interface Heard {
  readonly frame: ToWorker;
  readonly body: Buffer;
  readonly fds: OwnedFd[];
}

/** The other end of a worker's channel, which says what it is told to. */
export class FakeWorker {
  readonly heard: Heard[] = [];
  readonly #channel: SeqpacketChannel;
  ended = false;

  constructor(fd: OwnedFd) {
    this.#channel = new SeqpacketChannel(fd, {
      maxBytes: MAX_RECORD_BYTES,
      onMessage: ({ data, fds }: ReceivedMessage) => {
        const [head = "", ...rest] = data.toString("latin1").split("\n");
        this.heard.push({ frame: JSON.parse(head), body: Buffer.from(rest.join("\n"), "latin1"), fds });
      },
      onEnd: () => {
        this.ended = true;
      },
    });
  }

  say(frame: ToSupervisor, body?: Uint8Array, fds: readonly Fd[] = []): void {
    this.#channel.send(encodeFrame(frame, body), fds);
  }

  /** Any bytes. */
  sayBytes(bytes: Uint8Array, fds: readonly Fd[] = []): void {
    this.#channel.send(bytes, fds);
  }

  /** The first frame of the type that has not been asked for yet. */
  async next<T extends ToWorker["type"]>(type: T): Promise<Heard & { readonly frame: ToWorker & { type: T } }> {
    const index = await until(`a frame ${type} comes`, () => {
      const at = this.heard.findIndex(({ frame }) => frame.type === type);
      return at >= 0 && { at };
    });
    return this.heard.splice(index.at, 1)[0] as Heard & { readonly frame: ToWorker & { type: T } };
  }

  close(): void {
    this.#channel.close();
    for (const { fds } of this.heard) for (const fd of fds) fd.close();
  }
}
