import { Socket } from "node:net";
import { type NotifyDropReason, type NotifyMessage, NotifySocket, type OwnedFd } from "../../ancillary/index.js";
import type { DrainedLogs } from "./logs/drained-logs.js";
import type { LogRing } from "./logs/log-ring.js";
import type { LogSink } from "./logs/log-sink.js";
import { WorkerOutput } from "./logs/worker-output.js";
import type { WorkerTag } from "./service-store.js";
import type { WorkerPipes } from "./start-plan.js";

export interface WorkerListener {
  /** A message of somebody; whether it may speak for the worker is the listener's to decide. `later`: once `drainNotify` is called. */
  notified(message: NotifyMessage): "later" | undefined;
  /** A line on READY_FD. */
  announced(): void;
  /** A datagram on the notify socket that could not be used. */
  dropped(reason: NotifyDropReason): void;
}

/**
 * What the supervisor has open for one worker: its log pipes, its notify socket, its READY_FD pipe.
 *
 * The keeper has duplicates, so that the next supervisor finds them by `adopt`.
 */
export class WorkerResources {
  readonly key: string;
  readonly tag: WorkerTag;
  /** Another keeper has started it. */
  readonly adopted: boolean;
  readonly #notify: NotifySocket;
  readonly #output?: WorkerOutput;
  readonly #ready?: Socket;

  /** Takes over the pipes and the socket. */
  constructor(o: {
    readonly key: string;
    readonly tag: WorkerTag;
    readonly notify: NotifySocket;
    readonly pipes: WorkerPipes;
    readonly ring: LogRing;
    readonly sink: LogSink | undefined;
    /** Of one that an earlier supervisor started. */
    readonly drained: DrainedLogs;
    readonly adopted: boolean;
    readonly listener: WorkerListener;
  }) {
    this.key = o.key;
    this.tag = o.tag;
    this.adopted = o.adopted;
    this.#notify = o.notify;
    this.#notify.start(
      (message) => o.listener.notified(message),
      (reason) => o.listener.dropped(reason),
    );
    const { stdout, stderr, ready } = o.pipes;
    if (stdout !== undefined && stderr !== undefined && o.sink !== undefined) {
      const worker = { service: o.tag.service, instance: `${o.tag.service}/${o.tag.slot}`, worker: o.tag.worker };
      const { ring, sink, drained } = o;
      this.#output = new WorkerOutput({ worker, stdout, stderr, ring, sink, drained, now: () => new Date() });
    }
    if (ready !== undefined) {
      // The read end stays open until the worker is gone: closing it early would give a late writer SIGPIPE.
      this.#ready = new Socket({ fd: ready.release(), readable: true, writable: false });
      this.#ready.on("data", (bytes) => {
        if (bytes.includes(0x0a)) o.listener.announced();
      });
      this.#ready.on("error", () => this.#ready?.destroy());
      this.#ready.unref();
    }
  }

  /** The entry of the worker's environment that no other worker has. */
  get mark(): string {
    return `INVOCATION_ID=${this.tag.invocation}`;
  }

  /** Takes what its notify socket has now, so that a message is handled before the exit of its sender. */
  drainNotify(): void {
    this.#notify.drain();
  }

  /** Read ends of stdout and stderr, for whoever reads what outlives the worker; none if nobody writes there any more. The caller's. */
  duplicateOutput(): readonly OwnedFd[] {
    return this.#output?.duplicate() ?? [];
  }

  lastLines(count: number): readonly string[] {
    return this.#output?.lastLines(count) ?? [];
  }

  /** Reads what is left in the pipes and closes everything. Ends with what the worker wrote last. */
  close(): void {
    this.#output?.close();
    this.#notify.close();
    this.#ready?.destroy();
  }
}

/** Sorts the descriptors that the keeper kept for a worker by what its tag says they are. */
export function sortKept(
  tag: WorkerTag,
  fds: readonly OwnedFd[],
): { readonly notify: NotifySocket; readonly pipes: WorkerPipes } {
  const found: { -readonly [K in keyof WorkerPipes]: WorkerPipes[K] } = {};
  let notify: NotifySocket | undefined;
  for (const [index, fd] of fds.entries()) {
    const name = tag.keep[index];
    if (name === "notify") notify = NotifySocket.adopt(fd);
    else if (name === undefined) fd.close();
    else found[name] = fd;
  }
  return { notify: notify ?? NotifySocket.bind(), pipes: found };
}
