// Answers every line with its number, its length and our pid. Connections survive a new version of this program: they go to the successor.
import { createServer } from "node:net";
import { adopt, leave, onRetire, serve } from "holdfast/worker";

/** What a successor has to know of each connection: how many lines there were, and the one that has begun. */
const states = new Map();

function talk(connection, state) {
  states.set(connection, state);
  connection.on("data", (bytes) => {
    const lines = (state.partial + bytes.toString("latin1")).split("\n");
    state.partial = lines.pop();
    for (const line of lines) connection.write(`${++state.count} ${line.length} ${process.pid}\n`);
  });
  connection.on("error", () => {}); // "close" follows.
  connection.on("close", () => states.delete(connection));
}

async function giveAway(connection, state) {
  const left = await leave(connection, JSON.stringify(state), { kind: "lines" });
  if (left.outcome === "kept") talk(left.connection, state); // No successor takes it: it is served to its end here.
}

adopt((connection, state) => talk(connection, JSON.parse(state.toString())), { kind: "lines" });
onRetire(() => Promise.all([...states].map(([connection, state]) => giveAway(connection, state))));
await serve(
  createServer((connection) => talk(connection, { count: 0, partial: "" })),
  { deadlineMs: 10_000 },
);
