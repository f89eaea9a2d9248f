import { duplicate, type Fd, type OwnedFd } from "../../../ancillary/index.js";
import type { TableName } from "./frame.js";
import type { KeeperClient } from "./keeper-client.js";
import type { ChildRecord } from "./records.js";

/** What one request changes: applied with its `ok`, forgotten with its error. */
export interface Change {
  commit(): void;
  discard(): void;
  /** Of one that the keeper's end left without a reply: what was sent before an end was asked for. */
  readonly unanswered: "commit" | "discard";
}

export interface MirroredEntry {
  tag: Uint8Array;
  /** The held or kept descriptors, in order; undefined: not fetched, or there was no room for them. */
  fds: readonly OwnedFd[] | undefined;
}

export interface MirroredChild extends MirroredEntry {
  /** undefined: the keeper has not told that it was started. */
  record: ChildRecord | undefined;
  pidfd: OwnedFd | undefined;
}

type Source = Pick<KeeperClient, "listHeld" | "listArms" | "listChildren" | "fetch">;

/**
 * All that the keeper holds, as far as another keeper can be given it: its tables with duplicates of the descriptors.
 *
 * Kept by the client from what passes through it; `fill` adds what an earlier supervisor left. Armed starts are here without what they would
 * start: a supervisor that finds one missing asks for it again.
 */
export class KeeperMirror {
  readonly held = new Map<string, MirroredEntry>();
  /** Children and arms, which share their keys. */
  readonly children = new Map<string, MirroredChild>();
  /** Arms that start a process for each connection, by their tags. */
  readonly acceptors = new Map<string, Uint8Array>();
  readonly #room: number;
  #filled = false;

  /** @param room descriptors from this number on are not used for duplicates */
  constructor(room = Number.POSITIVE_INFINITY) {
    this.#room = room;
  }

  /** Whatever the keeper had before was fetched. */
  get isFilled(): boolean {
    return this.#filled;
  }

