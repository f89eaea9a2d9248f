import { askHttp, describeRealProgram } from "./real-program.js";

describeRealProgram({
  name: "uvicorn",
  debianPackage: "python3-uvicorn",
  executable: "/usr/lib/python3/dist-packages/uvicorn",
  service: "web",
  ask: askHttp,
  answer: /^uvicorn/,
  rate: 100,
});
