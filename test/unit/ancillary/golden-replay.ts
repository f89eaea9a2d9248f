import { fstatSync, mkdtempSync, readdirSync, readFileSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AncillaryMessage,
  memfd,
  type OwnedFd,
  ownCredentials,
  type PeerCredentials,
  peerCredentials,
  type SocketAddress,
  SocketAncillary,
  type SocketCred,
  setNonblocking,
  shutdown,
  UnixDatagram,
  UnixListener,
  UnixStream,
} from "../../../src/ancillary/index.js";
import { closeAll, receive } from "../../../src/ancillary/message.js";
import { native } from "../../../src/ancillary/native.js";
import { nativeBuffer } from "../../../src/ancillary/socket-ancillary.js";
import {
  expandNames,
  type GoldenCase,
  type GoldenOperation,
  messageData,
  showData,
  walkHeaders,
} from "./golden-case.js";

/** How the soft limit of open files is changed; a process cannot do it to itself from Node. */
export interface DescriptorLimit {
  leaveFree(count: number): void;
  restore(): void;
}

/** Runs the operations of one case against this library and tells the results in the words of the recording. */
export class GoldenReplay {
  readonly #directory = mkdtempSync(join(tmpdir(), "hf-"));
  readonly #files = new Map<string, OwnedFd>();
  readonly #sockets = new Map<string, UnixStream | UnixDatagram>();
  readonly #listeners = new Map<string, UnixListener>();
  readonly #ancillaries = new Map<string, SocketAncillary>();
  /** What `messages` showed and nobody closed yet, as in Rust, where it takes nothing. */
  readonly #shown = new Map<string, AncillaryMessage[]>();
  readonly #marks = new Map<string, number>();
  /** Names by file identity; kept after the file is closed, for its duplicates. */
  readonly #names = new Map<string, string>();
  readonly #limit: DescriptorLimit;
  readonly #golden: GoldenCase;
  readonly #uid = process.getuid?.();

  constructor(golden: GoldenCase, limit: DescriptorLimit) {
    this.#golden = golden;
    this.#limit = limit;
  }

