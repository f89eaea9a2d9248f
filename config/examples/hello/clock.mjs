import { createSocket } from "node:dgram";
import { inheritedDescriptor, tellReady } from "./inherited.mjs";

const socket = createSocket("udp4");

socket.on("message", (message, client) => {
  const text = message.toString("utf8").trim();
  socket.send(`${new Date().toISOString()} process ${process.pid} heard: ${text}\n`, client.port, client.address);
});

socket.bind({ fd: inheritedDescriptor("clock") }, tellReady);
process.once("SIGTERM", () => socket.close());
