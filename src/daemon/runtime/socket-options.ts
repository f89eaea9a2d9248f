import { type OwnedFd, type SocketOptionName, setSocketOption } from "../../ancillary/index.js";
import type { Address, SocketOptions } from "../config/config.js";

/** What the kernel wants to know before bind(2), and what accepted connections inherit. Throws with `syscall: "setsockopt"`. */
export function setOptionsBeforeBind(fd: OwnedFd, address: Address, options: SocketOptions): void {
  const set = (option: SocketOptionName, value: number | boolean | string | undefined): void => {
    if (value !== undefined) setSocketOption(fd, option, value);
  };
  set("SO_MARK", options.mark);
  setBuffer(fd, "SO_RCVBUF", options.receiveBuffer);
  setBuffer(fd, "SO_SNDBUF", options.sendBuffer);
  if (address.kind !== "tcp" && address.kind !== "udp") {
    set("SO_PRIORITY", options.priority);
    if (address.kind !== "fifo") set("SO_PASSCRED", options.passCredentials);
    return;
  }
  const v6 = address.family === "ipv6";
  if (address.kind === "tcp") {
    set("SO_REUSEADDR", true);
    set("SO_KEEPALIVE", options.keepalive);
    set("TCP_NODELAY", options.noDelay);
    set("TCP_DEFER_ACCEPT", options.deferAcceptSeconds);
  }
  set("SO_REUSEPORT", options.reusePort);
  set("SO_BINDTODEVICE", options.bindToDevice);
  if (v6) set("IPV6_V6ONLY", options.ipv6Only);
  set(v6 ? "IPV6_FREEBIND" : "IP_FREEBIND", options.freeBind);
  set(v6 ? "IPV6_TRANSPARENT" : "IP_TRANSPARENT", options.transparent);
  set(v6 ? "IPV6_TCLASS" : "IP_TOS", options.tos);
  set("SO_PRIORITY", options.priority); // After IP_TOS, which sets a priority of its own, ip(7).
  set(v6 ? "IPV6_UNICAST_HOPS" : "IP_TTL", options.ttl);
}

export function setOptionsAfterBind(fd: OwnedFd, address: Address, options: SocketOptions): void {
  if (address.kind === "tcp" && options.fastOpen !== undefined) setSocketOption(fd, "TCP_FASTOPEN", options.fastOpen);
}

/** Past net.core.rmem_max where we may; otherwise the kernel cuts the size without a word, as systemd lets it. */
function setBuffer(fd: OwnedFd, option: "SO_RCVBUF" | "SO_SNDBUF", bytes: number | undefined): void {
  if (bytes === undefined) return;
  try {
    setSocketOption(fd, `${option}FORCE`, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") throw error;
    setSocketOption(fd, option, bytes);
  }
}
