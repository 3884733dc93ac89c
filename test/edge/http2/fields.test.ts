import t from "tap";
import { answerFields, readHead } from "../../../src/edge/http2/fields.ts";

t.test(
  "an answer's list that is known again is the same list, and what goes behind it is its own",
  async (t) => {
    const fields = Object.freeze([
      "Content-Type",
      "text/html",
      "ETag",
      "a",
      "etag",
      "b",
      "Connection",
      "close",
    ]);
    const first = answerFields(fields, 5, "now");
    t.same(first.fields, ["content-type", "text/html", "etag", "a"]);
    t.same(first.more, ["content-length", "5", "date", "now"]);
    const second = answerFields(fields, 6, "later");
    t.equal(second.fields, first.fields);
    t.same(second.more, ["content-length", "6", "date", "later"]);
    t.same(answerFields(fields, null, "now").more, ["date", "now"]);
    const own = answerFields(["Content-Length", "7", "DATE", "then"], 9, "now");
    t.same(own.fields, ["content-length", "7", "date", "then"]);
    t.same(own.more, []);
  },
);

const head = [":method", "GET", ":scheme", "https", ":authority", "odoo.test", ":path", "/a"];

t.test("a field section becomes a head, cookie crumbs one line", async (t) => {
  const raw = [...head, "cookie", "a=b", "accept", "*/*", "cookie", "c=d", "content-length", "12"];
  t.match(readHead([...raw, "expect", "100-Continue"]), {
    method: "GET",
    scheme: "https",
    authority: "odoo.test",
    target: "/a",
    fields: ["cookie", "a=b; c=d", "accept", "*/*", "content-length", "12", "expect", "100-Continue"],
    expectsContinue: true,
    bodyBytes: 12,
  });
  for (const length of ["+1", "1, 1", "", "1e3", "0x1"])
    t.equal(readHead([...head, "content-length", length])?.bodyBytes, null, `"${length}"`);
  t.equal(readHead([...head, "content-length", "1", "content-length", "1"])?.bodyBytes, null);
  t.match(readHead([":method", "CONNECT", ":authority", "odoo.test:443"]), { method: "CONNECT", target: "" });
});

t.test("a malformed section is told as such (RFC 9113 §8.2.2, §8.3)", async (t) => {
  const without = (name: string) => head.filter((_, i) => head[i - (i % 2)] !== name);
  const sections: readonly (readonly string[])[] = [
    [],
    without(":method"),
    without(":scheme"),
    without(":path"),
    [...without(":path"), ":path", ""],
    [...head, ":path", "/b"],
    [...head, ":method", "GET"],
    [...head, ":authority", "evil.test"],
    [...head, ":scheme", "https"],
    [...head, ":status", "200"],
    [...head, ":protocol", "websocket"],
    ["accept", "*/*", ...head],
    [...head, "connection", "close"],
    [...head, "keep-alive", "1"],
    [...head, "proxy-connection", "close"],
    [...head, "transfer-encoding", "chunked"],
    [...head, "upgrade", "websocket"],
    [...head, "te", "gzip"],
    [":method", "CONNECT", ":authority", "odoo.test", ":path", "/"],
    [":method", "CONNECT"],
  ];
  for (const raw of sections) t.equal(readHead(raw), null, raw.join(" "));
  t.not(readHead([...head, "te", "trailers"]), null);
});
