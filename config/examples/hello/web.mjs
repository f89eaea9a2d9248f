import { createServer } from "node:http";
import { hostname } from "node:os";
import { inheritedDescriptor, tellReady } from "./inherited.mjs";

let served = 0;

const server = createServer((_request, response) => {
  served += 1;
  response.setHeader("content-type", "text/plain; charset=utf-8");
  if (!server.listening) response.setHeader("connection", "close"); // Retiring: the client's next request is for the successor.
  response.end(`Hello from process ${process.pid} on ${hostname()}, which has served ${served} so far\n`);
});

server.listen({ fd: inheritedDescriptor("web") }, tellReady);

// close() lets the requests in hand finish; the process then ends by itself, because nothing keeps it.
process.once("SIGTERM", () => server.close());
