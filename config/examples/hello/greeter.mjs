import { createServer } from "node:http";
import { inheritedDescriptor, tellReady } from "./inherited.mjs";

const greeting = process.env.GREETING ?? "Hello";

const server = createServer((_request, response) => {
  response.setHeader("content-type", "text/plain; charset=utf-8");
  if (!server.listening) response.setHeader("connection", "close"); // Retiring, as in web.mjs.
  response.end(`${greeting} from process ${process.pid}, over a unix socket\n`);
});

server.listen({ fd: inheritedDescriptor("greeter") }, tellReady);
process.once("SIGTERM", () => server.close());
