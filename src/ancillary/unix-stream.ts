import type { OwnedFd } from "./owned-fd.js";
import { assertOpen, connect, type PeerCredentials, peerCredentials, socket, socketPair } from "./socket.js";
import type { SocketAncillary } from "./socket-ancillary.js";
import { getSocketOption, setSocketOption } from "./socket-option.js";
import { type Buffers, receiveVectored, sendVectored, type WouldBlock } from "./vectored-io.js";

/** A connected unix stream socket, as Rust's `std::os::unix::net::UnixStream`. It blocks unless it was made non-blocking. Owns its descriptor. */
export class UnixStream implements Disposable {
  readonly fd: OwnedFd;

  private constructor(fd: OwnedFd) {
    this.fd = fd;
  }

  /** Takes ownership. */
  static adopt(fd: OwnedFd): UnixStream {
    assertOpen(fd);
    return new UnixStream(fd);
  }

  static pair(): [UnixStream, UnixStream] {
    const [first, second] = socketPair("unix");
    return [new UnixStream(first), new UnixStream(second)];
  }

  /** `path`: a path, or "@" and an abstract name. */
  static connect(path: string): UnixStream {
    const fd = socket("unix", "unix");
    try {
      connect(fd, { kind: "unix", path });
      return new UnixStream(fd);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** How many bytes went out: perhaps not all, and the control messages went with the first. Use `sendAllWithAncillary` unless that is handled. */
  sendVectoredWithAncillary(buffers: Buffers, ancillary?: SocketAncillary): number | WouldBlock {
    return sendVectored(this.fd, buffers, { ancillary, isStream: true });
  }

  /** Sends everything; control messages go with the first bytes and are cleared then, so they cannot go twice. Bytes sent before the socket was full, for one that does not block. */
  sendAllWithAncillary(data: Uint8Array, ancillary?: SocketAncillary): number {
    let sent = 0;
    while (sent < data.byteLength) {
      const n = this.sendVectoredWithAncillary([data.subarray(sent)], sent === 0 ? ancillary : undefined);
      if (n === "would-block") break;
      if (sent === 0) ancillary?.clear();
      sent += n;
    }
    return sent;
  }

  /** How many bytes came; 0 at the end. Control messages are cut to the ancillary's capacity: look at `truncated`. */
  recvVectoredWithAncillary(buffers: Buffers, ancillary?: SocketAncillary): number | WouldBlock {
    const reception = receiveVectored(this.fd, buffers, { ancillary, isStream: true });
    return reception === "would-block" ? reception : reception.bytes;
  }

  /** SO_PASSCRED: every message brings its sender's credentials. Set it before the sender sends, best on the listener. */
  setPasscred(on: boolean): void {
    setSocketOption(this.fd, "SO_PASSCRED", on);
  }

  passcred(): boolean {
    return getSocketOption(this.fd, "SO_PASSCRED") !== 0;
  }

  peerCred(): PeerCredentials {
    return peerCredentials(this.fd);
  }

  close(): void {
    this.fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
