import type { OwnedFd } from "./owned-fd.js";
import { accept, bind, listen, socket } from "./socket.js";
import { socketType } from "./socket-option.js";
import { UnixSocket } from "./unix-socket.js";
import { UnixStream } from "./unix-stream.js";
import { assertUnixSocket, type WouldBlock } from "./vectored-io.js";

/** What Rust's `UnixListener::bind` asks for; the kernel cuts it to net.core.somaxconn. */
const defaultBacklog = 4096;

/** Rust: `std::os::unix::net::UnixListener`. A listening unix stream socket. Owns its descriptor; a path that it made stays when it is closed. */
export class UnixListener extends UnixSocket {
  /** Rust: `From<OwnedFd>`, which takes any descriptor. Takes ownership. Throws TypeError unless it is a unix stream socket, ERR_FD_CLOSED. */
  static adopt(fd: OwnedFd): UnixListener {
    assertUnixSocket(fd, socketType.stream);
    return new UnixListener(fd);
  }

  /** Rust: `UnixListener::bind` and, for abstract names, `bind_addr`; the backlog is fixed there. `path`: a path, "@" and an abstract name, or "" for a name that the kernel chooses. */
  static override bind(path: string, backlog = defaultBacklog): UnixListener {
    const fd = socket("unix", "unix");
    try {
      bind(fd, { kind: "unix", path });
      listen(fd, backlog);
      return new UnixListener(fd);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** Rust: `accept`, which waits and gives the address as well. The next connection, or "would-block"; it does not wait, whether the socket is non-blocking or not. */
  accept(): UnixStream | WouldBlock {
    const connection = accept(this.fd);
    return connection === "would-block" ? connection : UnixStream.adopt(connection);
  }
}
