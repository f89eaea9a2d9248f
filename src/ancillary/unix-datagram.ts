import type { OwnedFd } from "./owned-fd.js";
import { type PeerCredentials, peerCredentials } from "./peer.js";
import { bind, connect, remoteAddress, socket, socketPair } from "./socket.js";
import type { SocketAddress } from "./socket-address.js";
import type { SocketAncillary } from "./socket-ancillary.js";
import { socketType } from "./socket-option.js";
import { UnixSocket } from "./unix-socket.js";
import {
  assertUnixSocket,
  type Buffers,
  receiveDatagram,
  sendDatagram,
  type VectoredReception,
  type WouldBlock,
} from "./vectored-io.js";

/** Rust: `std::os::unix::net::UnixDatagram`. A unix datagram socket; it blocks unless it was made non-blocking. Owns its descriptor. */
export class UnixDatagram extends UnixSocket {
  /** Rust: `From<OwnedFd>`, which takes any descriptor. Takes ownership. Throws TypeError unless it is a unix datagram socket, ERR_FD_CLOSED. */
  static adopt(fd: OwnedFd): UnixDatagram {
    assertUnixSocket(fd, socketType.datagram);
    return new UnixDatagram(fd);
  }

  /** Rust: `UnixDatagram::pair`. */
  static pair(): [UnixDatagram, UnixDatagram] {
    const [first, second] = socketPair("unix-dgram");
    return [new UnixDatagram(first), new UnixDatagram(second)];
  }

  /** Rust: `UnixDatagram::unbound`. A socket without a name. */
  static unbound(): UnixDatagram {
    return new UnixDatagram(socket("unix-dgram", "unix"));
  }

  /** Rust: `UnixDatagram::bind` and, for abstract names, `bind_addr`. `path`: a path, "@" and an abstract name, or "" for a name that the kernel chooses. */
  static override bind(path: string): UnixDatagram {
    const fd = socket("unix-dgram", "unix");
    try {
      bind(fd, { kind: "unix", path });
      return new UnixDatagram(fd);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** Rust: `connect` and `connect_addr`. Where `sendVectoredWithAncillary` sends to, and the only sender that is heard from then on. */
  connect(path: string): void {
    connect(this.fd, { kind: "unix", path });
  }

  /** Rust: `send_vectored_with_ancillary`. How many bytes went out: all, or none. */
  sendVectoredWithAncillary(buffers: Buffers, ancillary?: SocketAncillary): number | WouldBlock {
    return sendDatagram(this.fd, buffers, { ancillary });
  }

  /** Rust: `send_vectored_with_ancillary_to`, which takes paths only. A name that is too long throws RangeError. */
  sendVectoredWithAncillaryTo(
    buffers: Buffers,
    ancillary: SocketAncillary | undefined,
    path: string,
  ): number | WouldBlock {
    const to: SocketAddress = { kind: "unix", path };
    return sendDatagram(this.fd, buffers, { ancillary, to });
  }

  /** Rust: `recv_vectored_with_ancillary`. `dataTruncated`: the datagram was longer than the buffers. */
  recvVectoredWithAncillary(buffers: Buffers, ancillary?: SocketAncillary): VectoredReception | WouldBlock {
    return receiveDatagram(this.fd, buffers, ancillary);
  }

  /** Rust: `recv_vectored_with_ancillary_from`, the call that tells the sender: here both do. `from` is absent for a sender without a name. */
  recvVectoredWithAncillaryFrom(buffers: Buffers, ancillary?: SocketAncillary): VectoredReception | WouldBlock {
    return this.recvVectoredWithAncillary(buffers, ancillary);
  }

  /** Rust has none for datagrams. Who made the pair; a socket that was connected by name has no peer in this sense (pid 0). */
  peerCred(): PeerCredentials {
    return peerCredentials(this.fd);
  }

  /** Rust: `peer_addr`. Throws ENOTCONN. */
  remoteAddress(): SocketAddress {
    return remoteAddress(this.fd);
  }
}
