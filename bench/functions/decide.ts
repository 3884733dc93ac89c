import { decide } from "../../src/policy/decide.ts";
import { facts, policy, strangeFacts } from "./material.ts";
import type { Subject } from "./subject.ts";

const extra = { knownSession: true };
const atOnce = 64;
let next = 0;

/** Facts to the decision of the first rule that matches, in the shipped policy: paths that browsers ask for again and again. */
export const decideSubject: Subject = {
  name: "decide",
  calls: facts.length,
  step() {
    let lines = 0;
    for (const one of facts) lines += decide(policy, one, extra).reason.line;
    return lines;
  },
};

/** The same for paths that were not asked before: more than are remembered, in turn. */
export const newDecideSubject: Subject = {
  name: "decide, new",
  calls: atOnce,
  step() {
    let lines = 0;
    for (let i = 0; i < atOnce; i += 1) {
      const one = strangeFacts[next];
      if (one !== undefined) lines += decide(policy, one, extra).reason.line;
      next = (next + 1) % strangeFacts.length;
    }
    return lines;
  },
};
