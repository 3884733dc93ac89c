import { screen } from "../../src/message/screen.ts";
import { heads, site } from "./material.ts";
import type { Subject } from "./subject.ts";

/** A request head to facts: fields, host, framing, target, client address. */
export const screenSubject: Subject = {
  name: "screen",
  calls: heads.length,
  step() {
    let right = 0;
    for (const head of heads) if (screen(head, site).ok) right += 1;
    return right;
  },
};
