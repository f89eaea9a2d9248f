import type { OwnedFd } from "./owned-fd.js";
import { type PeerCredentials, peerCredentials } from "./peer.js";
import { connect, remoteAddress, socket, socketPair } from "./socket.js";
import type { SocketAddress } from "./socket-address.js";
import type { SocketAncillary } from "./socket-ancillary.js";
import { socketType } from "./socket-option.js";
import { UnixSocket } from "./unix-socket.js";
import { assertUnixSocket, type Buffers, receiveOnStream, sendOnStream, type WouldBlock } from "./vectored-io.js";

/** Rust: `std::os::unix::net::UnixStream`. A connected unix stream socket; it blocks unless it was made non-blocking. Owns its descriptor. */
export class UnixStream extends UnixSocket {
  /** Rust: `From<OwnedFd>`, which takes any descriptor. Takes ownership. Throws TypeError unless it is a unix stream socket, ERR_FD_CLOSED. */
  static adopt(fd: OwnedFd): UnixStream {
    assertUnixSocket(fd, socketType.stream);
    return new UnixStream(fd);
  }

  /** Rust: `UnixStream::pair`. */
  static pair(): [UnixStream, UnixStream] {
    const [first, second] = socketPair("unix");
    return [new UnixStream(first), new UnixStream(second)];
  }

  /** Rust: `UnixStream::connect` and, for abstract names, `connect_addr`. `path`: a path, or "@" and an abstract name. */
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

  /**
   * Rust: `send_vectored_with_ancillary`. How many bytes went out: perhaps not all, and then the ancillary is empty, because its messages went with
   * the first byte (in Rust they stay, and go again with the rest). Use `sendAllWithAncillary` unless that is handled. It differs further: no data at all throws RangeError (the kernel would drop
   * the descriptors), and more than 1024 buffers are a short write, not EMSGSIZE.
   */
  sendVectoredWithAncillary(buffers: Buffers, ancillary?: SocketAncillary): number | WouldBlock {
    return sendOnStream(this.fd, buffers, ancillary);
  }

  /**
   * Rust has none. Sends everything; control messages go with the first bytes and are cleared then, so they cannot go twice. Returns the bytes
   * sent before the socket was full, for one that does not block.
   */
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

  /**
   * Rust: `recv_vectored_with_ancillary`. How many bytes came; 0 at the end. Control messages are cut to the ancillary's capacity: look at
   * `truncated`. Unlike Rust, buffers without room throw RangeError: the kernel would take descriptors away and answer 0 as at the end.
   */
  recvVectoredWithAncillary(buffers: Buffers, ancillary?: SocketAncillary): number | WouldBlock {
    return receiveOnStream(this.fd, buffers, ancillary);
  }

  /** Rust: `peer_cred`, whose pid is an Option: here it is 0 where the kernel knows none. */
  peerCred(): PeerCredentials {
    return peerCredentials(this.fd);
  }

  /** Rust: `peer_addr`. */
  remoteAddress(): SocketAddress {
    return remoteAddress(this.fd);
  }
}
