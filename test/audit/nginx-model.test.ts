import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { modelOf } from "../../src/audit/nginx/model.ts";
import { type Directive, readNginx } from "../../src/audit/nginx/parse.ts";
import {
  attachmentProbes,
  formDoorProbes,
  jsonServiceProbes,
  managerProbes,
  rpcDoorProbes,
  xmlServiceProbes,
} from "../../src/audit/nginx/probes.ts";
import { stranger, walk } from "../../src/audit/nginx/walk.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import { look, seen } from "../support/audit.ts";
import { nginxMissing, startNginx } from "../support/nginx.ts";

const root = join(packageRoot().directory, "test/audit/fixtures");
const missing = nginxMissing();
const withNginx = missing === null ? {} : { skip: missing };

/** The text of a fixture with its includes in place, since nginx looks for them elsewhere. */
function whole(name: string): string {
  return readFileSync(join(root, name), "utf8").replaceAll(/include (conf\.d\/\S+);/g, (_all, file: string) =>
    readFileSync(join(root, "guide1", file), "utf8"),
  );
}

const more = [
  "/",
  "/web",
  "/web/",
  "/web/login?redirect=/x",
  "/odoo/x.css",
  "/web/static/src/a.js",
  "/longpolling/poll",
  "/websocket",
  "/x/../web/database/manager",
  "/web/./database/manager",
  "/..",
  "/a/../../b",
  "/%2e%2e/x",
  "/a%00b",
  "/%zz",
  "/web//database//manager",
  "/WEB/DATABASE/manager",
  "/web/database",
  "/web/databasex",
  "http:/web/database/manager",
  "/%C3%A4",
  "/exact",
  "/exact/",
  "/exactly",
  "/stop/x",
  "/stop/x.php",
  "/stop/inner",
  "/stop",
  "/regex/a",
  "/regex/a.css",
  "/regex/case1",
  "/nested/a",
  "/nested/deep/x",
  "/nested/rest",
  "/nested/deep/../re",
  "/mapped/web/database/manager",
  "/mapped/%77eb",
  "/shifted/login",
  "/moved/a",
  "/broken/login",
  "/away/x",
  "/tried/x",
  "/none/x",
  "/hidden/x",
  "/lan/x",
  "/not-me/x",
  "/secret/x",
  "/either/x",
  "/neither/x",
  "/readers/x",
  "/set/x",
  "/quoted/abc/",
  "/counted/ab/x",
  "/counted/abc/x",
  "/x?debug=1",
  "/xmlrpc/2/object",
  "//xmlrpc/2/object",
  "/x?y=web/database",
];

/** Targets for each location of a site: itself, what is below it, with and without a query. */
function ownTargets(site: string): readonly string[] {
  return [...site.matchAll(/location (?:[=~^*]+ )?"?\^?(\/[^ "{(]*)/g)].flatMap(([, path = ""]) => {
    const plain = path.replaceAll(" ", "%20");
    return [
      plain,
      `${plain}x`,
      `${plain}/a/b?debug=1`,
      `${plain}secret?x=foo`,
      `${plain}?x=bazr`,
      `${plain}a%20b`,
    ];
  });
}

for (const [name, host] of [
  ["guide1/sites/odoo.conf", "tudominio.com"],
  ["guide4/nginx.conf", "odoo.mycompany.com"],
  ["good/nginx.conf", "erp.example.com"],
  ["model/twists.conf", "twists.example.com"],
  ["model/more-twists.conf", "more.example.com"],
] as const)
  t.test(`the model of ${name} chooses as nginx does`, withNginx, async (t) => {
    const nginx = await startNginx(whole(name));
    t.teardown(() => nginx.close());
    const file = readNginx(name, nginx.text, () => null);
    t.same(file.mistakes, []);
    const model = modelOf(file.directives);
    const server = model.servers.find(({ names, locations }) => names.includes(host) && locations.length > 0);
    if (server === undefined) return void t.fail("no server");
    const probes = [
      ...managerProbes(host),
      ...xmlServiceProbes(),
      ...jsonServiceProbes(),
      ...formDoorProbes(),
      ...rpcDoorProbes(),
      ...attachmentProbes,
      ...[...more, ...ownTargets(nginx.text)].flatMap((target) =>
        ["GET", "POST"].map((method) => ({ method, target })),
      ),
      { method: "PROPFIND", target: "/" },
    ];
    let proxied = 0;
    let refused = 0;
    for (const { method, target } of probes) {
      const real = await nginx.ask(method, target, host, stranger);
      const model_ = walk(model, server, { method, target, host, isUpgrade: false });
      const told =
        model_.kind === "proxied"
          ? { status: 299, sent: model_.sent }
          : { status: model_.status, sent: null };
      // nginx closes 444 without a word, and says 500 for a password file that is empty.
      const seen = real.status === 0 ? { status: 444, sent: null } : real;
      t.same(told, seen, `${method} ${target}`);
      if (told.sent === null) refused += 1;
      else proxied += 1;
    }
    t.ok(proxied > 5 && refused > 5, `${proxied} passed on, ${refused} answered by nginx`);
  });

