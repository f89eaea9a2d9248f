import type { OwnedFd } from "./owned-fd.js";
import { accept, assertOpen, bind, listen, localAddress, socket } from "./socket.js";
import type { SocketAddress } from "./socket-address.js";
import { getSocketOption, setSocketOption } from "./socket-option.js";
import { UnixStream } from "./unix-stream.js";
import type { WouldBlock } from "./vectored-io.js";

/** What Rust's `UnixListener::bind` asks for; the kernel cuts it to net.core.somaxconn. */
const defaultBacklog = 4096;

/** A listening unix stream socket, as Rust's `std::os::unix::net::UnixListener`. Owns its descriptor; a path that it made stays when it is closed. */
export class UnixListener implements Disposable {
  readonly fd: OwnedFd;

  private constructor(fd: OwnedFd) {
    this.fd = fd;
  }

  /** Takes ownership. */
  static adopt(fd: OwnedFd): UnixListener {
    assertOpen(fd);
    return new UnixListener(fd);
  }

  /** `path`: a path, "@" and an abstract name, or "" for a name that the kernel chooses. */
  static bind(path: string, backlog = defaultBacklog): UnixListener {
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

  /** The next connection, or "would-block"; it does not wait. */
  accept(): UnixStream | WouldBlock {
    const connection = accept(this.fd);
    return connection === "would-block" ? connection : UnixStream.adopt(connection);
  }

  localAddress(): SocketAddress {
    return localAddress(this.fd);
  }

  /** SO_PASSCRED, which accepted connections inherit: set here, no message can arrive before it is on. */
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
