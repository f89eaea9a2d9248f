import { once } from "node:events";
import { createConnection } from "node:net";
import { describeBindingProgram } from "./binding-program.js";
import type { Place } from "./example.js";

/** One inline command of the Redis protocol. */
async function ping({ port }: Place): Promise<string> {
  const socket = createConnection(port, "127.0.0.1");
  socket.write("PING\r\n");
  const [chunk] = await once(socket, "data");
  socket.destroy();
  return String(chunk);
}

describeBindingProgram({
  name: "redis-server",
  debianPackage: "redis-server",
  executable: "/usr/bin/redis-server",
  service: "redis",
  port: 6379,
  ask: ping,
  answer: /^\+PONG\r\n$/,
  rate: 100,
  status: /Ready to accept connections/,
  alone: true,
});
