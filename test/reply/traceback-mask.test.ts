import t from "tap";
import { maskedBytesMax, maskedDepthMax, tracebackMask } from "../../src/reply/traceback-mask.ts";

/** What a client gets of an answer that came in pieces of this many bytes, and whether it was let through as it came. */
function through(type: string, status: number, body: string, pieceBytes = 1_000_000) {
  const mask = tracebackMask(status, ["Content-Type", type], "x-1");
  if (mask === null) return { body, passed: true };
  const bytes = Buffer.from(body);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const passed = mask.push(bytes.subarray(at, at + pieceBytes));
    if (passed !== null)
      return { body: Buffer.concat([...passed, bytes.subarray(at + pieceBytes)]).toString(), passed: true };
  }
  return { body: mask.end().toString(), passed: false };
}

const json = "application/json; charset=utf-8";
const debug = 'Traceback (most recent call last):\n  File "/opt/odoo/odoo/http.py", line 376, in dispatch\n';
const error = (data: object, id: unknown = 7) =>
  JSON.stringify({ jsonrpc: "2.0", id, error: { code: 0, message: "Odoo Server Error", data } });
const spaced = (text: string) => text.replace(/":/g, '": ').replace(/,"/g, ', "');

t.test("the traceback goes, what the web client shows stays", (t) => {
  const data = {
    name: "odoo.exceptions.UserError",
    message: "Not enough stock",
    arguments: ["Not enough stock"],
    context: { active_id: 3 },
    debug,
  };
  for (const pieceBytes of [1, 50, 100_000]) {
    const { body } = through(json, 200, spaced(error(data)), pieceBytes);
    t.same(JSON.parse(body), JSON.parse(error({ ...data, debug: "" })));
  }
  const inside = { ...data, message: debug, arguments: [`x ${debug}`] };
  const masked = through(json, 200, error(inside)).body;
  t.notMatch(masked, /opt\/odoo|Traceback/);
  t.match(JSON.parse(masked), { error: { data: { name: data.name, message: /could not carry out.*x-1/ } } });
  const rest = JSON.stringify({
    name: "builtins.KeyError",
    message: "'x'",
    arguments: ["x"],
    context: {},
    debug,
  });
  t.same(JSON.parse(through(json, 500, rest).body), { ...JSON.parse(rest), debug: "" }, "JSON-2");
  t.end();
});

t.test("a caller's own id hides no error", (t) => {
  for (const id of ['"result":', { result: 1 }, "x".repeat(10_000), '\\","result":1'])
    t.notMatch(
      through(json, 200, error({ debug, message: "m" }, id), 100).body,
      /Traceback/,
      JSON.stringify(id).slice(0, 40),
    );
  t.end();
});

t.test("results and other JSON pass as they come, at once", (t) => {
  const result = spaced(JSON.stringify({ jsonrpc: "2.0", id: 7, result: [debug] }));
  t.same(through(json, 200, result, 60), { body: result, passed: true });
  const manifest = JSON.stringify({ name: "Odoo", icons: ["x".repeat(100)] });
  t.same(through(json, 200, manifest, 70), { body: manifest, passed: true });
  t.equal(through(json, 200, '{"status": "pass"}').body, '{"status": "pass"}');
  t.equal(tracebackMask(200, ["Content-Type", "text/plain"], "x"), null);
  t.equal(tracebackMask(200, ["Content-Type", "image/png"], "x"), null);
  const odd = JSON.stringify({ jsonrpc: "2.0", id: { a: 1 }, result: 1 });
  t.equal(through(json, 200, odd).body, odd);
  t.equal(through(json, 200, "").body, "");
  t.end();
});

/** As Odoo's exports and reports fail: the exception as JSON in a page. */
const exception = { name: "builtins.ValueError", debug, message: 'no "such" thing', arguments: ["no"] };
const failure = (data: object) => JSON.stringify({ code: 0, message: "Odoo Server Error", data });
const escaped = (text: string, quote: string) => text.replaceAll('"', quote);

t.test("pages that hold an exception lose its traceback, and stay what the web client reads", (t) => {
  const html = "text/html; charset=utf-8";
  for (const quote of ["&#34;", "&quot;"]) {
    const text = escaped(spaced(failure(exception)), quote);
    const clean = escaped(spaced(failure({ ...exception, debug: "" })), quote);
    const frame = (body: string) => `<!doctype html>\n<title>500</title>\n<h1>500</h1>\n<p>${body}</p>\n`;
    for (const pieceBytes of [1, 30, 100_000]) {
      t.equal(through(html, 500, frame(text), pieceBytes).body, frame(clean));
      t.equal(through(html, 500, text, pieceBytes).body, clean);
      t.equal(through(html, 200, text, pieceBytes).body, clean, "as reports of add-ons say it");
    }
  }
  for (const [status, type, body] of [
    [500, html, `<pre>${escaped(debug, "&quot;")}</pre>`],
    [404, html, `<div id="debug_infos"><pre>${debug}</pre></div>`],
    [500, "text/plain", debug],
    [500, html, escaped(failure({ ...exception, message: debug }), "&#34;")],
    [500, html, debug + "x".repeat(maskedBytesMax)],
  ] as const) {
    const masked = through(type, status, body, 60_000).body;
    t.notMatch(masked, /Traceback|opt.odoo/);
    t.match(masked, /could not carry out this call \(exchange x-1\)/);
  }
  t.end();
});

t.test("pages without a traceback pass as they are, and at once where they are no errors", (t) => {
  const page = `<!DOCTYPE html>\n<script>odoo = {"debug": "1"}</script>${"x".repeat(2 * maskedBytesMax)}`;
  t.same(through("text/html", 200, page, 10), { body: page, passed: true });
  t.equal(through("text/html", 404, page, 60_000).body, page, "a long one that is not found");
  t.equal(through("text/html", 404, "<p>No page</p>").body, "<p>No page</p>");
  t.equal(through("text/plain", 500, "Access Denied").body, "Access Denied");
  const data = JSON.stringify({ code: 1, message: "rows", rows: "y".repeat(2 * maskedBytesMax) });
  t.same(through("text/html", 200, data, 500), { body: data, passed: true }, "an add-on's JSON");
  t.equal(through("text/html", 200, "").body, "");
  t.end();
});

t.test("a page made to be slow to read is read like any other", (t) => {
  for (const part of ["\\\\&#34;", "&#34;debug&#34;: &#34;", '"debug": "\\\\', 'File "']) {
    const many = `${debug}${part.repeat(Math.floor((maskedBytesMax - debug.length) / part.length))}`;
    t.notMatch(through("text/html", 500, many).body, /Traceback/);
  }
  t.end();
});

t.test("an error larger than the bound is replaced", (t) => {
  const { body } = through(json, 200, error({ debug: debug + "x".repeat(maskedBytesMax) }), 60_000);
  t.match(JSON.parse(body), { error: { data: { name: "odoo.exceptions.UserError", debug: "" } } });
  const cut = error({ debug }).slice(0, -3);
  t.notMatch(through(json, 200, cut).body, /Traceback/, "nor is one that cannot be read let through");
  t.end();
});

t.test("an error that echoes a deeply nested id ends nothing and keeps nobody waiting", (t) => {
  const nested = (depth: number, inner = "") => "[".repeat(depth) + inner + "]".repeat(depth);
  const echo = (id: string, data: object) => error(data).replace('"id":7', `"id":${id}`);
  const data = { name: "odoo.http.SessionExpiredException", message: "Session expired", debug };
  // From some thousands on it cannot be written out again, and ended the process.
  for (const depth of [100_000, 6_000, maskedDepthMax]) {
    const { body } = through(json, 200, echo(nested(depth), data), 60_000);
    t.match(JSON.parse(body), { id: null, error: { data: { message: /could not carry out/, debug: "" } } });
  }
  // Each of them took many milliseconds: depth times number.
  const wide = nested(2_000, Array.from({ length: 80_000 }, () => "[]").join(","));
  for (let i = 0; i < 1_000; i += 1)
    if (through(json, 200, echo(wide, data), 300_000).body.includes("Traceback")) t.fail("a traceback");
  const shallow = nested(maskedDepthMax - 4);
  t.same(
    JSON.parse(through(json, 200, echo(shallow, data)).body),
    JSON.parse(echo(shallow, { ...data, debug: "" })),
  );
  // Brackets in a text are no nesting, and what holds no traceback goes as it is.
  const text = error({ message: `\\"${"[".repeat(100)}`, debug: "" });
  t.equal(through(json, 200, text).body, text);
  const other = `{"jsonrpc":"2.0","id":${nested(6_000)},"result":1}`;
  t.equal(through(json, 200, other).body, other);
  t.equal(through(json, 400, nested(6_000)).body, nested(6_000));
  t.end();
});

t.test("XML that answers no call passes as it comes, however large", (t) => {
  const map = `<?xml version='1.0' encoding='UTF-8'?>\n<!-- all of it -->\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">${"<url><loc>https://odoo.test/shop</loc></url>".repeat(30_000)}</urlset>`;
  t.ok(map.length > maskedBytesMax);
  for (const pieceBytes of [10, 60_000]) {
    t.same(through("application/xml;charset=utf-8", 200, map, pieceBytes), { body: map, passed: true });
  }
  const late = `<?xml version='1.0'?>\n<!-- <urlset> -->\n<methodResponse>\n<fault><value><string>${debug}</string></value></fault></methodResponse>`;
  t.notMatch(through("text/xml", 200, late, 10).body, /Traceback/);
  t.end();
});

t.test("XML-RPC faults keep their code, and a message that is none of a program stays", (t) => {
  const fault = (code: string, text: string) =>
    `<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n<name>faultCode</name>\n<value>${code}</value>\n</member>\n<member>\n<name>faultString</name>\n<value><string>${text}</string></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n`;
  const masked = through("text/xml", 200, fault("<int>1</int>", debug), 40).body;
  t.notMatch(masked, /Traceback|opt\/odoo/);
  t.match(masked, /<int>1<\/int>[\s\S]*could not carry out this call \(exchange x-1\)/);
  const user = fault("<int>2</int>", "Not enough stock");
  t.equal(through("text/xml", 200, user).body, user);
  const oldCode = through("text/xml", 200, fault(`<string>${debug}</string>`, "x")).body;
  t.notMatch(oldCode, /Traceback/, "the old protocol's code is a text");
  const value = `<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param><value><string>${debug}</string></value></param>`;
  t.same(through("text/xml; charset=utf-8", 200, value, 64), { body: value, passed: true });
  t.end();
});
