// A broken new version: it works, but on a port of its own instead of the descriptor that it was given.
import { createServer } from "node:http";

createServer((request, response) => response.end(`wrong ${process.pid} ${request.url}\n`)).listen(0, "127.0.0.1");
