import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { descendants, isAlive, processesIn, readProcess } from "./proc.mjs";
import { root } from "./programs.mjs";
import { until } from "./until.mjs";

export const command = join(root, "bin/holdfast");

/** Text that is kept of what a supervisor prints, in characters: enough to explain a failure. */
const KEPT_OUTPUT = 1 << 20;

/**
 * Runs the real product on a configuration of its own, in a temporary folder of its own, and waits until it answers.
 *
 *   config     text of holdfast.toml without `version` and `[supervisor]`, or what makes it of the folder
 *   template   instead: a folder with a holdfast.toml, copied; in its files @DIR@ is the temporary folder, @NAME@ is values.NAME
 *   values     see template
 *   supervisor further lines of `[supervisor]`, with `config`
 *   env        further environment variables of `holdfast run`
 *   prefix     a command to run it under, e.g. ["setpriv", "--reuid", "1000"]
 *   prepare    called with the folder once the configuration is written, before the start; awaited
 *
 * The caller ends it with `stop()`, or with `dispose()`, which also kills what is left.
 *
 * @param {{config?: string | ((directory: string) => string), template?: string, values?: Record<string, string>, supervisor?: string, env?: Record<string, string>, prefix?: string[],
 *   prepare?: (directory: string) => unknown}} options
 */
export async function startHoldfast({
  config,
  template,
  values = {},
  supervisor = "",
  env = {},
  prefix = [],
  prepare,
}) {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-")));
  chmodSync(directory, 0o755); // Workers of another user find their files there.
  const control = join(directory, "control.sock");
  const file = join(directory, "holdfast.toml");
  if (template !== undefined) copyTemplate(template, directory, { ...values, DIR: directory });
  else writeConfiguration({ file, control }, supervisor, typeof config === "function" ? config(directory) : config);
  await prepare?.(directory);
  const running = new RunningHoldfast({ directory, control, file, env, prefix });
  try {
    await running.answers();
  } catch (error) {
    await running.dispose();
    throw error;
  }
  return running;
}

export class RunningHoldfast {
  #child;
  #output = "";
  #exited;
  #seen = new Map();
  /** The keeper in the place of one that was killed; it is nobody's child here. */
  #successor;

