/** For programs that Holdfast runs; without a supervisor, or under systemd, they are plain servers. */
export type { InheritedSocket } from "./inherited-sockets.js";
export { type Adopted, adopt, type LeaveOptions, type Left, leave } from "./leave.js";
export type { Retirement } from "./retirement.js";
export { onRetire, type Served, type ServeOptions, serve } from "./serve.js";
export { ready, status, type TakeSocketsOptions, takeSockets } from "./take-sockets.js";
export { WorkerError, type WorkerErrorCode } from "./worker-error.js";
