// A broken new version: it serves, but says of itself that it is not well.
import { createServer } from "node:http";

createServer((request, response) => {
  if (request.url === "/health") response.statusCode = 503;
  response.end(`node ${process.pid} ${request.url}\n`);
}).listen({ fd: 3 });
