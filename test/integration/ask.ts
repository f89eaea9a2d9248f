import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createConnection, type NetConnectOpts } from "node:net";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { fixture } from "./fixture.js";

/** A stream connection that says nothing: what came until the other side closed it. Rejects when it is refused or reset. */
export async function ask(to: NetConnectOpts): Promise<string> {
  return text(createConnection(to));
}

/** A connection that was accepted by the kernel; whether a worker takes it is another question. */
export async function connect(to: NetConnectOpts): Promise<{ answer: Promise<string> }> {
  const socket = createConnection(to);
  await once(socket, "connect");
  const answer = text(socket);
  answer.catch(() => {}); // A test may leave it in the queue; who looks at the answer still gets the error.
  return { answer };
}

export async function askUdp(port: number, host = "127.0.0.1"): Promise<string> {
  const client = createSocket(host.includes(":") ? "udp6" : "udp4");
  try {
    client.send("hello\n", port, host);
    const [answer] = await once(client, "message");
    return String(answer);
  } finally {
    client.close();
  }
}

/** Unix sockets that Node has no client for: messages, and abstract names (written `@NAME`). */
export async function askUnix(kind: "unix" | "unix-dgram" | "unix-seqpacket", address: string): Promise<string> {
  const [program, ...args] = fixture("asks", kind, address);
  const { stdout } = await promisify(execFile)(program!, args, { timeout: 10_000 });
  return stdout;
}
