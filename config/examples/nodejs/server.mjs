// As in any tutorial but for the descriptor: it tells nobody that it is ready, and knows no Holdfast.
import { createServer } from "node:http";

const server = createServer((_request, response) => response.end(`node ${process.pid}\n`));
server.listen({ fd: 3 });
process.once("SIGTERM", () => server.close());