  constructor({ directory, control, file, env, prefix }) {
    this.directory = directory;
    this.control = control;
    this.file = file;
    // Extra certificates alone make each start of Node 40 ms longer, and no worker here needs them.
    const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
    const [program, ...args] = [...prefix, process.execPath, command, "run", "-c", file];
    this.#child = spawn(program, args, {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...environment, ...env },
    });
    this.#exited = once(this.#child, "exit");
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        this.#output = (this.#output + text).slice(-KEPT_OUTPUT);
      });
    }
  }

  /** `holdfast run` replaces itself by the keeper, so this is the keeper's pid. */
  get keeperPid() {
    return this.#successor ?? this.#child.pid;
  }

  /** SIGKILL to the keeper, and waits until a supervisor of another one answers. Returns its view. */
  async killKeeper() {
    const before = this.keeperPid;
    this.remember();
    process.kill(before, "SIGKILL");
    return this.succeeded(before);
  }

  /** Waits until a supervisor answers whose keeper is another one than that, which was killed. Returns its view. */
  async succeeded(before) {
    const look = async () => {
      const view = await this.#look();
      return view === undefined || view.keeperPid === before ? undefined : view;
    };
    const view = await until("a keeper in the place of the killed one", look, { timeoutMs: 20_000 });
    this.#successor = view.keeperPid;
    return view;
  }

  /** The last that was printed on stdout and stderr. */
  get output() {
    return this.#output;
  }

  /** Resolves once the supervisor answers; used again after it was killed. Returns its view of itself. */
  answers(timeoutMs = 20_000) {
    const look = () => {
      if (this.#successor === undefined && (this.#child.exitCode !== null || this.#child.signalCode !== null)) {
        throw new Error(`holdfast run ended with ${this.#child.exitCode ?? this.#child.signalCode}:\n${this.#output}`);
      }
      return this.#look();
    };
    return until(`an answer on ${this.control}`, look, { timeoutMs });
  }

  /** The supervisor's view of itself; undefined while nobody answers. */
  #look() {
    return this.get("/v1/supervisor").catch((error) => {
      if (["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE"].includes(error.code)) return undefined;
      throw error;
    });
  }

  /**
   * The answer of the control interface, without the cost of a process for a command.
   * @returns {Promise<any>}
   */
  get(path) {
    return this.#ask("GET", path);
  }

  /**
   * The outcome of an action, e.g. {action: "restart", hard: false}.
   * @returns {Promise<any>}
   */
  act(service, action) {
    return this.#ask("POST", `/v1/services/${service}/actions`, action);
  }

  /**
   * Has the keeper become another program, or its own once more; the answer says what became of it.
   * @param {string} [path]
   * @returns {Promise<import("../../src/daemon/control/api.js").ReExecView>}
   */
  reExec(path) {
    return this.#ask("POST", "/v1/supervisor/re-exec", path === undefined ? {} : { path });
  }

  /**
   * The answer to anything else that is posted, e.g. {} to /v1/apply.
   * @returns {Promise<any>}
   */
  post(path, body) {
    return this.#ask("POST", path, body);
  }

  async #ask(method, path, body) {
    const sent = request({
      socketPath: this.control,
      method,
      path,
      agent: false,
      headers: { "content-type": "application/json" },
    });
    sent.end(body && JSON.stringify(body));
    const [response] = await once(sent, "response");
    const answer = await json(response);
    if (response.statusCode !== 200)
      throw new Error(`${method} ${path} answered ${response.statusCode}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Runs a command of the operator; never throws for its exit code. */
  cli(...args) {
    return new Promise((resolve) => {
      const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
      const all = [command, ...args, "--control", this.control];
      execFile(process.execPath, all, { env, maxBuffer: 64 << 20, timeout: 120_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : (error.code ?? error.signal), stdout, stderr });
      });
    });
  }

  /** As `cli`, for a command that must succeed. */
  async run(...args) {
    const { code, stdout, stderr } = await this.cli(...args);
    if (code !== 0)
      throw new Error(`holdfast ${args.join(" ")} ended with ${code}:\n${stderr}${stdout}\n${this.#output}`);
    return stdout;
  }

  /** The parsed answer of a command with `-o json`. */
  async json(...args) {
    return JSON.parse(await this.run(...args, "-o", "json"));
  }

  /**
   * Pids of the current workers of a service.
   * @returns {Promise<number[]>}
   */
  async workerPids(service) {
    const { workers } = await this.get(`/v1/services/${service}`);
    return workers
      .filter((worker) => worker.role === "current" && worker.pid !== undefined)
      .map((worker) => worker.pid);
  }

  /** Remembers all processes below the keeper; `left()` looks for them, wherever they have gone meanwhile. */
  remember() {
    for (const entry of descendants(this.keeperPid)) this.#seen.set(`${entry.pid}/${entry.startTicks}`, entry);
  }

  /** Processes that were ever remembered, or that work in the temporary folder, and still run. */
  left() {
    const remembered = [...this.#seen.values()].filter(isAlive);
    const here = processesIn(this.directory)
      .map(readProcess)
      .filter((entry) => entry !== undefined && entry.pid !== this.keeperPid);
    return [...new Map([...remembered, ...here].map((entry) => [entry.pid, entry])).values()];
  }

  /**
   * SIGTERM to the keeper, as an operator would; resolves with {code, signal} once it is gone. Of one that is not our child the code cannot be seen: 0 if it
   * has ended in time.
   */
  async stop(timeoutMs = 30_000) {
    this.remember();
    if (this.#successor !== undefined) return this.#stopSuccessor(timeoutMs);
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), timeoutMs);
    const [code, signal] = await this.#exited;
    clearTimeout(timer);
    return { code, signal };
  }

  async #stopSuccessor(timeoutMs) {
    const keeper = readProcess(this.#successor);
    const gone = () => keeper === undefined || !isAlive(keeper);
    if (gone()) return { code: 0, signal: null };
    process.kill(keeper.pid, "SIGTERM");
    try {
      await until("the end of the keeper", gone, { timeoutMs });
      return { code: 0, signal: null };
    } catch {
      if (!gone()) process.kill(keeper.pid, "SIGKILL");
      return { code: null, signal: "SIGKILL" };
    }
  }

  /** Stops it, kills what is left of it, removes the folder. */
  async dispose() {
    await this.stop(15_000);
    for (const entry of this.left()) if (isAlive(entry)) process.kill(entry.pid, "SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Writes the configuration of a running one anew, as `startHoldfast` does; nothing changes before an apply. */
export function writeConfiguration({ file, control }, supervisor, config) {
  writeFileSync(file, `version = 1\n[supervisor]\ncontrol = "${control}"\n${supervisor}\n${config}`);
}

/** Below the ports that the kernel chooses by itself, for clients and for port 0. */
const FIRST_PORT = 12_000;
const PORTS = 20_000;
/** Processes that ask at the same time begin in different places. */
let portsAsked = process.pid * 64;

/** A TCP port of 127.0.0.1 that is free, and that nobody gets by chance before it is bound. */
export async function freePort() {
  for (let tries = 0; tries < PORTS; tries++) {
    const port = FIRST_PORT + (portsAsked++ % PORTS);
    if (await canListen(port)) return port;
  }
  throw new Error("every port is taken");
}

async function canListen(port) {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (error) {
    if (error.code === "EADDRINUSE") return false;
    throw error;
  }
  server.close();
  await once(server, "close");
  return true;
}

function copyTemplate(from, directory, values) {
  cpSync(from, directory, { recursive: true });
  for (const name of readdirSync(directory, { recursive: true })) {
    const path = join(directory, name);
    if (!statSync(path).isFile()) continue;
    const text = readFileSync(path, "utf8").replace(/@([A-Z]+)@/g, (whole, key) => String(values[key] ?? whole));
    writeFileSync(path, text);
  }
}
