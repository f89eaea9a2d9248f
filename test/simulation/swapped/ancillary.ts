/** In the place of src/ancillary: descriptors of the simulated kernel. What the supervisor must not call here is missing, so that the bundle says so. */
import type { SimulatedFile } from "../kernel.js";
import { world } from "../world.js";

export class OwnedFd implements Disposable {
  readonly file: SimulatedFile;
  #open = true;

  constructor(file: SimulatedFile) {
    this.file = file;
    world().kernel.retain(file);
    world().fds.add(this);
  }

  static adopt(): never {
    throw new Error("no descriptor has a number here");
  }

  get closed(): boolean {
    return !this.#open;
  }

  borrow(): { readonly file: SimulatedFile } {
    this.#mustBeOpen();
    return { file: this.file };
  }

  release(): number {
    this.close();
    return 0;
  }

  duplicate(): OwnedFd {
    this.#mustBeOpen();
    return new OwnedFd(this.file);
  }

  identity(): { dev: bigint; ino: bigint; mode: number } {
    this.#mustBeOpen();
    return { dev: 1n, ino: this.file.inode, mode: 0 };
  }

  close(): void {
    // Of one that is dead the kernel closes everything.
    if (!this.#open || world().muted) return;
    this.#open = false;
    if (world().fds.delete(this)) world().kernel.drop(this.file);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #mustBeOpen(): void {
    if (!this.#open) throw new Error(`a ${this.file.kind} is used after it was closed`);
  }
}

type Fd = { readonly file: SimulatedFile };

export function pipe(): [OwnedFd, OwnedFd] {
  const { kernel } = world();
  return [new OwnedFd(kernel.file("pipe")), new OwnedFd(kernel.file("pipe"))];
}

export function memfd(_name: string, bytes: Buffer): OwnedFd {
  return new OwnedFd(world().kernel.file("memfd", { bytes }));
}

export function readAll({ file }: Fd): Buffer {
  return file.bytes ?? Buffer.alloc(0);
}

/** Of a donor's token: no upgrade is simulated. */
export function read(): never {
  throw new Error("nothing is read here");
}

export function localAddress(): object {
  return { kind: "unix", path: "@somewhere" };
}

export function pollReadable({ file }: Fd): boolean {
  return (file.listener?.queued ?? 0) > 0;
}

export function setNonblocking(): void {}

export function attachReuseportFilter({ file }: Fd, program: Buffer): void {
  const { kernel, muted } = world();
  const group = kernel.groups.get(file.listener?.address ?? "");
  if (group === undefined) throw new Error("a filter is attached to what is not bound");
  if (!muted) group.shares = JSON.parse(program.toString());
}

export interface NotifyMessage {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly fields: ReadonlyMap<string, string>;
  readonly fds: readonly [];
}

/** READY=1 is all that a program says here. */
export class NotifySocket {
  readonly address = "@notify";
  readonly #fd: OwnedFd;
  #heard: ((message: NotifyMessage) => "later" | undefined) | undefined;

  private constructor(fd: OwnedFd) {
    this.#fd = fd;
  }

  static bind(): NotifySocket {
    return new NotifySocket(new OwnedFd(world().kernel.file("notify", { notify: { messages: [] } })));
  }

  static adopt(fd: OwnedFd): NotifySocket {
    return new NotifySocket(fd);
  }

  fd(): Fd {
    return this.#fd.borrow();
  }

  start(heard: (message: NotifyMessage) => "later" | undefined): void {
    this.#heard = heard;
    this.#fd.file.notify!.drain = () => this.drain();
  }

  drain(): void {
    const { messages } = this.#fd.file.notify!;
    while (this.#heard !== undefined && messages.length > 0 && !world().muted) {
      const { pid } = messages[0]!;
      if (this.#heard({ pid, uid: 0, gid: 0, fields: new Map([["READY", "1"]]), fds: [] }) === "later") return;
      messages.shift();
    }
  }

  close(): void {
    this.#heard = undefined;
    delete this.#fd.file.notify!.drain;
    this.#fd.close();
  }
}

/** Nothing that a worker stores hangs up here, and nothing is stored twice. */
export class HangUpWatch {
  add(): boolean {
    return true;
  }
  delete(): void {}
  close(): void {}
}

export function sameFile(one: Fd, other: Fd): boolean {
  return one.file === other.file;
}
