import type { OwnedFd } from "./owned-fd.js";
import { assertOpen, bind, connect, socket, socketPair } from "./socket.js";
import type { SocketAddress } from "./socket-address.js";
import type { SocketAncillary } from "./socket-ancillary.js";
import { getSocketOption, setSocketOption } from "./socket-option.js";
import { type Buffers, receiveVectored, sendVectored, type VectoredReception, type WouldBlock } from "./vectored-io.js";

/** A unix datagram socket, as Rust's `std::os::unix::net::UnixDatagram`. It blocks unless it was made non-blocking. Owns its descriptor. */
export class UnixDatagram implements Disposable {
  readonly fd: OwnedFd;

  private constructor(fd: OwnedFd) {
    this.fd = fd;
  }

  /** Takes ownership. */
  static adopt(fd: OwnedFd): UnixDatagram {
    assertOpen(fd);
    return new UnixDatagram(fd);
  }

  static pair(): [UnixDatagram, UnixDatagram] {
    const [first, second] = socketPair("unix-dgram");
    return [new UnixDatagram(first), new UnixDatagram(second)];
  }

  /** A socket without a name. */
  static unbound(): UnixDatagram {
    return new UnixDatagram(socket("unix-dgram", "unix"));
  }

  /** `path`: a path, "@" and an abstract name, or "" for a name that the kernel chooses. */
  static bind(path: string): UnixDatagram {
    const fd = socket("unix-dgram", "unix");
    try {
      bind(fd, { kind: "unix", path });
      return new UnixDatagram(fd);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** Where `sendVectoredWithAncillary` sends to. */
  connect(path: string): void {
    connect(this.fd, { kind: "unix", path });
  }

  sendVectoredWithAncillary(buffers: Buffers, ancillary?: SocketAncillary): number | WouldBlock {
    return sendVectored(this.fd, buffers, { ancillary, isStream: false });
  }

  sendVectoredWithAncillaryTo(
    buffers: Buffers,
    ancillary: SocketAncillary | undefined,
    path: string,
  ): number | WouldBlock {
    const to: SocketAddress = { kind: "unix", path };
    return sendVectored(this.fd, buffers, { ancillary, to, isStream: false });
  }

  /** `dataTruncated`: the datagram was longer than the buffers. */
  recvVectoredWithAncillary(buffers: Buffers, ancillary?: SocketAncillary): VectoredReception | WouldBlock {
    return receiveVectored(this.fd, buffers, { ancillary, isStream: false });
  }

  /** The same, under the name that Rust gives to the call that tells the sender: both tell it here. `from` is absent for a sender without a name. */
  recvVectoredWithAncillaryFrom(buffers: Buffers, ancillary?: SocketAncillary): VectoredReception | WouldBlock {
    return this.recvVectoredWithAncillary(buffers, ancillary);
  }

  /** SO_PASSCRED: every message brings its sender's credentials. Set it before anything is sent. */
  setPasscred(on: boolean): void {
    setSocketOption(this.fd, "SO_PASSCRED", on);
  }

  passcred(): boolean {
    return getSocketOption(this.fd, "SO_PASSCRED") !== 0;
  }

  close(): void {
    this.fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
