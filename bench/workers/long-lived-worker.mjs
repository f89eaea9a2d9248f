// Connections that stay, with a count that both sides keep, and that go to the next version of this program with that count.
import { createServer } from "node:net";
import { adopt, leave, onRetire, serve } from "../../dist/worker/index.js";
import { Counted } from "../lib/counted.mjs";

const connections = new Map();

function talk(socket, position) {
  connections.set(socket, new Counted(socket, position));
  socket.on("close", () => connections.delete(socket));
}

async function giveAway(socket, { position }) {
  const left = await leave(socket, String(position));
  if (left.outcome === "kept") talk(left.connection, position);
}

adopt((socket, state) => talk(socket, Number(state)));
onRetire(() => Promise.all([...connections].map(([socket, counted]) => giveAway(socket, counted))));
await serve(createServer({ noDelay: true }, (socket) => talk(socket, 0)));
