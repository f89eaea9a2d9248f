import { once } from "node:events";
import { createConnection } from "node:net";
import { describeBindingProgram } from "./binding-program.js";
import type { Place } from "./example.js";

/** CONNECT of MQTT 3.1.1: the name of the protocol, its version 4, a clean session, 10 s, the client "t". */
const CONNECT = Buffer.from([0x10, 13, 0, 4, ...Buffer.from("MQTT"), 4, 2, 0, 10, 0, 1, ...Buffer.from("t")]);

/** The answer to CONNECT, in hexadecimal. */
async function connect({ port }: Place): Promise<string> {
  const socket = createConnection(port, "127.0.0.1");
  socket.write(CONNECT);
  const [chunk] = await once(socket, "data");
  socket.destroy();
  return (chunk as Buffer).toString("hex");
}

describeBindingProgram({
  name: "mosquitto",
  debianPackage: "mosquitto",
  executable: "/usr/sbin/mosquitto",
  service: "mqtt",
  port: 1883,
  ask: connect,
  answer: /^20020000$/, // CONNACK, accepted
  rate: 100,
  alone: true,
});
