// As in any tutorial but for the descriptor. No signal handler: it dies at once on SIGTERM. It knows no Holdfast.
import { createServer } from "node:http";

const port = process.env.BENCH_PORT; // For peers that hold no socket.
createServer((request, response) => {
  const answer = () => response.end(`node ${process.pid} ${request.url}\n`);
  const slow = /^\/slow\/(\d+)/.exec(request.url);
  if (slow === null) answer();
  else setTimeout(answer, Number(slow[1]));
}).listen(port === undefined ? { fd: Number(process.env.BENCH_FD ?? 3) } : { host: "127.0.0.1", port: Number(port) });