  close(): void {
    for (const messages of this.#shown.values()) closeDescriptors(messages);
    for (const ancillary of this.#ancillaries.values()) ancillary.clear();
    for (const owner of [...this.#files.values(), ...this.#sockets.values(), ...this.#listeners.values()])
      owner.close();
    // Made while root was there to make it, perhaps; removed by whoever made it.
    if (process.getuid?.() === this.#uid) rmSync(this.#directory, { recursive: true });
  }

  /** The result of one operation; errors as the recording shows them. */
  run(operation: GoldenOperation): unknown {
    const action = this.#actions[operation.op];
    if (action === undefined) throw new Error(`no such operation: ${operation.op}`);
    return action(operation);
  }

  readonly #actions: Record<string, (op: GoldenOperation) => unknown> = {
    file: (op) => this.#addFile(op.id),
    files: (op) => {
      for (let index = 0; index < op.n; index++) this.#addFile(`${op.prefix}${index}`);
      return null;
    },
    pair: (op) => {
      const [a, b] = op.kind === "stream" ? UnixStream.pair() : UnixDatagram.pair();
      this.#addSocket(op.a, a);
      this.#addSocket(op.b, b);
      return null;
    },
    bind_dgram: (op) => attempt(() => this.#addSocket(op.id, UnixDatagram.bind(this.#path(op.path)))),
    unbound_dgram: (op) => attempt(() => this.#addSocket(op.id, UnixDatagram.unbound())),
    connect_dgram: (op) => attempt(() => (this.#sockets.get(op.id) as UnixDatagram).connect(this.#path(op.path))),
    listen: (op) => attempt(() => this.#listeners.set(op.id, UnixListener.bind(this.#path(op.path))) && null),
    connect: (op) => attempt(() => this.#addSocket(op.id, UnixStream.connect(this.#path(op.path)))),
    accept: (op) => attempt(() => this.#addSocket(op.id, this.#listeners.get(op.on)!.accept() as UnixStream)),
    new: (op) => this.#ancillaries.set(op.id, new SocketAncillary(op.cap)) && null,
    state: (op) => {
      const { capacity, len, isEmpty, truncated } = this.#ancillary(op.id);
      return { capacity, len, is_empty: isEmpty, truncated };
    },
    truncated: (op) => this.#ancillary(op.id).truncated,
    clear: (op) => {
      this.#forgetShown(op.id);
      this.#ancillary(op.id).clear();
      return null;
    },
    add_fds: (op) =>
      attempt(
        () => this.#addFds(op),
        (fits) => fits,
      ),
    add_creds: (op) => this.#ancillary(op.id).addCreds(op.creds.map(parseCredentials)),
    messages: (op) => this.#messages(op.id).map((message) => this.#show(message, false)),
    take: (op) => {
      const shown = this.#messages(op.id).map((message) => this.#show(message, true));
      this.#forgetShown(op.id);
      return shown;
    },
    headers: (op) => {
      const ancillary = this.#ancillary(op.id);
      return walkHeaders(Buffer.from(nativeBuffer(ancillary).memory).subarray(0, ancillary.len));
    },
    send: (op) => this.#send(op),
    send_to: (op) => this.#send(op),
    send_until_err: (op) => {
      for (let count = 0; count < op.max; count++) {
        const result = this.#send(op) as { err?: { code: string } };
        if (result.err !== undefined) return { stopped: result.err.code, sent_some: count > 0 };
      }
      return { stopped: "max", sent_some: true };
    },
    recv: (op) => this.#receive(op, false),
    recv_from: (op) => this.#receive(op, true),
    write: (op) => attempt(() => writeSync(this.#number(op.sock), messageData([op.n], op.seed)[0]!)),
    read: (op) => {
      const into = Buffer.alloc(op.n);
      return attempt(() => showRead(into, readSync(this.#number(op.sock), into)));
    },
    peek: (op) =>
      attempt(() => {
        const message = receive(this.#sockets.get(op.sock)!.fd, { maxBytes: op.n, peek: true });
        if (typeof message === "string") throw new Error(`peek: ${message}`);
        closeAll(message);
        return showRead(message.data, message.data.length);
      }),
    set_passcred: (op) => attempt(() => this.#sockets.get(op.sock)!.setPasscred(op.on)),
    passcred: (op) => attempt(() => this.#sockets.get(op.sock)!.passcred()),
    peer_cred: (op) => attempt(() => showPeer(peerCredentials(this.#sockets.get(op.sock)!.fd))),
    setsockopt: (op) => attempt(() => native.setOption(this.#number(op.sock), op.level, op.name, op.value)),
    getsockopt: (op) => attempt(() => native.getOption(this.#number(op.sock), op.level, op.name)),
    nonblocking: (op) => {
      setNonblocking(this.#sockets.get(op.sock)!.fd, op.on);
      return null;
    },
    shutdown: (op) => attempt(() => shutdown(this.#sockets.get(op.sock)!.fd, op.how)),
    close: (op) => {
      (this.#files.get(op.id) ?? this.#sockets.get(op.id))!.close();
      return null;
    },
    mark: (op) => this.#marks.set(op.id, countDescriptors()) && null,
    fd_delta: (op) => countDescriptors() - this.#marks.get(op.id)!,
    rlimit_nofile: (op) => {
      this.#limit.leaveFree(op.free);
      return null;
    },
    rlimit_restore: () => {
      this.#limit.restore();
      return null;
    },
    // For the rest of this process: real, effective and saved ids.
    drop_privs: (op) => {
      process.setgroups?.([]);
      process.setgid?.(op.gid);
      process.setuid?.(op.uid);
      return null;
    },
  };

  #addFile(id: string): null {
    const file = memfd(id, Buffer.from(id));
    this.#files.set(id, file);
    this.#names.set(identityOf(file.borrow().number), id);
    return null;
  }

  #addSocket(id: string, socket: UnixStream | UnixDatagram): null {
    this.#sockets.set(id, socket);
    this.#names.set(identityOf(socket.fd.borrow().number), id);
    return null;
  }

  #ancillary(id: string): SocketAncillary {
    return this.#ancillaries.get(id)!;
  }

  #number(id: string): number {
    return this.#sockets.get(id)!.fd.borrow().number;
  }

  #path(path: string): string {
    return path.replace("$DIR", this.#directory);
  }

  #addFds(op: GoldenOperation): boolean {
    const names = expandNames(op.fds);
    const ancillary = this.#ancillary(op.id);
    this.#forgetShown(op.id);
    const fds = names.map((name) => this.#files.get(name) ?? this.#sockets.get(name)?.fd);
    if (fds.every((fd) => fd !== undefined && !fd.closed)) return ancillary.addFds(fds as OwnedFd[]);
    // Where the recording calls it a fault that Rust takes any number, they go to the call that takes owners; elsewhere, to the one for ported code.
    if (this.#golden.name === "buf.add_bad_fd_accepted") return ancillary.addFds(names as unknown as OwnedFd[]);
    return ancillary.addRawFds(names.map((name, index) => fds[index]?.borrow().number ?? Number(name.slice(4))));
  }

  /** What was added, or what came, with what an earlier operation was shown. */
  #messages(id: string): (AncillaryMessage | { kind: "added"; numbers: number[] })[] {
    const added = this.#ancillary(id).added();
    if (added.length > 0) {
      return added.map((message) =>
        message.kind === "ScmRights" ? { kind: "added", numbers: message.numbers } : message,
      );
    }
    const messages = [...(this.#shown.get(id) ?? []), ...this.#ancillary(id).messages()];
    this.#shown.set(id, messages);
    return messages;
  }

  #forgetShown(id: string): void {
    closeDescriptors(this.#shown.get(id) ?? []);
    this.#shown.delete(id);
  }

  #show(message: AncillaryMessage | { kind: "added"; numbers: number[] }, withCloexec: boolean): unknown {
    switch (message.kind) {
      case "added":
        return { type: "ScmRights", fds: message.numbers.map((number) => this.#nameOf(number)) };
      case "ScmRights": {
        const numbers = message.fds.map((fd) => fd.borrow().number);
        const shown = { type: "ScmRights", fds: numbers.map((number) => this.#nameOf(number)) };
        return withCloexec ? { ...shown, cloexec: numbers.every(isCloseOnExec) } : shown;
      }
      case "ScmCredentials":
        return { type: "ScmCredentials", creds: message.credentials.map(showPeer) };
      case "ScmSecurity":
        return { type: "Unknown", cmsg_level: 1, cmsg_type: 3 };
      case "ScmPidfd":
        return { type: "Unknown", cmsg_level: 1, cmsg_type: 4 };
      case "unknown":
        return { type: "Unknown", cmsg_level: message.level, cmsg_type: message.type };
    }
  }

  #nameOf(number: number): string {
    if (number < 0) return "closed";
    try {
      return this.#names.get(identityOf(number)) ?? "?";
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EBADF") return "closed";
      throw error;
    }
  }

  #send(op: GoldenOperation): unknown {
    const socket = this.#sockets.get(op.sock)!;
    const ancillary = op.anc === undefined ? undefined : this.#ancillary(op.anc);
    const data = messageData(op.data, op.seed);
    const total = op.data.reduce((sum, size) => sum + size, 0);
    return attempt(() => {
      const sent =
        op.to === undefined
          ? socket.sendVectoredWithAncillary(data, ancillary)
          : (socket as UnixDatagram).sendVectoredWithAncillaryTo(data, ancillary, this.#path(op.to));
      if (sent === "would-block") throw Object.assign(new Error("full"), { code: "EAGAIN", errno: -11 });
      return op.n_class ? classOf(sent, total, "all", "partial") : sent;
    });
  }

  #receive(op: GoldenOperation, withAddress: boolean): unknown {
    const socket = this.#sockets.get(op.sock)!;
    const ancillary = op.anc === undefined ? undefined : this.#ancillary(op.anc);
    if (op.anc !== undefined) this.#forgetShown(op.anc);
    const total = op.data.reduce((sum, size) => sum + size, 0);
    const whole = Buffer.alloc(total, 0xee);
    const ends = op.data.map((_, index) => op.data.slice(0, index + 1).reduce((sum, size) => sum + size, 0));
    const buffers = op.data.map((size, index) => whole.subarray(ends[index]! - size, ends[index]));
    return attempt(() => {
      const result = socket.recvVectoredWithAncillary(buffers, ancillary);
      if (result === "would-block") throw Object.assign(new Error("empty"), { code: "EAGAIN", errno: -11 });
      const n = typeof result === "number" ? result : result.bytes;
      const tail = whole.subarray(n).every((byte) => byte === 0xee);
      return {
        ...(op.n_class ? { n: classOf(n, total, "full", "short") } : { n, data: showData(whole.subarray(0, n)) }),
        tail_untouched: tail,
        ...(typeof result === "number" ? {} : { truncated: result.dataTruncated }),
        ...(withAddress && typeof result !== "number" ? { addr: this.#showAddress(result.from) } : {}),
      };
    });
  }

  #showAddress(address: SocketAddress | undefined): unknown {
    if (address === undefined) return { kind: "unnamed" };
    if (address.kind !== "unix") throw new Error(`a unix socket at ${address.host}`);
    return { kind: "path", path: address.path.replace(this.#directory, "$DIR") };
  }
}

function attempt(
  action: () => unknown,
  shown: (value: unknown) => unknown = (value) => ({ ok: value ?? null }),
): unknown {
  let value: unknown;
  try {
    value = action();
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return { err: { code: null, kind: "InvalidInput" } };
    const { code, errno } = error as NodeJS.ErrnoException;
    if (errno === undefined) throw error;
    return { err: { code, errno: -errno } };
  }
  return shown(value);
}

function classOf(n: number, total: number, all: string, some: string): string | 0 {
  if (n === 0) return 0;
  return n === total ? all : some;
}

function showRead(into: Buffer, n: number): unknown {
  return { n, data: showData(into.subarray(0, n)) };
}

function identityOf(number: number): string {
  const { dev, ino } = fstatSync(number, { bigint: true });
  return `${dev}:${ino}`;
}

function isCloseOnExec(number: number): boolean {
  const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${number}`, "utf8"))?.[1];
  return (Number.parseInt(flags ?? "0", 8) & 0o2000000) !== 0;
}

function countDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

function closeDescriptors(messages: readonly AncillaryMessage[]): void {
  for (const message of messages) {
    if (message.kind === "ScmRights") for (const fd of message.fds) fd.close();
    if (message.kind === "ScmPidfd") message.pidfd.close();
  }
}

function parseCredentials(text: string): SocketCred {
  const own = ownCredentials();
  const [pid = "", uid = "", gid = ""] = text.split("/");
  return {
    pid: pid === "$pid" ? own.pid : Number(pid),
    uid: uid === "$uid" ? own.uid : Number(uid),
    gid: gid === "$gid" ? own.gid : Number(gid),
  };
}

function showPeer(peer: PeerCredentials): unknown {
  const own = ownCredentials();
  return {
    pid: peer.pid === own.pid ? "$pid" : peer.pid,
    uid: peer.uid === own.uid ? "$uid" : peer.uid,
    gid: peer.gid === own.gid ? "$gid" : peer.gid,
  };
}
