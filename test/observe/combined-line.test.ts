import fc from "fast-check";
import t from "tap";
import type { ExchangeId } from "../../src/base/brands.ts";
import { combinedLine } from "../../src/observe/combined-line.ts";
import type { BufferedDestination } from "../../src/observe/destination.ts";
import type { AccessRecord } from "../../src/observe/events.ts";
import { createLog } from "../../src/observe/log-pino.ts";
import { splitDestination } from "../../src/observe/split-destination.ts";

const record: AccessRecord = {
  type: "access",
  wallMs: Date.UTC(2026, 11, 1, 2, 40, 20, 999),
  id: "a-1" as ExchangeId,
  client: "203.0.113.9",
  peer: "203.0.113.9",
  protocol: "HTTP/1.1",
  method: "GET",
  host: "erp.example.com",
  target: "/web/login?token=***",
  status: 200,
  bytesIn: 0,
  bytesOut: 23_456,
  rule: "odoo",
  verdict: "forward",
  limit: null,
  failure: null,
  cache: null,
  totalMs: 12.3,
  upstreamMs: 10,
  lane: "user",
  queueMs: 0,
  userAgent: "Mozilla/5.0 (X11)",
};

/** nginx's and Apache's `combined`, as GoAccess and fail2ban read it. */
const combined =
  /^(\S+) - - \[(\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000)\] "([^"]*)" (\d{3}) (\d+) "-" "([^"]*)"\n$/;

t.test("a line has the form that nginx calls combined", (t) => {
  t.equal(
    combinedLine(record),
    '203.0.113.9 - - [01/Dec/2026:02:40:20 +0000] "GET /web/login?token=*** HTTP/1.1" 200 23456 "-" "Mozilla/5.0 (X11)"\n',
  );
  t.match(combinedLine({ ...record, protocol: "HTTP/2" }), / HTTP\/2\.0" /);
  t.match(combinedLine({ ...record, userAgent: "" }), / "-" "-"\n$/);
  const unread = combinedLine({ ...record, method: "-", target: "-", status: 400 });
  t.match(unread, /\] "-" 400 /, "what was no request");
  t.end();
});

t.test("no text of a client ends its field, begins a line, or poses as another", (t) => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 3_000 }),
    fc.constantFrom(
      '" 200 0 "-" "x',
      '\\" 200',
      "a\r\n203.0.113.1 - - [",
      "\u2028\ud800",
      '\\x22"',
      "\u001b[2J",
    ),
  );
  fc.assert(
    fc.property(text, text, text, (method, target, userAgent) => {
      const line = combinedLine({ ...record, method, target, userAgent });
      const parts = combined.exec(line);
      return parts !== null && parts[1] === "203.0.113.9" && parts[4] === "200" && parts[5] === "23456";
    }),
    { numRuns: 500 },
  );
  t.end();
});

function kept(lines: string[]): BufferedDestination {
  return {
    write: (line) => void lines.push(line),
    dropped: 1,
    isStuck: false,
    close: () => Promise.resolve(),
  };
}

t.test("exchanges go one way and everything else another, as objects that ban tools read", async (t) => {
  const access: string[] = [];
  const events: string[] = [];
  const destination = splitDestination(kept(access), kept(events));
  const log = createLog({ level: "info", format: "combined", destination });
  log.emit(record);
  log.emit({ type: "strike", client: "203.0.113.9", why: "login", account: null, marks: 1 });
  t.same(access, [combinedLine(record)]);
  t.equal(events.length, 1);
  t.match(events[0], /"event":"strike","stream":"security","client":"203\.0\.113\.9"/);
  // As they come from several processes.
  destination.write(`${access[0]}${events[0]}${events[0]}${access[0]}`);
  t.same([access.length, events.length], [3, 3]);
  t.equal(log.dropped, 2);
  await log.close();
});
