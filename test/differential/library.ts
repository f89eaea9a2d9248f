import { readFileSync } from "node:fs";
import {
  type OwnedFd,
  ownCredentials,
  receive,
  SocketAncillary,
  type SocketCred,
  send,
  UnixDatagram,
  UnixStream,
} from "../../src/ancillary/index.js";
import { dataOf, type Frame, type Piece } from "./frame.js";

/** The two ways through the library. */
export type Layer = "thin" | "safe";

/** What of the library is tried, behind the same face for both of its layers. Everything that comes is described and closed. */
export class Library {
  readonly #socket: UnixStream | UnixDatagram;
  readonly #ancillary = new SocketAncillary(2048);
  readonly #room = Buffer.alloc(1 << 17);

  /** Takes the socket over. */
  constructor(socket: UnixStream | UnixDatagram) {
    this.#socket = socket;
  }

  /** Sends all of it. */
  send(frame: Frame, files: readonly OwnedFd[], layer: Layer): void {
    const data = dataOf(frame);
    const fds = frame.files.map((index) => files[index]!);
    const credentials = frame.ids === undefined ? undefined : { ...ownCredentials(), ...frame.ids };
    const sent =
      layer === "safe"
        ? send(this.#socket.fd, credentials === undefined ? { data, fds } : { data, fds, credentials })
        : this.#sendThin(data, fds, credentials);
    if (sent !== data.length) throw new Error(`${sent} of ${data.length} bytes were sent`);
  }

  #sendThin(data: Buffer, fds: readonly OwnedFd[], credentials: SocketCred | undefined): number | "would-block" {
    this.#ancillary.clear();
    if (fds.length > 0) this.#ancillary.addFds(fds);
    if (credentials !== undefined) this.#ancillary.addCreds([credentials]);
    const middle = Math.floor(data.length / 2);
    const sent = this.#socket.sendVectoredWithAncillary(
      [data.subarray(0, middle), data.subarray(middle)],
      this.#ancillary,
    );
    this.#ancillary.clear();
    return sent;
  }

  /** What waits; undefined when nothing does. */
  receive(layer: Layer): Piece | undefined {
    return layer === "safe" ? this.#receiveSafe() : this.#receiveThin();
  }

  #receiveSafe(): Piece | undefined {
    const message = receive(this.#socket.fd, { maxBytes: this.#room.length });
    if (message === "would-block" || message === "end") return undefined;
    const { data, fds, credentials, truncated } = message;
    return { data: data.toString("hex"), fds: fds.map(describe), credentials: listOf(credentials), truncated };
  }

  #receiveThin(): Piece | undefined {
    const received = this.#socket.recvVectoredWithAncillary([this.#room], this.#ancillary);
    if (received === "would-block") return undefined;
    const length = typeof received === "number" ? received : received.bytes;
    const fds: Piece["fds"][number][] = [];
    let credentials: SocketCred | undefined;
    for (const message of this.#ancillary.messages()) {
      if (message.kind === "ScmRights") fds.push(...message.fds.map(describe));
      else if (message.kind === "ScmCredentials") [credentials] = message.credentials;
      else throw new Error(`a message of kind ${message.kind} came`);
    }
    const data = this.#room.toString("hex", 0, length);
    return { data, fds, credentials: listOf(credentials), truncated: this.#ancillary.truncated };
  }

  close(): void {
    this.#ancillary.clear();
    this.#socket.close();
  }
}

function listOf(credentials: SocketCred | undefined): Piece["credentials"] {
  return credentials === undefined ? null : [credentials.pid, credentials.uid, credentials.gid];
}

const O_CLOEXEC = 0o2000000;

/** Closes it. */
function describe(fd: OwnedFd): Piece["fds"][number] {
  const { dev, ino } = fd.identity();
  const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd.borrow().number}`, "utf8"))![1]!;
  fd.close();
  return [Number(dev), Number(ino), (Number.parseInt(flags, 8) & O_CLOEXEC) !== 0];
}

/** Both ends; with `passcred` both tell who sent. */
export function openPair(kind: "stream" | "dgram", passcred: boolean): [here: Library, there: OwnedFd] {
  const pair = kind === "stream" ? UnixStream.pair() : UnixDatagram.pair();
  for (const end of pair) end.setPasscred(passcred);
  // What does not come shall fail the test and not stop it.
  pair[0].setNonblocking(true);
  return [new Library(pair[0]), pair[1].fd];
}
