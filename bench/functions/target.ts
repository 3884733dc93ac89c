import { readTarget } from "../../src/message/target.ts";
import { heads, strangeTargets } from "./material.ts";
import type { Subject } from "./subject.ts";

const usual = heads.map(({ target }) => target);
const atOnce = 64;
let next = 0;

/** A request target to its one canonical path: those that browsers ask for again and again. */
export const targetSubject: Subject = {
  name: "target",
  calls: usual.length,
  step() {
    let right = 0;
    for (const target of usual) if (readTarget(target).ok) right += 1;
    return right;
  },
};

/** The same for targets that were not asked before: more than are remembered, in turn. */
export const newTargetSubject: Subject = {
  name: "target, new",
  calls: atOnce,
  step() {
    let right = 0;
    for (let i = 0; i < atOnce; i += 1) {
      if (readTarget(strangeTargets[next] ?? "").ok) right += 1;
      next = (next + 1) % strangeTargets.length;
    }
    return right;
  },
};
