import t from "tap";
import {
  aheadIdleMs,
  type Outlet,
  passedBytesMax,
  readPriority,
  type Sender,
  SendOrder,
} from "../../src/edge/send-order.ts";

t.test("the priority field is read as RFC 9218 has it, and what cannot be read counts as not said", (t) => {
  const cases: readonly (readonly [string | null, number, boolean])[] = [
    [null, 3, true],
    ["", 3, false],
    ["u=0", 0, false],
    ["u=1, i", 1, true],
    ["i", 3, true],
    ["i=?1,u=7", 7, true],
    ["i=?0", 3, false],
    ["u=8", 3, false],
    ["u=-1", 3, false],
    ["u=10", 3, false],
    ["xu=1, ui", 3, false],
    ["u=2;a=b, q", 3, false],
  ];
  for (const [value, urgency, incremental] of cases)
    t.same(readPriority(value), { urgency, incremental }, String(value));
  t.end();
});

/** A stream with room for one piece, and a connection that takes pieces when it is told. */
class FakeOutlet implements Outlet {
  writableLength = 0;
  #taken: (() => void) | null = null;
  sender: Sender | null = null;

  write(chunk: Buffer, taken: () => void): boolean {
    this.writableLength += chunk.length;
    this.#taken = taken;
    return false;
  }

  take(): void {
    this.writableLength = 0;
    const taken = this.#taken;
    this.sender?.drained();
    taken?.();
  }
}

const piece = Buffer.alloc(64 * 1024);

/** An answer of so many pieces; tells what it writes. */
function answer(order: SendOrder, log: string[], name: string, priority: string | null, pieces: number) {
  const outlet = new FakeOutlet();
  let left = pieces;
  const write = () => {
    if (left === 0) return sender.leave();
    left -= 1;
    log.push(name);
    sender.write(piece);
  };
  const sender = order.enter(outlet, Number(name), readPriority(priority), write);
  outlet.sender = sender;
  write();
  return outlet;
}

t.test("what blocks the page is sent before what was asked for earlier", (t) => {
  const log: string[] = [];
  const order = new SendOrder();
  const image = answer(order, log, "1", "u=5", 4);
  const style = answer(order, log, "3", "u=0", 3);
  for (let i = 0; i < 4; i++) for (const one of [image, style]) one.take();
  t.same(log.join(""), "13331" + "1");
  image.take();
  t.same(log.join(""), "1333111");
  t.end();
});

t.test("of the same urgency one after the other, but for what is of use in parts", (t) => {
  for (const [priority, expected] of [
    ["u=1", "131133"],
    ["u=1, i", "131313"],
    [null, "131313"],
  ] as const) {
    const log: string[] = [];
    const order = new SendOrder();
    const both = ["1", "3"].map((name) => answer(order, log, name, priority, 3));
    for (let i = 0; i < 4; i++) for (const one of both) one.take();
    t.same(log.join(""), expected, String(priority));
  }
  t.end();
});

t.test("an answer that has nothing to send holds nobody back", (t) => {
  const log: string[] = [];
  const order = new SendOrder();
  const urgent = new FakeOutlet();
  urgent.sender = order.enter(urgent, 1, readPriority("u=0"), () => {});
  const other = answer(order, log, "3", "u=3", 3);
  other.take();
  other.take();
  t.same(log.join(""), "333");
  t.end();
});

t.test("an urgent download without end keeps nobody from working", (t) => {
  const log: string[] = [];
  const order = new SendOrder();
  const download = answer(order, log, "1", "u=0, i", 10_000);
  const call = answer(order, log, "3", "u=1, i", 4);
  for (let i = 0; i < 100; i++) for (const one of [download, call]) one.take();
  t.equal(log.filter((name) => name === "3").length, 4);
  const first = log.indexOf("3");
  const between = log.slice(first + 1, log.indexOf("3", first + 1)).length;
  t.ok(between * piece.length <= passedBytesMax + piece.length, `${between} pieces between`);
  t.end();
});

t.test("an urgent answer whose client does not take it holds nobody back for long", async (t) => {
  const log: string[] = [];
  const order = new SendOrder();
  const stuck = answer(order, log, "1", "u=0", 3);
  const other = answer(order, log, "3", "u=3", 2);
  other.take();
  t.same(log.join(""), "13", "it waits");
  // The order's own timer does not keep a process alive.
  const alive = setInterval(() => {}, 1_000);
  while (log.length < 3) await new Promise((resolve) => setTimeout(resolve, aheadIdleMs / 4));
  clearInterval(alive);
  stuck.take();
  t.same(log.join(""), "1331", "and when he takes it again, it is ahead again");
});

t.test("an answer that ends lets those behind it go, and one that is gone is told nothing", (t) => {
  const log: string[] = [];
  const order = new SendOrder();
  const urgent = answer(order, log, "1", "u=0", 3);
  const [gone, behind] = ["3", "5"].map((name) => answer(order, log, name, "u=4, i", 2));
  gone?.take();
  behind?.take();
  t.same(log.join(""), "135");
  gone?.sender?.leave();
  urgent.sender?.leave();
  t.same(log.join(""), "1355");
  t.end();
});
