// A server that uses the worker library: ready, drain, handing idle connections over are its business.
import { createServer } from "node:http";
import { serve } from "../../dist/worker/index.js";

const server = createServer((request, response) => {
  const answer = () => response.end(`node ${process.pid} ${request.url}\n`);
  const slow = /^\/slow\/(\d+)/.exec(request.url);
  if (slow === null) answer();
  else setTimeout(answer, Number(slow[1]));
});
await serve(server);
