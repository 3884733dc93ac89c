import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { accountCharsMax, accountHasher, accountName } from "../../src/guard/account-name.ts";
import { loadLocalSecret, localSecretFile } from "../../src/guard/local-secret.ts";
import type { Door } from "../../src/guard/login-door.ts";

interface Sketch {
  readonly type?: string;
  readonly query?: string;
  readonly body?: string | Buffer;
  readonly whole?: boolean;
}

function nameOf(
  door: Door,
  { type = "application/x-www-form-urlencoded", query = "", body = "", whole = true }: Sketch,
) {
  const facts = {
    contentType: type.split(";")[0]?.trim().toLowerCase() ?? "",
    query,
    fields: ["Content-Type", type],
  };
  return accountName(door, facts, { call: null, memory: Buffer.from(body), whole });
}

/** What attempts are counted by. */
function countedBy(door: Door, sketch: Sketch): string | null {
  const named = nameOf(door, sketch);
  return named.kind === "name" ? named.folded : null;
}

const multipart = "multipart/form-data; boundary=XX";
const part = (name: string, value: string, more = "") =>
  `--XX\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
const member = (value: string) => `<param>\n<value>${value}</value>\n</param>\n`;
const xml = (...values: string[]) =>
  `<?xml version='1.0'?>\n<methodCall>\n<methodName>login</methodName>\n<params>\n${values.map(member).join("")}</params>\n</methodCall>\n`;

t.test("a log-in name is read where it has one reading", (t) => {
  const good: readonly [Door, Sketch, string][] = [
    ["form", { body: "login=Admin%40x.com&password=p" }, "admin@x.com"],
    ["form", { body: "lo%67in=+anna+b%C3%A9+" }, "anna bé"],
    ["form", { query: "login=admin&password=x" }, "admin"],
    ["form", { body: "login=a", type: "application/x-www-form-urlencoded; charset=UTF-8" }, "a"],
    [
      "form",
      { type: multipart, body: `${part("login", "admin")}${part("password", "p")}--XX--\r\n` },
      "admin",
    ],
    [
      "upload",
      { type: multipart, body: `${part("login", "a")}${part("mod_file", "PK", '; filename="m.zip"')}--XX--` },
      "a",
    ],
    ["authenticate", { body: '{"params":{"login":"\\u0061dmin","password":"x"}}' }, "admin"],
    ["call", { body: '{"params":{"args":[[],{"login":"demo"}]}}' }, "demo"],
    ["xml-common", { body: xml("<string>prod</string>", "<string>a&amp;b&#233;</string>") }, "a&bé"],
    ["xml-common", { body: xml("prod", "admin") }, "admin"],
    ["xml-object", { body: xml("<string>prod</string>", "<int>2</int>") }, "uid:2"],
  ];
  for (const [door, sketch, name] of good)
    t.equal(countedBy(door, sketch), name, `${door} ${sketch.body ?? sketch.query}`);
  t.end();
});

t.test("a log-in name with two readings is no name", (t) => {
  const none: readonly [Door, Sketch][] = [
    ["form", { body: "login=admin&login=demo" }],
    ["form", { body: "login=admin", query: "login=demo" }],
    ["form", { body: "login=%ff" }],
    ["form", { body: "login=%zz" }],
    ["form", { body: Buffer.from("login=\xe9", "latin1") }],
    ["form", { body: "login=admin", type: "application/x-www-form-urlencoded; charset=utf-16" }],
    ["form", { body: "login=admin", whole: false }],
    ["form", { body: `login=${"a".repeat(accountCharsMax + 1)}` }],
    ["form", { body: "login=a%00b" }],
    ["form", { body: "login=" }],
    ["form", { body: `${"x=1&".repeat(200)}login=admin` }],
    ["form", { type: multipart, body: `${part("login", "a")}${part("login", "b")}--XX--` }],
    ["form", { type: multipart, body: `--XX\nContent-Disposition: form-data; name="login"\n\na\n--XX--` }],
    [
      "form",
      { type: multipart, body: `--XX\r\nContent-Disposition: form-data; name=login\r\n\r\na\r\n--XX--` },
    ],
    [
      "form",
      {
        type: multipart,
        body: `--XX\r\nContent-Disposition: form-data; name="login"\r\nContent-Type: text/plain; charset=utf-16-le\r\n\r\na\r\n--XX--`,
      },
    ],
    ["form", { type: "text/plain", body: "login=admin" }],
    ["authenticate", { body: '{"params":{"login":"a","login":"b"}}' }],
    ["authenticate", { body: '{"params":[["login","a"]]}' }],
    ["authenticate", { body: '{"params":{"login":["a"]}}' }],
    ["xml-common", { body: xml("<string>prod</string>", "<string><![CDATA[admin]]></string>") }],
    ["xml-common", { body: xml("<string>prod</string>", "<string>&login;</string>") }],
    ["xml-common", { body: `${xml("p", "a").replace("</params>", "</params><methodName>x</methodName>")}` }],
    ["xml-common", { body: xml("p", "a").replace("version='1.0'", "version='1.0' encoding='utf-7'") }],
    [
      "xml-common",
      {
        body: `<methodCall><params>${member("p")}${member("a")}</params><methodName>login</methodName></methodCall>`,
      },
    ],
    ["xml-object", { body: xml("<string>prod</string>", "<string>two</string>") }],
    ["second-factor", { body: "login=admin" }],
    ["lookup", { query: "signup_email=A%40b" }],
  ];
  for (const [door, sketch] of none)
    t.equal(countedBy(door, sketch), null, `${door} ${String(sketch.body).slice(0, 90)}`);
  t.end();
});

t.test("white space before a call does not keep the process busy", (t) => {
  const blank = " \n".repeat(32_000);
  const call = xml("p", "admin");
  t.equal(countedBy("xml-common", { body: blank + call.slice(call.indexOf("<methodCall>")) }), "admin");
  // Each of them took four seconds.
  for (let i = 0; i < 40; i += 1)
    t.equal(
      countedBy("xml-common", { body: blank + xml("p", `a${i}`).replace("<methodCall>", "<methodCall >") }),
      null,
    );
  t.end();
});

t.test("a name of nothing but marks does not keep the process busy", (t) => {
  // Marks that stand in the wrong order: bringing them into theirs took half a second, for each of these minutes together.
  const marks = "\u0315".repeat(16_000) + "\u0300".repeat(16_000);
  for (let i = 0; i < 200; i += 1)
    t.equal(nameOf("form", { body: `login=${i}${marks}` }).kind, "odd", `name ${i}`);
  const few = "e\u0323\u0302@example.com";
  t.equal(countedBy("form", { body: `login=${few}` }), few.normalize("NFC"));
  // Every letter here is written with four characters and counted as one.
  const long = "\u03b1\u0313\u0300\u0345".repeat(accountCharsMax);
  t.equal(countedBy("form", { body: `login=${long}` }), "\u1f82".repeat(accountCharsMax));
  t.equal(nameOf("form", { body: `login=a${long}` }).kind, "odd");
  t.end();
});

t.test("a name that has two readings is told from none, and from one that is written otherwise", (t) => {
  const oddly: readonly [Door, Sketch][] = [
    ["form", { body: "login=admin&login=demo" }],
    ["form", { body: "login=%ff" }],
    ["form", { body: "login=admin", whole: false }],
    ["form", { body: `login=${"a".repeat(accountCharsMax + 1)}` }],
    ["authenticate", { body: '{"params":[["login","a"]]}' }],
    ["authenticate", { body: '{"params":{"login":["a"]}}' }],
    ["authenticate", { body: '{"params":{"login":"a"}}', whole: false }],
    ["call", { body: '{"params":{"method":"authenticate","args":[[],{"login":"a","login":"b"}]}}' }],
    [
      "call",
      {
        body: '{"params":{"method":"authenticate","args":[[],{"login":"a"}],"kwargs":{"credential":{"login":"b"}}}}',
      },
    ],
    ["xml-common", { body: xml("<string>prod</string>", "<string><![CDATA[admin]]></string>") }],
  ];
  for (const [door, sketch] of oddly)
    t.same(nameOf(door, sketch), { kind: "odd" }, `${door} ${String(sketch.body).slice(0, 90)}`);
  const nobody: readonly [Door, Sketch][] = [
    ["form", { body: "login=" }],
    ["form", { body: "webauthn_response=x&type=webauthn" }],
    ["authenticate", { body: '{"params":{"db":"prod"}}' }],
    ["call", { body: '{"params":{"method":"change_password","args":["old","new"]}}' }],
    ["xml-object", { body: xml("prod", "two") }],
    ["check", { body: "{}" }],
  ];
  for (const [door, sketch] of nobody)
    t.same(nameOf(door, sketch), { kind: "none" }, `${door} ${String(sketch.body).slice(0, 90)}`);
  t.match(nameOf("form", { body: "login=Anna" }), { folded: "anna", written: "Anna" });
  t.match(
    nameOf("call", { body: '{"params":{"method":"authenticate","kwargs":{"credential":{"login":"a"}}}}' }),
    {
      folded: "a",
    },
  );
  const latin = xml("prod", "admin").replace("version='1.0'", "version='1.0' encoding='iso-8859-1'");
  t.match(nameOf("xml-common", { body: latin }), { folded: "admin" }, "as PHP writes it");
  t.same(nameOf("xml-common", { body: latin.replace("admin", "\u00e4dmin") }), { kind: "odd" });
  t.end();
});

t.test("a boundary that Werkzeug would take another for is no boundary", (t) => {
  const inner = `--AAA\r\nContent-Disposition: form-data; name="login"\r\n\r\nattacker\r\n--AAA--\r\n`;
  const body = `--BBB\r\nContent-Disposition: form-data; name="login"\r\n\r\nvictim\r\n--BBB\r\nContent-Disposition: form-data; name="x"\r\n\r\n${inner}\r\n--BBB--\r\n`;
  for (const type of [
    'multipart/form-data; boundary=AAA; x="; boundary="BBB"',
    "multipart/form-data; boundary=AAA; boundary=BBB",
    'multipart/form-data; x=1; boundary="BBB"',
    "multipart/form-data; boundary*=BBB; boundary=BBB",
  ])
    t.same(nameOf("form", { type, body }), { kind: "odd" }, type);
  t.match(nameOf("form", { type: "multipart/form-data; boundary=BBB", body }), { folded: "victim" });
  t.end();
});

t.test("names leave the process only hashed with a secret that stays on the machine", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-secret-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const first = await loadLocalSecret(folder, () => {});
  const second = await loadLocalSecret(folder, () => {});
  if (!first.ok || !second.ok) throw new Error("no secret");
  t.same(first.value, second.value, "the same after a restart");
  t.equal(statSync(join(folder, localSecretFile)).mode & 0o777, 0o600);
  t.equal(accountHasher(first.value)("admin"), accountHasher(second.value)("admin"));
  t.not(accountHasher(first.value)("admin"), accountHasher(Buffer.alloc(32))("admin"));
  t.match(accountHasher(first.value)("admin"), /^[A-Za-z0-9_-]{22}$/);
  writeFileSync(join(folder, localSecretFile), "short");
  t.match(await loadLocalSecret(folder, () => {}), { ok: false, error: { remedy: /remove it/ } });
  t.equal(readFileSync(join(folder, localSecretFile), "utf8"), "short", "never replaced by itself");
});
