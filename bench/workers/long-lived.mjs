// Connections that stay, with a count that both sides keep. It knows no Holdfast: its connections end with it.
import { createServer } from "node:net";
import { Counted } from "../lib/counted.mjs";

createServer({ noDelay: true }, (socket) => new Counted(socket)).listen({ fd: 3 });
