/** The loops through `send` and `receive`: checked arguments, data of its own for each message, owned descriptors, closed with `closeAll`. */
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

await serve((name) => {
  const [sender, receiver] = socketPair("unix");
  const file = OwnedFd.adopt(openSync("/dev/null", "r"));
  const data = Buffer.of(1);
  const fds = Array(fdsOf[name]).fill(file);
  const withCredentials = name === "credentials";
  setSocketOption(receiver, "SO_PASSCRED", withCredentials);
  const message = withCredentials ? { data, credentials: ownCredentials() } : fds.length > 0 ? { data, fds } : { data };
  return {
    run(iterations) {
      for (let i = 0; i < iterations; i++) {
        if (send(sender, message) !== 1) throw new Error("not sent");
        const received = receive(receiver);
        closeAll(received);
        if (received.data.length !== 1 || received.fds.length !== fds.length) throw new Error("something else came");
        if ((received.credentials !== undefined) !== withCredentials) throw new Error("something else came");
      }
    },
    close() {
      for (const fd of [sender, receiver, file]) fd.close();
    },
  };
});
