import type { Socket } from "node:net";

/** Connections that came over the channel, or came back, as far as they are open. No server knows them. */
const open = new Set<Socket>();

export function trackAdopted(connection: Socket): void {
  open.add(connection);
  connection.once("close", () => open.delete(connection));
}

/** Resolves once there is none; at the deadline they are closed. */
export async function adoptedEnded(deadlineMs: number): Promise<void> {
  const late = setTimeout(() => {
    for (const connection of open) connection.destroy();
  }, deadlineMs);
  while (open.size > 0) {
    const [connection] = open;
    await new Promise<void>((resolve) => connection?.once("close", resolve));
  }
  clearTimeout(late);
}
