import { once } from "node:events";
import { createConnection } from "node:net";
import { join } from "node:path";
import type { Place } from "./example.js";
import { describeRealProgram } from "./real-program.js";

/** One byte of operation (3 = a random UUID); the answer is its length (4 bytes) and the UUID (16). See uuidd(8) and uuidd.h of util-linux. */
const RANDOM_UUID = 3;
const ANSWER_BYTES = 20;

async function askUuid({ directory }: Place): Promise<string> {
  const socket = createConnection(join(directory, "uuidd/request"));
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.write(Buffer.of(RANDOM_UUID));
  await once(socket, "close"); // Rejects with the error of the socket, if there is one.
  const answer = Buffer.concat(chunks);
  if (answer.length !== ANSWER_BYTES) throw new Error(`${answer.length} bytes instead of ${ANSWER_BYTES}`);
  return answer.subarray(4).toString("hex");
}

describeRealProgram({
  name: "uuidd",
  debianPackage: "uuid-runtime",
  executable: "/usr/sbin/uuidd",
  service: "uuid",
  ask: askUuid,
  answer: /^[0-9a-f]{12}4[0-9a-f]{19}$/,
  rate: 100,
});
