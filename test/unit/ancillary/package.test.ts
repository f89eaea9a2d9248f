import { execFile, execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../../..");
const program = "program";

/** A folder with the packed library in its node_modules, as npm unpacks it. The addon is copied, which an install would compile. */
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hf-"));
  const installed = join(folder, "node_modules/holdfast");
  mkdirSync(join(installed, "build/Release"), { recursive: true });
  execFileSync("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder], { cwd: root });
  const archive = readdirSync(folder).find((name) => name.endsWith(".tgz"))!;
  execFileSync("tar", ["-xzf", join(folder, archive), "-C", installed, "--strip-components=1"]);
  copyFileSync(join(root, "build/Release/holdfast.node"), join(installed, "build/Release/holdfast.node"));
}, 120_000); // npm takes its time where others want the processor as well.
afterAll(() => rmSync(folder, { recursive: true }));

/** What a program in that folder prints, on both streams: a warning of Node's would show. */
async function runHere(extension: string, text: string, ...flags: string[]): Promise<string> {
  writeFileSync(join(folder, `${program}.${extension}`), text);
  const { stdout, stderr } = await run(process.execPath, [...flags, `${program}.${extension}`], { cwd: folder });
  return `${stdout}${stderr}`.trim();
}

const passOne = `
  const [a, b] = socketPair("unix");
  const file = memfd("file", Buffer.from("content"));
  send(a, { data: Buffer.from("x"), fds: [file] });
  const { fds } = receive(b);
  console.log(readAll(fds[0]).toString());
  // What is not closed may be collected before the end, and reported.
  for (const fd of [a, b, file, ...fds]) fd.close();`;

describe("the packed library", () => {
  test("is imported by an ES module", async () => {
    const text = `import { memfd, readAll, receive, send, socketPair } from "holdfast/ancillary"; ${passOne}`;
    expect(await runHere("mjs", text)).toBe("content");
  });

  test("is required by a CommonJS module, without a warning", async () => {
    const text = `const { memfd, readAll, receive, send, socketPair } = require("holdfast/ancillary"); ${passOne}`;
    expect(await runHere("cjs", text)).toBe("content");
  });

  test("is one library for both, so that their objects fit together", async () => {
    const text = `
      const required = require("holdfast/ancillary");
      import("holdfast/ancillary").then((imported) => {
        const same = Object.keys(imported).filter((name) => imported[name] !== required[name]);
        const [a, b] = imported.socketPair("unix");
        const file = imported.memfd("file", Buffer.from("y"));
        required.send(a, { data: Buffer.from("x"), fds: [file] });
        const { fds } = imported.receive(b);
        console.log(JSON.stringify([same, fds[0] instanceof required.OwnedFd, Object.keys(required).length > 30]));
        for (const fd of [a, b, file, ...fds]) fd.close();
      });`;
    expect(await runHere("cjs", text)).toBe("[[],true,true]");
  });

  test("has the library for workers, one for both kinds of modules", async () => {
    const text = `
      const { serve } = require("holdfast/worker");
      import("holdfast/worker").then(async (imported) => {
        const server = require("node:http").createServer();
        const { retire } = await serve(server, { listen: { port: 0, host: "127.0.0.1" }, exit: false });
        console.log(imported.serve === serve, server.listening, Object.keys(imported).sort().join());
        await retire();
      });`;
    const names = "WorkerError,adopt,leave,onRetire,ready,serve,status,takeSockets";
    expect(await runHere("cjs", text)).toBe(`true true ${names}`);
  });

  test("works in worker threads, several at once", async () => {
    const text = `
      import { isMainThread, parentPort, Worker } from "node:worker_threads";
      import { memfd, readAll, receive, send, socketPair } from "holdfast/ancillary";
      if (isMainThread) {
        const threads = [1, 2, 3].map(() => new Worker(new URL(import.meta.url)));
        const answers = threads.map((thread) => new Promise((resolve, reject) => thread.once("message", resolve).once("error", reject)));
        console.log((await Promise.all(answers)).join());
      } else {
        ${passOne.replace("console.log(", "parentPort.postMessage(")}
      }`;
    expect(await runHere("mjs", text)).toBe("content,content,content");
  });

  test("has types for both kinds of modules", async () => {
    const use = "const [a] = socketPair('unix'); const fd: OwnedFd = a; send(fd, { data: new Uint8Array(1) });";
    const wrong = "\n// @ts-expect-error a number is no descriptor\nsend(3, { data: new Uint8Array(1) });";
    const imported = 'import { type OwnedFd, send, socketPair } from "holdfast/ancillary";\n';
    writeFileSync(join(folder, "types.mts"), `${imported}${use}${wrong}\nexport {};`);
    writeFileSync(join(folder, "types.cts"), `${imported}${use}${wrong}\nexport {};`);
    const required = 'import library = require("holdfast/ancillary");\nconst { send, socketPair } = library;\n';
    writeFileSync(
      join(folder, "required.cts"),
      `${required}type OwnedFd = library.OwnedFd;\n${use}${wrong}\nexport {};`,
    );
    const options =
      "--ignoreConfig --noEmit --strict --target es2022 --module nodenext --types node --lib es2023,esnext.disposable";
    const args = [...options.split(" "), "--typeRoots", join(root, "node_modules/@types")];
    const files = ["types.mts", "types.cts", "required.cts"];
    const { stdout } = await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), ...args, ...files], {
      cwd: folder,
    }).catch((error: { stdout: string }) => error);
    expect(stdout).toBe("");
  });

  test("exports nothing else", async () => {
    const text = `import("holdfast/dist/ancillary/native.js").catch((error) => console.log(error.code));`;
    expect(await runHere("cjs", text)).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });

  test("says what to run where the addon was not built or cannot be loaded", async () => {
    const addon = join(folder, "node_modules/holdfast/build/Release/holdfast.node");
    const text = `import("holdfast/ancillary").catch(({ code, message }) => console.log(JSON.stringify([code, message])));`;
    const builder = join(realpathSync(folder), "node_modules/holdfast/scripts/build-native.mjs");
    const wanted = [
      [`Holdfast's native part is not built; run: node "${builder}"`, () => rmSync(addon)],
      [`Holdfast's native part cannot be loaded; run: node "${builder}" --force`, () => writeFileSync(addon, "?")],
    ] as const;
    try {
      for (const [sentence, spoil] of wanted) {
        spoil();
        expect(JSON.parse(await runHere("cjs", text))).toEqual(["ERR_NATIVE_UNAVAILABLE", sentence]);
      }
      expect(existsSync(builder)).toBe(true);
    } finally {
      copyFileSync(join(root, "build/Release/holdfast.node"), addon);
    }
  });

  test("brings what an install compiles the addon from, and no tests", () => {
    const installed = join(folder, "node_modules/holdfast");
    const needed = ["binding.gyp", "scripts/build-native.mjs", "native/addon/addon.cc", "native/sys/control.h"];
    expect(needed.filter((path) => !existsSync(join(installed, path)))).toEqual([]);
    expect(existsSync(join(installed, "test"))).toBe(false);
  });
});
