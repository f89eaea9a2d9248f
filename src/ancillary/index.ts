export { AncillaryError, type AncillaryErrorCode } from "./ancillary-error.js";
export type {
  AddedMessage,
  AncillaryMessage,
  ScmCredentials,
  ScmPidfd,
  ScmRights,
  ScmSecurity,
} from "./ancillary-message.js";
export { FdWatcher, type Readiness } from "./fd-watcher.js";
export { makeFifo, memfd, openFifo, pipe, read, readAll } from "./file.js";
export { HangUpWatch, sameFile } from "./hang-up-watch.js";
export { type KernelFeature, kernelOffers } from "./kernel-feature.js";
export type { AncillaryWarningCode } from "./leak-report.js";
export { listenFdsEnvironment, takeListenFds } from "./listen-fds.js";
export {
  closeAll,
  type OutgoingMessage,
  type ReceivedMessage,
  type ReceiveOptions,
  type Reception,
  receive,
  send,
  type UnknownMessage,
} from "./message.js";
export { receiveEach } from "./message-stream.js";
export { type NotifyDropReason, type NotifyMessage, NotifySocket, notify } from "./notify-socket.js";
export { type BorrowedFd, duplicate, type Fd, OwnedFd } from "./owned-fd.js";
export { type PeerCredentials, peerCredentials, peerGroups, peerPidfd } from "./peer.js";
export { descriptorOf, openPidfd, sendSignal } from "./pidfd.js";
export { becomeSubreaper, replaceProcess } from "./process.js";
export { SeqpacketChannel, type SeqpacketChannelOptions } from "./seqpacket-channel.js";
export {
  accept,
  bind,
  connect,
  listen,
  localAddress,
  pollReadable,
  remoteAddress,
  type SocketKind,
  setCloseOnExec,
  setNonblocking,
  shutdown,
  socket,
  socketPair,
} from "./socket.js";
export type { SocketAddress } from "./socket-address.js";
export { SocketAncillary } from "./socket-ancillary.js";
export { ownCredentials, type SocketCred } from "./socket-cred.js";
export {
  dumpInternetSockets,
  dumpUnixSockets,
  findInternetSocket,
  findUnixSocket,
  type InternetSocketInfo,
  type InternetSocketQuery,
  type InternetSocketTable,
  openSocketInodes,
  type SocketState,
  type UnixSocketInfo,
  type UnixSocketTable,
} from "./socket-diag.js";
export {
  attachReuseportFilter,
  getSocketOption,
  type SocketOptionName,
  setSocketOption,
} from "./socket-option.js";
export { UnixDatagram } from "./unix-datagram.js";
export { UnixListener } from "./unix-listener.js";
export { UnixStream } from "./unix-stream.js";
export type { Buffers, VectoredReception, WouldBlock } from "./vectored-io.js";
