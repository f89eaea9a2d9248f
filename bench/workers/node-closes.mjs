// What most applications have: the signal closes the server, which serves what is in flight and closes idle connections. It knows no Holdfast.
import { createServer } from "node:http";

const port = process.env.BENCH_PORT; // For peers that hold no socket.
const server = createServer((request, response) => {
  const answer = () => response.end(`node ${process.pid} ${request.url}\n`);
  const slow = /^\/slow\/(\d+)/.exec(request.url);
  if (slow === null) answer();
  else setTimeout(answer, Number(slow[1]));
});
server.listen(
  port === undefined ? { fd: Number(process.env.BENCH_FD ?? 3) } : { host: "127.0.0.1", port: Number(port) },
);
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => server.close(() => process.exit()));
