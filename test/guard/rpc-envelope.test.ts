import t from "tap";
import { jsonDepthMax } from "../../src/guard/json-scan.ts";
import { EnvelopeReader, type EnvelopeReading } from "../../src/guard/rpc-envelope.ts";

/** One reading, whatever the pieces: whole, byte by byte, and cut in the middle. */
type Same = { same(found: unknown, wanted: unknown, message: string): boolean };

function read(t: Same, body: string | Buffer): EnvelopeReading {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const inPieces = (size: number): EnvelopeReading => {
    const reader = new EnvelopeReader();
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    return reader.end();
  };
  const whole = inPieces(Math.max(1, bytes.length));
  for (const size of [1, 2, 3, 7, 64]) t.same(inPieces(size), whole, `in pieces of ${size}`);
  return whole;
}

const call = (params: string) => `{"jsonrpc": "2.0", "method": "call", "params": ${params}, "id": 1}`;

t.test("the service is found however the call is written", (t) => {
  const is = (body: string, service: string, method: string, more: object = {}) =>
    t.match(read(t, body), { ok: true, value: { service, method, ...more } }, body.slice(0, 80));
  is(call('{"service": "db", "method": "list", "args": []}'), "db", "list");
  is(call('{"args": [{"service": "common"}], "method": "list", "service": "db"}'), "db", "list");
  is(call('{"\\u0073ervice": "\\u0064\\u0062", "m\\u0065thod": "l\\/ist"}'), "db", "l/ist");
  is(`${" ".repeat(9_000)}{"params":{"service":"db","method":"list"}}\r\n\t `, "db", "list");
  is(`{"service":"common","params":{"service":"db","method":"list"}}`, "db", "list");
  is(call(`{"args":["${"x".repeat(200_000)}"],"service":"db","method":"dump"}`), "db", "dump");
  is(call(`{"x":"\\\\\\"","y":"\\\\","service":"db","method":"\\ud83d\\ude00"}`), "db", "😀");
  is(call('{"service":"db","method":"list","x":{"a":1,"a":2}}'), "db", "list", { user: null });
  is(call('{"service":"common","method":"login","args":["prod","anna é","secret"]}'), "common", "login", {
    user: "anna é",
    model: null,
  });
  is(
    call('{"service":"object","method":"execute_kw","args":["p",2,"s","res.users","read",[[1]],{}]}'),
    "object",
    "execute_kw",
    { user: "2", model: "res.users", modelMethod: "read" },
  );
  is(call(`{"service":"common","method":"login","args":["p","${"a".repeat(5_000)}"]}`), "common", "login", {
    user: null,
  });
  t.notMatch(
    JSON.stringify(read(t, call('{"service":"object","method":"x","args":["p",2,"hidden"]}'))),
    /hidden/,
  );
  t.end();
});

t.test("a call with two readings, or none, is not sent on", (t) => {
  const refused = (body: string | Buffer, error: string) =>
    t.same(read(t, body), { ok: false, error }, `${error}: ${body.toString("latin1").slice(0, 70)}`);
  refused(call('{"service":"common","service":"db","method":"list"}'), "name-repeated");
  refused(call('{"service":"common","\\u0073ervice":"db","method":"list"}'), "name-repeated");
  refused(
    '{"params":{"service":"common","method":"a"},"params":{"service":"db","method":"list"}}',
    "name-repeated",
  );
  refused('{"params":{"service":"db","method":"list"},"par\\u0061ms":{}}', "name-repeated");
  refused(call('[["service","db"],["method","list"],["args",[]]]'), "no-call");
  refused(call('{"service":["db"],"method":"list"}'), "no-call");
  refused(call('{"service":"db"}'), "no-call");
  refused(call("null"), "no-call");
  refused("{}", "no-call");
  refused(`[${call('{"service":"db","method":"list"}')}]`, "no-call");
  refused('"db"', "no-call");
  refused(call('{"service":"common","method":"version","args":[NaN]}'), "malformed");
  refused(call('{"service":"common","method":"version","args":[-Infinity]}'), "malformed");
  refused(call("{'service':'db'}"), "malformed");
  refused(call('{"service":"db",}'), "malformed");
  refused(call('{"service":"common","method":"version","args":[1,]}'), "malformed");
  refused(call('{"service":"common" /* db */,"method":"version"}'), "malformed");
  refused(call('{"service":"d\\qb","method":"version"}'), "malformed");
  refused(call('{"service":"d\nb","method":"version"}'), "malformed");
  refused(`${call('{"service":"common","method":"version"}')}{}`, "trailing-bytes");
  refused(`${call('{"service":"common","method":"version"}')}\0`, "trailing-bytes");
  refused('{"params":{"service":"common","method":"version"', "unfinished");
  refused('{"params":{"service":"common"', "unfinished");
  refused("", "unfinished");
  refused(`\ufeff${call('{"service":"db","method":"list"}')}`, "byte-order-mark");
  refused(Buffer.from(call('{"service":"db","method":"list"}'), "utf16le"), "malformed");
  refused(Buffer.from(call('{"service":"db\xff","method":"list"}'), "latin1"), "not-utf8");
  refused(Buffer.from('{"a":"\xe2\x82', "latin1"), "not-utf8");
  refused(call(`{"args":${"[".repeat(jsonDepthMax)}${"]".repeat(jsonDepthMax)}}`), "too-deep");
  refused(call(`{${Array.from({ length: 65 }, (_, i) => `"k${i}":1`).join(",")}}`), "names-too-many");
  refused(call(`{"${"x".repeat(600)}":1}`), "names-too-many");
  t.end();
});

t.test("a large body costs one pass: many short texts, one long one, escapes only", (t) => {
  const size = 4 * 1024 * 1024;
  const bodies = [
    `"${"x".repeat(size)}"`,
    `["a"${',"a"'.repeat(size / 4)}]`,
    `"${"\\\\".repeat(size / 2)}"`,
    `[1${",1".repeat(size / 2)}]`,
  ];
  for (const body of bodies) {
    const bytes = Buffer.from(call(`{"args":[${body}],"service":"db","method":"list"}`));
    const reader = new EnvelopeReader();
    // Of the processor, not of the clock: a busy machine is no slow scanner.
    const started = process.cpuUsage();
    for (let at = 0; at < bytes.length; at += 65_536) reader.push(bytes.subarray(at, at + 65_536));
    t.match(reader.end(), { ok: true, value: { service: "db" } });
    const { user } = process.cpuUsage(started);
    t.ok(user < 10_000_000, `${Math.round(user / 1000)} ms for ${body.slice(0, 10)}`);
  }
  t.end();
});
