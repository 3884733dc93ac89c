import { equal } from "node:assert/strict";
import fc from "fast-check";
import { pino } from "pino";
import t from "tap";
import type { ExchangeId } from "../../src/base/brands.ts";
import { accessLine } from "../../src/observe/access-line.ts";
import type { AccessRecord } from "../../src/observe/events.ts";
import { accessFields } from "../../src/observe/line.ts";

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.constantFrom("GET", "/web?token=***", "erp.example.com", 'a"b\\c', "Mozilla/5.0 (X11)", "\u2028\ud800"),
);
const ms = fc.double({ min: 0, max: 1e7, noNaN: true });
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });

const record = fc.record<AccessRecord>({
  type: fc.constant("access" as const),
  wallMs: fc.integer({ min: 0, max: 4e12 }),
  id: fc.stringMatching(/^[0-9a-z-]{1,20}$/).map((id) => id as ExchangeId),
  client: fc.constantFrom("203.0.113.9", "2001:db8::1"),
  peer: fc.constantFrom("127.0.0.1", "::1"),
  protocol: fc.constantFrom("HTTP/1.0", "HTTP/1.1", "HTTP/2"),
  method: text,
  host: text,
  target: text,
  status: fc.integer({ min: 100, max: 599 }),
  bytesIn: fc.maxSafeNat(),
  bytesOut: fc.maxSafeNat(),
  // The operator's words.
  rule: fc.string({ maxLength: 40 }),
  verdict: fc.constantFrom("forward", "deny", "ask-password"),
  limit: maybe(fc.string({ maxLength: 40 })),
  failure: maybe(fc.constantFrom("answer-cut" as const, "connect-refused" as const)),
  cache: maybe(fc.constantFrom("hit" as const, "miss" as const)),
  totalMs: ms,
  upstreamMs: maybe(ms),
  lane: maybe(fc.constantFrom("user", "api")),
  queueMs: ms,
  userAgent: text,
});

t.test("the line of an exchange is the one pino would write, whatever a client sent", async (t) => {
  let wallMs = 0;
  let line = "";
  const logger = pino(
    {
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      timestamp: () => `,"time":"${new Date(wallMs).toISOString()}"`,
    },
    {
      write(text: string) {
        line = text;
      },
    },
  );
  fc.assert(
    fc.property(record, (record) => {
      wallMs = record.wallMs;
      logger.info(accessFields(record));
      equal(accessLine(record), line);
      equal(accessLine(record), line, "and again, when texts are remembered");
    }),
    { numRuns: 3_000 },
  );
  t.match(line, /^\{"level":"info"/);
});
