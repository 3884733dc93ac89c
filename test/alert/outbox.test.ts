import t from "tap";
import { type AlertMessage, testMessage } from "../../src/alert/message.ts";
import { deliverAgainMs, deliverAgainMsMax, messageMsMax, Outbox } from "../../src/alert/outbox.ts";
import type { PostOutcome } from "../../src/alert/post.ts";
import { retryAfterMs, retryAfterMsMax } from "../../src/alert/retry-after.ts";
import { manualClock } from "../../src/base/clock.ts";
import type { GatewayEvent } from "../../src/observe/events.ts";

const hook = { url: "https://a.example/hunter2", shown: "https://a.example/***", format: "json" } as const;
const taken: PostOutcome = { kind: "taken", words: "answered with status 200" };
const broken: PostOutcome = { kind: "later", words: "refuses connections", afterMs: null };

function scene(
  answer: (text: string, signal: AbortSignal) => PostOutcome | Promise<PostOutcome> = () => taken,
) {
  const clock = manualClock();
  const events: GatewayEvent[] = [];
  const sent: Readonly<Record<string, unknown>>[] = [];
  const counts = { delivered: 0, failed: 0, dropped: 0 };
  const state = { answer };
  const outbox = new Outbox(hook, {
    post: async (url, body, signal) => {
      t.equal(url, hook.url);
      sent.push(JSON.parse(body.text));
      return state.answer(body.text, signal);
    },
    clock,
    sink: { emit: (event) => events.push(event) },
    sender: () => ({ site: "erp.example.com", instance: "gw1", version: "1" }),
    counts,
  });
  return { clock, events, sent, counts, outbox, state };
}

function message(
  name: AlertMessage["name"],
  state: "firing" | "resolved" = "firing",
  wallMs = 0,
): AlertMessage {
  return { ...testMessage(wallMs), name, state, endedWallMs: state === "firing" ? null : wallMs + 1 };
}

