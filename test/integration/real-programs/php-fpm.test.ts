import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Place } from "./example.js";
import { describeRealProgram } from "./real-program.js";

/** The version stands in the name: /usr/sbin/php-fpm8.2. */
const executable = join("/usr/sbin", readdirSync("/usr/sbin").find((name) => /^php-fpm\d/.test(name)) ?? "php-fpm");

async function askFastCgi({ directory, port }: Place): Promise<string> {
  const env = { SCRIPT_FILENAME: join(directory, "php-fpm/answer.php"), REQUEST_METHOD: "GET" };
  const { stdout } = await promisify(execFile)("/usr/bin/cgi-fcgi", ["-bind", "-connect", `127.0.0.1:${port}`], {
    env,
  });
  return stdout;
}

describeRealProgram({
  name: "php-fpm",
  debianPackage: "php-fpm libfcgi-bin",
  executable,
  service: "fpm",
  port: 9000,
  replacements: async () => ({ "/usr/sbin/php-fpm8.2": executable }),
  ask: askFastCgi,
  answer: /\r\n\r\nphp-fpm\n$/,
  rate: 20,
});
