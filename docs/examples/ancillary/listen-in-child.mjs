// Binds a TCP socket, gives it to a child process, and asks it something. The child accepts; the parent only connects.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, get } from "node:http";
import { fileURLToPath } from "node:url";
import { bind, listen, localAddress, OwnedFd, receiveEach, send, socket, socketPair } from "holdfast/ancillary";

if (process.argv[2] === "child") await child();
else await parent();

async function parent() {
  const web = socket("tcp", "ipv4");
  bind(web, { kind: "ipv4", host: "127.0.0.1", port: 0 });
  listen(web, 511);
  const { port } = localAddress(web);

  const [mine, theirs] = socketPair("unix-seqpacket");
  const worker = spawn(process.execPath, [fileURLToPath(import.meta.url), "child"], {
    stdio: ["ignore", "inherit", "inherit", theirs.borrow().number], // the child's descriptor 3
  });
  const exited = once(worker, "exit");
  theirs.close(); // The child has its own by now. If we kept this one, `mine` would never see the end.
  send(mine, { data: Buffer.from("web"), fds: [web] });
  web.close(); // The message holds the socket, so connections wait in its queue and none is refused.

  const body = await ask(port);
  console.log(body === `hello from ${worker.pid}` ? "the child answered" : `somebody else answered: ${body}`);
  mine.close(); // The child sees the end and stops.
  await exited;
}

async function child() {
  const channel = OwnedFd.adopt(3);
  const servers = [];
  for await (const { data, fds } of receiveEach(channel)) {
    const [listener, ...others] = fds;
    for (const other of others) other.close();
    if (listener === undefined) throw new Error(`no socket came with ${data}`);
    const server = createServer((_request, response) => response.end(`hello from ${process.pid}`));
    server.listen({ fd: listener.release() }); // From here on it is the server's: server.close() closes it.
    servers.push(server);
  }
  channel.close();
  for (const server of servers) server.close();
}

function ask(port) {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, agent: false }, (response) => {
      response.setEncoding("utf8");
      let body = "";
      response.on("data", (text) => {
        body += text;
      });
      response.on("end", () => resolve(body));
    }).on("error", reject);
  });
}
