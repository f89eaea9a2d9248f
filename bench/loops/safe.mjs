/** The loops through `send` and `receive`: checked arguments, data of its own for each message, owned descriptors closed with `closeAll`. */
import { openSync } from "node:fs";
import {
  closeAll,
  OwnedFd,
  ownCredentials,
  receive,
  send,
  setSocketOption,
  socketPair,
} from "../../dist/ancillary/index.js";
import { fdsOf, serve } from "./serve.mjs";

function prepare(name) {
  const [sender, receiver] = socketPair("unix");
  const file = OwnedFd.adopt(openSync("/dev/null", "r"));
  const data = Buffer.of(1);
  const fds = Array(fdsOf[name]).fill(file);
  const withCredentials = name === "credentials";
  setSocketOption(receiver, "SO_PASSCRED", withCredentials);
  const message = withCredentials ? { data, credentials: ownCredentials() } : fds.length > 0 ? { data, fds } : { data };
  return { sender, receiver, file, message, fdCount: fds.length, withCredentials };
}

function run({ sender, receiver, message, fdCount, withCredentials }, iterations) {
  for (let i = 0; i < iterations; i++) {
    if (send(sender, message) !== 1) throw new Error("not sent");
    const received = receive(receiver);
    closeAll(received);
    if (received.data.length !== 1 || received.fds.length !== fdCount) throw new Error("something else came");
    if ((received.credentials !== undefined) !== withCredentials) throw new Error("something else came");
  }
}

function close({ sender, receiver, file }) {
  for (const fd of [sender, receiver, file]) fd.close();
}

await serve({ prepare, run, close });
