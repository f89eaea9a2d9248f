import type { OwnedFd } from "./owned-fd.js";
import { localAddress, setNonblocking } from "./socket.js";
import type { SocketAddress } from "./socket-address.js";
import { getSocketOption, setSocketOption } from "./socket-option.js";

/** What `UnixStream`, `UnixDatagram` and `UnixListener` have in common; Rust repeats it in each. Owns its descriptor. */
export abstract class UnixSocket implements Disposable {
  readonly fd: OwnedFd;

  protected constructor(fd: OwnedFd) {
    this.fd = fd;
  }

  /**
   * Rust: `set_passcred`, which listeners do not have. SO_PASSCRED: every message brings its sender's credentials. Set it before the sender sends: on a
   * listener, whose connections begin with it, before it listens; on a datagram socket before anybody knows its name.
   */
  setPasscred(on: boolean): void {
    setSocketOption(this.fd, "SO_PASSCRED", on);
  }

  /** Rust: `passcred`, which listeners do not have. */
  passcred(): boolean {
    return getSocketOption(this.fd, "SO_PASSCRED") !== 0;
  }

  /** Rust: `set_nonblocking`. As there, every process that shares the socket sees the change. */
  setNonblocking(on: boolean): void {
    setNonblocking(this.fd, on);
  }

  /** Rust: `local_addr`. */
  localAddress(): SocketAddress {
    return localAddress(this.fd);
  }

  /** Rust: `drop`. */
  close(): void {
    this.fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
