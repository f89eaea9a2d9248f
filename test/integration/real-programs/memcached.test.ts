import { once } from "node:events";
import { createConnection } from "node:net";
import { describeBindingProgram } from "./binding-program.js";
import type { Place } from "./example.js";

async function askVersion({ port }: Place): Promise<string> {
  const socket = createConnection(port, "127.0.0.1");
  socket.write("version\r\n");
  const [chunk] = await once(socket, "data");
  socket.destroy();
  return String(chunk);
}

describeBindingProgram({
  name: "memcached",
  debianPackage: "memcached",
  executable: "/usr/bin/memcached",
  service: "cache",
  port: 11_211,
  ask: askVersion,
  answer: /^VERSION \d/,
  rate: 100,
  alone: true,
});