  /** Fetches what the keeper has and nobody here has told it. */
  async fill(keeper: Source): Promise<void> {
    // In this order: an arm that is fired in between is in both lists, and not in none.
    const lists = Promise.all([keeper.listHeld(), keeper.listArms(), keeper.listChildren()]);
    const [held, arms, children] = await lists;
    const fetches: Promise<void>[] = [];
    for (const { key, tag, descriptors } of held) {
      if (this.held.has(key)) continue;
      const entry: MirroredEntry = { tag, fds: descriptors === 0 ? [] : undefined };
      this.held.set(key, entry);
      if (descriptors > 0) fetches.push(this.#fetch(this.held, key, entry, () => keeper.fetch("held", key)));
    }
    for (const { key, tag, kept, accepts } of arms) {
      if (accepts && !this.acceptors.has(key)) this.acceptors.set(key, tag);
      if (accepts) continue; // Whoever adopts its service makes it anew.
      if (this.children.has(key)) continue;
      const fetch = () => keeper.fetch("arms", key).catch(() => keeper.fetch("children", key));
      fetches.push(this.#fetchChild(key, { tag, fds: undefined, record: undefined, pidfd: undefined }, kept, fetch));
    }
    for (const { tag, kept, ...record } of children) {
      const known = this.children.get(record.key);
      // Asked for by ourselves, or an arm that was listed above.
      if (known !== undefined && (known.record === undefined || known.fds !== undefined)) continue;
      const entry = known ?? { tag, fds: undefined, record, pidfd: undefined };
      fetches.push(this.#fetchChild(record.key, entry, kept, () => keeper.fetch("children", record.key)));
    }
    await Promise.all(fetches);
    this.#filled = true;
  }

  hold(key: string, tag: Uint8Array, fds: readonly Fd[]): Change {
    const copies = this.#duplicates(fds);
    return {
      unanswered: "commit",
      commit: () => {
        closeAll(this.held.get(key)?.fds);
        this.held.set(key, { tag, fds: copies });
      },
      discard: () => closeAll(copies),
    };
  }

  release(key: string): Change {
    return {
      unanswered: "commit",
      commit: () => {
        closeAll(this.held.get(key)?.fds);
        this.held.delete(key);
      },
      discard: () => {},
    };
  }

  tag(table: TableName, key: string, tag: Uint8Array): Change {
    return {
      unanswered: "commit",
      commit: () => {
        const entry = table === "held" ? this.held.get(key) : this.children.get(key);
        if (entry !== undefined) entry.tag = tag;
      },
      discard: () => {},
    };
  }

  /** A spawn or an arm. */
  start(key: string, tag: Uint8Array, kept: readonly Fd[]): Change {
    const copies = this.#duplicates(kept);
    return {
      unanswered: "commit",
      commit: () => {
        if (this.children.has(key)) return closeAll(copies);
        this.children.set(key, { tag, fds: copies, record: undefined, pidfd: undefined });
      },
      discard: () => closeAll(copies),
    };
  }

  accept(key: string, tag: Uint8Array): Change {
    return { unanswered: "commit", commit: () => void this.acceptors.set(key, tag), discard: () => {} };
  }

  /** Whether an arm without an answer had fired before is for others to find out. */
  disarm(key: string): Change {
    return { unanswered: "discard", commit: () => this.#forget(key), discard: () => {} };
  }

  acknowledge(key: string): Change {
    return { unanswered: "commit", commit: () => this.#forget(key), discard: () => {} };
  }

  /** One that was perhaps not sent may be sent again: a supervisor that asks for an end looks whether it has. */
  signal(key: string, signal: number): Change {
    return {
      unanswered: "discard",
      commit: () => {
        const child = this.children.get(key);
        if (child?.record === undefined || signal < 1) return;
        child.record = { ...child.record, signals: child.record.signals | (1n << BigInt(signal - 1)) };
      },
      discard: () => {},
    };
  }

  /** Another process takes the place of the child's own. The descriptor stays the caller's. */
  move(key: string, pid: number, pidfd: Fd): Change {
    const copies = this.#duplicates([pidfd]);
    return {
      unanswered: "commit",
      commit: () => {
        const child = this.children.get(key);
        if (child?.record === undefined) return closeAll(copies);
        child.record = { ...child.record, state: "running", pid, endedAt: 0, status: 0, signals: 0n };
        child.pidfd?.close();
        child.pidfd = copies?.[0];
      },
      discard: () => closeAll(copies),
    };
  }

  /** The keeper's news. The descriptor stays the caller's. */
  child(record: ChildRecord, tag: Uint8Array, pidfd: Fd | undefined): void {
    const entry = this.children.get(record.key) ?? { tag, fds: undefined, record: undefined, pidfd: undefined };
    entry.tag = tag;
    entry.record = record;
    entry.pidfd?.close();
    entry.pidfd = pidfd && this.#duplicates([pidfd])?.[0];
    this.children.set(record.key, entry);
  }

  #forget(key: string): void {
    this.acceptors.delete(key);
    const child = this.children.get(key);
    closeAll(child?.fds);
    child?.pidfd?.close();
    this.children.delete(key);
  }

  /** Of one that runs its pidfd comes first. */
  #fetchChild(
    key: string,
    entry: MirroredChild,
    kept: number,
    fetch: () => Promise<readonly OwnedFd[]>,
  ): Promise<void> {
    this.children.set(key, entry);
    return this.#fetch(this.children, key, entry, async () => {
      const fds = await fetch();
      if (fds.length <= kept) return fds;
      if (entry.pidfd === undefined) entry.pidfd = fds[0];
      else fds[0]?.close();
      return fds.slice(1);
    });
  }

  async #fetch<Entry extends MirroredEntry>(
    entries: Map<string, Entry>,
    key: string,
    entry: Entry,
    fetch: () => Promise<readonly OwnedFd[]>,
  ): Promise<void> {
    const fds = await fetch().catch(() => undefined); // It is gone by now, or there is no room.
    const isCurrent = entries.get(key) === entry && entry.fds === undefined;
    if (isCurrent && fds !== undefined) entry.fds = fds;
    else closeAll(fds);
    if (isCurrent && fds === undefined) entries.delete(key);
  }

  #duplicates(fds: readonly Fd[]): readonly OwnedFd[] | undefined {
    const copies: OwnedFd[] = [];
    try {
      for (const fd of fds) copies.push(duplicate(fd));
      if (copies.every((copy) => copy.borrow().number < this.#room)) return copies;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EMFILE") throw error;
    }
    closeAll(copies);
    return undefined;
  }
}

function closeAll(fds: readonly OwnedFd[] | undefined): void {
  for (const fd of fds ?? []) fd.close();
}