/** Until what was begun is done: everything in it is a promise, no time passes. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

t.test("messages are sent one after the other, in the order they came", async (t) => {
  let atOnce = 0;
  const { outbox, sent, counts, state } = scene();
  state.answer = async () => {
    atOnce += 1;
    t.equal(atOnce, 1);
    await Promise.resolve();
    atOnce -= 1;
    return taken;
  };
  outbox.put(message("OdooGatewayOdooAway"));
  outbox.put(message("OdooGatewayBusDown"));
  outbox.put(message("OdooGatewaySheds"));
  await settled();
  t.same(
    sent.map(({ name }) => name),
    ["OdooGatewayOdooAway", "OdooGatewayBusDown", "OdooGatewaySheds"],
  );
  t.same(counts, { delivered: 3, failed: 0, dropped: 0 });
  t.equal(outbox.waiting, 0);
});

t.test("what could not be delivered is tried ever later, and the log never says where exactly", async (t) => {
  const { outbox, sent, counts, clock, state, events } = scene(() => broken);
  outbox.put(message("OdooGatewayOdooAway"));
  await settled();
  for (let pauseMs = deliverAgainMs, tries = 1; tries < 12; tries += 1) {
    t.equal(sent.length, tries);
    clock.advance(pauseMs - 1);
    outbox.pump();
    await settled();
    t.equal(sent.length, tries, "not sooner");
    clock.advance(1);
    outbox.pump();
    await settled();
    pauseMs = Math.min(2 * pauseMs, deliverAgainMsMax);
  }
  t.match(events[0], {
    type: "warning",
    what: "ALERT_URL",
    detail: "https://a.example/*** refuses connections; the next try is in 5 s",
  });
  t.notMatch(JSON.stringify(events), /hunter2/);
  state.answer = () => taken;
  clock.advance(deliverAgainMsMax);
  outbox.pump();
  await settled();
  t.same(counts, { delivered: 1, failed: 12, dropped: 0 });
  state.answer = () => broken;
  outbox.put(message("OdooGatewayOdooAway", "resolved"));
  await settled();
  clock.advance(deliverAgainMs);
  outbox.pump();
  await settled();
  t.equal(counts.failed, 14, "after a delivery the pauses begin anew");
});

t.test("a newer message takes the place of an older one that nobody got", async (t) => {
  const { outbox, sent, clock, state } = scene(() => broken);
  outbox.put(message("OdooGatewayOdooAway", "firing", 1_000));
  await settled();
  outbox.put(message("OdooGatewayBusDown"));
  outbox.put(message("OdooGatewayOdooAway", "firing", 5_000));
  outbox.put(message("OdooGatewayOdooAway", "resolved", 5_000));
  t.equal(outbox.waiting, 2);
  state.answer = () => taken;
  clock.advance(deliverAgainMs);
  outbox.pump();
  await settled();
  t.match(sent.slice(1), [
    { name: "OdooGatewayOdooAway", state: "resolved", since: "1970-01-01T00:00:01.000Z" },
    { name: "OdooGatewayBusDown" },
  ]);
  t.equal(sent.length, 3);
});

t.test("an end that comes while its beginning is on the way is told behind it", async (t) => {
  let go = () => {};
  const { outbox, sent, state } = scene(
    () =>
      new Promise((resolve) => {
        go = () => resolve(taken);
      }),
  );
  outbox.put(message("OdooGatewayOdooAway"));
  outbox.put(message("OdooGatewayOdooAway", "resolved"));
  state.answer = () => taken;
  go();
  await settled();
  t.same(
    sent.map((one) => one["state"]),
    ["firing", "resolved"],
  );
});

t.test("a service that asks for patience gets it", async (t) => {
  const { outbox, sent, clock, state } = scene(() => ({ kind: "later", words: "429", afterMs: 120_000 }));
  outbox.put(message("OdooGatewayOdooAway"));
  await settled();
  state.answer = () => taken;
  for (const [ms, count] of [
    [119_999, 1],
    [1, 2],
  ] as const) {
    clock.advance(ms);
    outbox.pump();
    await settled();
    t.equal(sent.length, count);
  }
  t.equal(retryAfterMs("120", 0), 120_000);
  t.equal(retryAfterMs("Thu, 01 Jan 1970 00:02:00 GMT", 30_000), 90_000);
  t.equal(retryAfterMs("Thu, 01 Jan 1970 00:02:00 GMT", 999_000), 0);
  t.equal(retryAfterMs("999999999", 0), retryAfterMsMax, "an hour at most");
  t.same([retryAfterMs(undefined, 0), retryAfterMs("soon", 0)], [null, null]);
});

t.test("what a service refuses is given up, and the next message is tried", async (t) => {
  const { outbox, counts, events, state } = scene(() => ({
    kind: "refused",
    words: "answered with status 404",
  }));
  outbox.put(message("OdooGatewayOdooAway"));
  await settled();
  t.match(events, [{ what: "ALERT_URL", detail: /status 404; the message is given up/ }]);
  state.answer = () => taken;
  outbox.put(message("OdooGatewayOdooAway", "resolved"));
  await settled();
  t.same(counts, { delivered: 1, failed: 1, dropped: 1 });
});

t.test("a message of yesterday is given up", async (t) => {
  const { outbox, counts, clock } = scene(() => broken);
  outbox.put(message("OdooGatewayOdooAway"));
  await settled();
  clock.advance(messageMsMax);
  outbox.pump();
  await settled();
  t.same([counts.dropped, outbox.waiting], [1, 0]);
});

t.test("a stop waits for what is on its way, briefly, and answers what is left", async (t) => {
  const { outbox, sent, counts } = scene(
    (_text, signal) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve(broken));
      }),
  );
  outbox.put(message("OdooGatewayOdooAway"));
  outbox.put(message("OdooGatewayBusDown"));
  t.same(
    (await outbox.close(1)).map(({ name }) => name),
    ["OdooGatewayOdooAway", "OdooGatewayBusDown"],
  );
  t.equal(sent.length, 1);
  outbox.put(message("OdooGatewaySheds"));
  await settled();
  t.equal(sent.length, 1, "nothing is sent any more");
  t.same(counts, { delivered: 0, failed: 0, dropped: 0 });

  const quick = scene();
  quick.outbox.put(message("OdooGatewayOdooAway"));
  quick.outbox.put(message("OdooGatewayBusDown"));
  t.same(
    (await quick.outbox.close(60_000)).map(({ name }) => name),
    ["OdooGatewayBusDown"],
    "what is on its way arrives, and the next is not begun",
  );
});
