import type { Socket } from "node:net";
import { readHttpAnswer } from "./http-answer.js";

export type Answer = { readonly status: number } | { readonly found: string } | "nothing";

/** All but the empty line that ends it: no server answers before `endRequest`. */
export function beginRequest(socket: Socket, { path, host }: { readonly path: string; readonly host: string }): void {
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: holdfast-probe\r\nAccept: */*\r\nConnection: close\r\n`,
  );
}

export function endRequest(socket: Socket): void {
  socket.write("\r\n");
}

/** Resolves with the status as soon as it is there; what follows stays unread. Rejects when `signal` is aborted. */
export function readStatus(socket: Socket, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const settle = (finish: () => void): void => {
      socket.off("data", take).off("end", ended).off("close", ended);
      signal.removeEventListener("abort", aborted);
      finish();
    };
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const answer = readHttpAnswer(bytes);
      if (answer.is === "status") settle(() => resolve({ status: answer.status }));
      if (answer.is === "no-http") settle(() => resolve({ found: answer.found }));
    };
    // It may have been closed before anything was asked.
    const ended = (): void =>
      settle(() => resolve(bytes.length === 0 ? "nothing" : { found: bytes.toString("latin1") }));
    const aborted = (): void => settle(() => reject(signal.reason as Error));
    socket.on("data", take).on("end", ended).on("close", ended);
    signal.addEventListener("abort", aborted);
    if (socket.closed) ended();
    if (signal.aborted) aborted();
  });
}