t.test("words are cut as nginx cuts them", async (t) => {
  const braced = "$" + "{b}";
  const names = (text: string) => {
    const flat = (all: readonly Directive[]): unknown[] =>
      all.map(({ name, args, block }) => [name, ...args, ...(block === null ? [] : [flat(block)])]);
    const { directives, mistakes } = readNginx("x.conf", text, () => null);
    return [flat(directives), mistakes.map(({ place, thing }) => `${place.line} ${thing}`)];
  };
  t.same(names('a "b c" \'d;e\' f\\"g;'), [[["a", "b c", "d;e", 'f"g']], []]);
  t.same(names(`a ${braced}c; # d;\ne { f; }`), [
    [
      ["a", `${braced}c`],
      ["e", [["f"]]],
    ],
    [],
  ]);
  t.same(names("location ~ \\.(js|css)$ { return 404; }"), [
    [["location", "~", "\\.(js|css)$", [["return", "404"]]]],
    [],
  ]);
  t.match(names("server_tokens off\nlisten 80;")[1], ['1 server_tokens has no ";" behind it']);
  t.match(names("a { b;")[1], ["1 the block of a is not closed"]);
  t.match(names("a; }")[1], ['1 a "}" closes nothing']);
  t.match(names('a "b')[1], ["1 a quote is not closed", '1 a has no ";" behind it']);
  t.match(names("a")[1], ['1 a has no ";" behind it']);
  t.match(names("; {}")[1], ['1 a ";" stands without a directive', '1 a "{" stands without a directive']);
  t.match(names("a {".repeat(100_000))[1], [/too large or too deep/]);
  t.match(names("a;".repeat(100_000))[1], [/too large or too deep/]);
});

t.test("a pattern that never ends is given up once, and named", async (t) => {
  const site = `server { listen 443 ssl; server_name a.example.com;
    location ~ "^/(?:[a-z_/]+)+x$" { return 404; }
    location ~ (unclosed { return 404; }
    location / { proxy_pass http://127.0.0.1:8069; } }`;
  const result = await look({ nginx: ["f"] }, { f: site });
  t.same(seen(result, "nginx-syntax"), ["warn 2", "warn 3"]);
  t.same(seen(result, "nginx-database-manager"), ["fail 4"], "and closes nothing");
});

t.test("includes are found beside the site and above it, patterns too", async (t) => {
  const files = {
    "nginx/sites/odoo":
      "server { listen 443 ssl; include snippets/tls.conf; include more/*.conf; location / { include proxy.conf; } include gone.conf; include gone/*.conf; }",
    "nginx/snippets/tls.conf": "ssl_protocols TLSv1;",
    "nginx/more/b.conf": "server_tokens off;",
    "nginx/sites/proxy.conf": "proxy_pass http://127.0.0.1:8069;",
    "nginx/loop.conf": "include loop.conf;",
  };
  const result = await look({ nginx: ["nginx/sites/odoo"] }, files);
  const protocols = result.findings.find(({ id }) => id === "nginx-tls-protocols");
  t.match(protocols, { outcome: "fail", place: { file: "nginx/snippets/tls.conf", line: 1 } });
  t.same(seen(result, "nginx-banner"), ["pass 1"]);
  t.match(
    result.findings.find(({ id }) => id === "nginx-syntax"),
    { outcome: "skipped", seen: /include gone\.conf was not found/ },
  );
  const loop = await look({ nginx: ["nginx/loop.conf"] }, files);
  t.ok(loop.findings.length > 0, "a file that includes itself ends");
});
