/**
 * The reader of Odoo's answers against Node's own parser: every change of one byte of many answers. What ours takes, Node must take with the
 * same status and body. Ends by itself after `--seconds` (default 30), and with 1 when there is a difference. Run: `npm run bench:fuzz`.
 */
import { parseArgs } from "node:util";
import { answerParts, compareWithNode, oneByteChanges } from "../test/support/answer-differential.ts";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "30" } } });
const seconds = Math.min(600, Math.max(1, Number(values.seconds) || 30));
const endMs = performance.now() + seconds * 1_000;
const shownMax = 10;

/** Answers in an order of their own for each run, so that a short run is not always of the same ones. */
function answers(): string[] {
  const { starts, fields, bodies } = answerParts;
  const all = starts.flatMap((start) =>
    ["", ...fields].flatMap((one) =>
      ["", ...fields].flatMap((two) =>
        ["", ...bodies].flatMap((body) =>
          ["", "0\r\n\r\n"].map((last) => `${start}${one}${two}\r\n${body}${last}`),
        ),
      ),
    ),
  );
  const shuffled = all.map((text) => ({ text, at: Math.random() })).sort((a, b) => a.at - b.at);
  return shuffled.map(({ text }) => text);
}

let tried = 0;
let accepted = 0;
let bases = 0;
const differences: string[] = [];
const list = answers();
for (const text of list) {
  if (performance.now() > endMs) break;
  bases += 1;
  const method = bases % 4 === 0 ? "HEAD" : "GET";
  for (const changed of oneByteChanges(text)) {
    tried += 1;
    const compared = await compareWithNode(changed, method);
    if (compared === "same") accepted += 1;
    else if (compared !== "refused") differences.push(compared.difference);
  }
}
process.stdout.write(
  `${tried} answers, one byte away from ${bases} of ${list.length}; ${accepted} taken by both, ${differences.length} differences\n`,
);
for (const one of differences.slice(0, shownMax)) process.stdout.write(`  ${one}\n`);
process.exitCode = differences.length > 0 || accepted === 0 ? 1 : 0;
