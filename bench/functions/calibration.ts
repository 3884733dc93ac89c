import type { Subject } from "./subject.ts";

/**
 * Work of the same kind as the road's and of nobody's making: text cut, looked up, changed and joined. Its time is the unit in which machines,
 * and moments of a busy one, can be compared. Never change it: recorded figures would mean something else.
 */
const text = Array.from({ length: 16 }, (_, i) => `Field-Name-${i}: value ${i * 7919}; a="b"`).join("\r\n");
const known = new Map(Array.from({ length: 64 }, (_, i) => [`field-name-${i}`, i]));

export const calibration: Subject = {
  name: "calibration",
  calls: 1,
  step() {
    let sum = 0;
    const kept: string[] = [];
    for (const line of text.split("\r\n")) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon).toLowerCase();
      sum += known.get(name) ?? 0;
      for (let i = colon; i < line.length; i += 1) sum = (sum * 31 + line.charCodeAt(i)) & 0xffffff;
      kept.push(name, line.slice(colon + 2));
    }
    return sum + kept.join("\n").length;
  },
};
