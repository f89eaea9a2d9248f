import { askHttp, describeRealProgram } from "./real-program.js";

describeRealProgram({
  name: "gunicorn",
  debianPackage: "gunicorn",
  executable: "/usr/bin/gunicorn",
  service: "web",
  ask: askHttp,
  answer: /^gunicorn/,
  rate: 100,
});
