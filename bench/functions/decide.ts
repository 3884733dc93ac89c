import { decide } from "../../src/policy/decide.ts";
import { facts, policy } from "./material.ts";
import type { Subject } from "./subject.ts";

const extra = { knownSession: true };

/** Facts to the decision of the first rule that matches, in the shipped policy. */
export const decideSubject: Subject = {
  name: "decide",
  calls: facts.length,
  step() {
    let lines = 0;
    for (const one of facts) lines += decide(policy, one, extra).reason.line;
    return lines;
  },
};
