import { spawnSync } from "node:child_process";
import t from "tap";
import { XmlCallScan, xmlDepthMax } from "../../src/guard/xml-call.ts";

/** The reading of a body that comes in pieces of this many bytes: method and arguments, null when there is none. */
function readingOf(body: string | Buffer, pieceBytes = Number.POSITIVE_INFINITY): unknown[] | null {
  const bytes = Buffer.from(body);
  const scan = new XmlCallScan();
  for (let at = 0; at < bytes.length; at += pieceBytes) scan.push(bytes.subarray(at, at + pieceBytes));
  const call = scan.end();
  return call === null ? null : [call.method, ...call.args.map((arg) => arg?.text ?? null)];
}

const value = (inner: string) => `<param><value>${inner}</value></param>`;
const call = (params: string, method = "execute_kw") =>
  `<?xml version="1.0"?>\n<methodCall>\n<methodName>${method}</methodName>\n<params>\n${params}\n</params>\n</methodCall>\n`;
const five = [
  value("<string>prod</string>"),
  value("<int>2</int>"),
  value("secret"),
  value("<string>res.partner</string>"),
  value("\n <string>read</string>\n "),
].join("\n");
const rest = value(
  "<array><data><value><struct><member><name>a</name><value><boolean>1</boolean></value></member></struct></value><value/></data></array>",
);
const read = ["execute_kw", "prod", "2", "secret", "res.partner", "read"];

t.test("a call as libraries write it has one reading, however it is cut", (t) => {
  for (const pieceBytes of [1, 2, 3, 7, 64, 100_000]) t.same(readingOf(call(five + rest), pieceBytes), read);
  t.same(readingOf(`\ufeff${call(five)}`), read, "byte order mark");
  t.same(readingOf(call(five).replace(/\n/g, "").slice(21)), read, "no declaration");
  t.same(readingOf(call(five.replaceAll("<int>", '<int a="b">'))), read, "attributes say nothing");
  t.same(readingOf("<methodCall><methodName>version</methodName></methodCall>"), ["version"]);
  t.same(readingOf("<methodCall><methodName>version</methodName><params/></methodCall>"), ["version"]);
  t.same(readingOf(call(value("<![CDATA[a&amp;b]]>") + value("a&amp;&#x62;") + value("<string/>"))), [
    "execute_kw",
    "a&amp;b",
    "a&b",
    "",
  ]);
  t.same(readingOf(call(value("<nil/>") + value("<ex:nil/>") + value("<double>1.5</double>"))), [
    "execute_kw",
    null,
    null,
    null,
  ]);
  const long = value(`<string>${"x".repeat(3_000)}</string>`);
  t.same(readingOf(call(long + value("b"))), ["execute_kw", null, "b"], "a long text is not told");
  t.end();
});

t.test("what Python's reader could take for other arguments has no reading", (t) => {
  const good = call(five);
  const bad: readonly (readonly [string, string])[] = [
    ["comment", good.replace("prod", "pr<!-- -->od")],
    ["instruction", good.replace("<params>", "<?a b?><params>")],
    ["two names", good.replace("<params>", "<methodName>read</methodName><params>")],
    ["name behind the params", `<methodCall><params>${five}</params><methodName>x</methodName></methodCall>`],
    ["two params", good.replace("</methodCall>", `<params>${five}</params></methodCall>`)],
    ["two values in a param", good.replace("<param><value>", "<param><value>a</value><value>")],
    ["two types in a value", good.replace("<string>prod", "<string>a</string><string>prod")],
    ["text beside a type", good.replace("<string>prod", "x<string>prod")],
    ["text behind a type", good.replace("prod</string>", "prod</string>x")],
    ["a type outside a value", good.replace("<params>", "<params><string>x</string>")],
    ["a name outside a member", good.replace("<params>", "<params><name>x</name>")],
    ["text between params", good.replace("<params>", "<params>x")],
    ["unknown type", good.replaceAll("string>", "text>")],
    ["crossed", "<methodCall><methodName>a</methodCall></methodName>"],
    ["another root", good.replaceAll("methodCall", "methodResponse")],
    ["two roots", `${good}${good}`],
    ["cut", good.slice(0, -4)],
    ["second declaration", `${good}<?xml version="1.0"?>`],
    ["member without name", call(value("<struct><member><value>x</value></member></struct>"))],
    ["value before name", call(value("<struct><member><value>x</value><name>a</name></member></struct>"))],
    ["array without data", call(value("<array><value>x</value></array>"))],
    ["sign in an attribute", good.replace("<string>prod", '<string a=">">prod')],
    ["unknown reference in the name", good.replace("execute_kw", "&x;")],
    ["doctype", good.replace("<methodCall>", "<!DOCTYPE a><methodCall>")],
    ["no XML", "service=db"],
    ["nothing", ""],
    [
      "nested too deeply",
      call(value("<array><data><value>".repeat(xmlDepthMax) + "</value></data></array>".repeat(xmlDepthMax))),
    ],
    ["endless tag", `<methodCall ${"x".repeat(100_000)}`],
  ];
  for (const [what, body] of bad)
    for (const bytes of [5, 100_000]) t.equal(readingOf(body, bytes), null, what);
  t.end();
});

const python = spawnSync("python3", ["-c", "import xmlrpc.client"]).status === 0;

t.test(
  "Python's own library finds the same arguments",
  { skip: python ? false : "python3 is not installed" },
  (t) => {
    const bodies = [
      call(five + rest),
      call(five).replace("prod", "caf\u00e9 &amp; &#38; <![CDATA[<b>]]>").replace(/\n/g, ""),
      call(value(" ") + value("\n<string>a</string>\n") + value("<ex:i8>5</ex:i8>")),
    ];
    const script =
      "import sys,json,xmlrpc.client as x\nfor b in json.load(sys.stdin):\n p,m=x.loads(b.encode(),use_builtin_types=True)\n print(json.dumps([m]+[str(v) for v in p[:5]]))";
    const ran = spawnSync("python3", ["-c", script], { input: JSON.stringify(bodies), encoding: "utf8" });
    const lines = ran.stdout.trim().split("\n");
    t.equal(lines.length, bodies.length, ran.stderr);
    for (const [i, body] of bodies.entries()) t.same(readingOf(body, 3), JSON.parse(lines[i] ?? "null"));
    t.end();
  },
);
