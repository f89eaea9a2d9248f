import { askHttp, describeRealProgram } from "./real-program.js";

describeRealProgram({
  name: "nodejs",
  service: "web",
  ask: askHttp,
  answer: /^node \d+/,
  rate: 100,
});
