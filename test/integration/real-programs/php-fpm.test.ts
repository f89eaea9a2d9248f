import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeRealProgram, type Place } from "./real-program.js";

/** The version stands in the name: /usr/sbin/php-fpm8.2. */
const executable = join("/usr/sbin", readdirSync("/usr/sbin").find((name) => /^php-fpm\d/.test(name)) ?? "php-fpm");

async function askFastCgi({ directory, port }: Place): Promise<string> {
  const env = { SCRIPT_FILENAME: join(directory, "answer.php"), REQUEST_METHOD: "GET" };
  const { stdout } = await promisify(execFile)("/usr/bin/cgi-fcgi", ["-bind", "-connect", `127.0.0.1:${port}`], {
    env,
  });
  return stdout;
}

describeRealProgram({
  folder: "php-fpm",
  debianPackage: "php-fpm libfcgi-bin",
  executable,
  service: "fpm",
  values: { FPM: executable },
  ask: askFastCgi,
  answer: /\r\n\r\nphp-fpm\n$/,
  rate: 20,
});
