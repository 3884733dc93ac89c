import t from "tap";
import { look, seen } from "../support/audit.ts";

const site = `server {
  listen 80;
  server_name erp.example.com;
  location / { proxy_pass http://127.0.0.1:8069; }
}
`;
const main = `http {
  include conf.d/*.conf;
  include /etc/nginx/sites-enabled/*;
}
`;
const dump = (...files: readonly (readonly [path: string, text: string])[]) =>
  files.map(([path, text]) => `# configuration file ${path}:\n${text}\n`).join("");
const whole = dump(
  ["/etc/nginx/nginx.conf", main],
  ["/etc/nginx/conf.d/a.conf", "server_tokens off;\n"],
  ["/etc/nginx/sites-enabled/odoo", site],
  ["/etc/nginx/sites-enabled/.hidden", "nonsense"],
);

t.test("what nginx -T prints is read as the files it holds, each with its own lines", async (t) => {
  const result = await look({ nginx: ["dump.txt"] }, { "dump.txt": whole });
  t.same(seen(result, "nginx-syntax"), ["pass"]);
  t.match(
    result.findings.find(({ id }) => id === "nginx-banner"),
    { outcome: "pass", place: { file: "/etc/nginx/conf.d/a.conf", line: 1 } },
  );
  t.match(
    result.findings.find(({ id }) => id === "nginx-database-manager"),
    { outcome: "fail", place: { file: "/etc/nginx/sites-enabled/odoo", line: 4 } },
  );
});

t.test("what nginx says of the test may stand in front of it", async (t) => {
  const said =
    "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\nnginx: configuration file /etc/nginx/nginx.conf test is successful\n";
  const warned = "2026/11/21 03:40:52 [warn] 7#7: the user directive makes sense only as root\n";
  for (const text of [
    said + whole,
    warned + said + whole,
    `nginx: [warn] conflicting server name\n${said}${whole}`,
  ])
    t.same(seen(await look({ nginx: ["d"] }, { d: text }), "nginx-banner"), ["pass 1"]);
});

t.test("files of this machine are not mixed in", async (t) => {
  const text = dump(["/etc/nginx/nginx.conf", `http { include extra.conf; ${site} }`]);
  const result = await look({ nginx: ["d"] }, { d: text, "nginx/extra.conf": "server_tokens off;" });
  t.match(
    result.findings.filter(({ id, outcome }) => id === "nginx-syntax" && outcome === "skipped"),
    [{ seen: /include extra\.conf was not found/ }],
  );
  t.same(seen(result, "nginx-banner"), ["warn 1"]);
});

t.test("a file with such a comment further down is no dump", async (t) => {
  const result = await look({ nginx: ["f"] }, { f: `${site}# configuration file /etc/x:\n` });
  t.match(
    result.findings.find(({ id }) => id === "nginx-database-manager"),
    { place: { file: "f", line: 4 } },
  );
});

t.test("a dump that includes itself ends, and so does one of headers alone", async (t) => {
  const loop = dump(["/a/n.conf", "include n.conf; include *.conf;"], ["/a/b.conf", "include /a/*.conf;"]);
  for (const text of [loop, "# configuration file /a:\n".repeat(5_000), "# configuration file /a:"])
    t.ok((await look({ nginx: ["d"] }, { d: text })).findings.length > 0);
});

t.test("patterns in folders and classes of letters are includes as well", async (t) => {
  const result = await look(
    { nginx: ["nginx/nginx.conf"] },
    {
      "nginx/nginx.conf": "http { include */[a-o]*.conf; }",
      "nginx/conf.d/tokens.conf": "server_tokens on;",
      "nginx/conf.d/a.conf": "server_tokens off;",
      "nginx/sites/odoo.conf": site,
      "nginx/.git/a.conf": "nonsense",
    },
  );
  t.same(seen(result, "nginx-syntax"), ["pass"]);
  t.same(seen(result, "nginx-banner"), ["pass 1"]);
});
