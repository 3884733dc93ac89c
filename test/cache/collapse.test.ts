import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { Collapse, type Fetched, unwantedFetchMsMax } from "../../src/cache/collapse.ts";
import type { FileListener } from "../../src/cache/passed.ts";
import { Turns } from "../../src/cache/turns.ts";
import { factsFor } from "../support/facts.ts";

/** Fetches of one file that the test answers, and timers that the test lets run. */
function start(hasWorker: boolean) {
  const timers: (() => void)[] = [];
  const calls: { readonly listener: FileListener; isAborted: boolean }[] = [];
  const collapse = new Collapse({
    clock: systemClock,
    turns: new Turns(1),
    makeEncoder: () => {
      throw new Error("nothing is compressed here");
    },
    cleanFields: (fields) => fields,
    staticFreshMs: () => 60_000,
    bytesMax: () => 1_000,
    contentOf: () => null,
    keep: () => {},
    refuse: () => {},
    later: (ms, then) => {
      if (ms === unwantedFetchMsMax) timers.push(then);
      return () => void timers.splice(timers.indexOf(then), 1);
    },
  });
  const join = () => {
    const place = collapse.join("key", factsFor({ path: "/web/static/x.js" }), null, (_request, listener) => {
      const call = { listener, isAborted: false };
      calls.push(call);
      const abort = () => {
        call.isAborted = true;
      };
      return { hasWorker, abort, pause() {}, resume() {} };
    });
    if (place === null) throw new Error("there is room for one");
    return place;
  };
  return { collapse, calls, join, runTimers: () => timers.splice(0).map((then) => then()) };
}

const head = {
  status: 200,
  fields: ["Content-Type", "text/css", "Cache-Control", "public, max-age=600"],
  framing: { kind: "length", bytes: 4 },
  reusable: false,
} as const;

t.test("what nobody waits for keeps its worker counted until Odoo answers", (t) => {
  const { collapse, calls, join, runTimers } = start(true);
  join().leave();
  runTimers();
  t.equal(calls[0]?.isAborted, false);
  t.equal(collapse.running, 1);
  calls[0]?.listener.head(head);
  t.equal(calls[0]?.isAborted, true);
  t.equal(collapse.running, 0);
  t.end();
});

t.test("who comes late to what nobody waited for gets it", async (t) => {
  const { calls, join, runTimers } = start(true);
  join().leave();
  runTimers();
  const late = join();
  calls[0]?.listener.head(head);
  calls[0]?.listener.data(Buffer.from("text"));
  calls[0]?.listener.end();
  const fetched: Fetched = await late.fetched;
  t.equal(fetched.kind, "file");
  t.equal(calls.length, 1);
});

t.test("what waits in the queue, or where nobody counts workers, is given up at once", (t) => {
  const { collapse, calls, join, runTimers } = start(false);
  join().leave();
  runTimers();
  t.equal(calls[0]?.isAborted, true);
  t.equal(collapse.running, 0);
  t.end();
});
