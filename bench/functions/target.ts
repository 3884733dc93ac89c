import { readTarget } from "../../src/message/target.ts";
import { heads } from "./material.ts";
import type { Subject } from "./subject.ts";

const targets = [...heads.map(({ target }) => target), "/fr/shop/c%C3%A9ramique-12?page=2", "/web%2flogin"];

/** A request target to its one canonical path, spellings that are refused among them. */
export const targetSubject: Subject = {
  name: "target",
  calls: targets.length,
  step() {
    let right = 0;
    for (const target of targets) if (readTarget(target).ok) right += 1;
    return right;
  },
};
