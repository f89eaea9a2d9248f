import { askHttp, describeRealProgram } from "./real-program.js";

describeRealProgram({
  name: "python3",
  debianPackage: "python3",
  executable: "/usr/bin/python3",
  service: "web",
  ask: askHttp,
  answer: /^python \d+/,
  rate: 100,
});
