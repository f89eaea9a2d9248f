// What stands behind a proxy that is restarted. `node upstream.mjs PATH`: a unix socket, which also nginx workers of another user may use.
import { createServer } from "node:http";

createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  const answer = () => response.end(`upstream ${process.pid} ${request.url}\n`);
  const slow = /^\/slow\/(\d+)/.exec(request.url);
  if (slow === null) answer();
  else setTimeout(answer, Number(slow[1]));
}).listen({ path: process.argv[2], writableAll: true, backlog: 4096 });
