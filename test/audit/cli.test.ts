import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { auditChecks } from "../../src/audit/catalogue/catalogue.ts";
import { audit } from "../../src/cli/audit.ts";

const program = fileURLToPath(new URL("../../src/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-audit-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const good = "[options]\nlist_db = False\nproxy_mode = True\n";
writeFileSync(join(folder, "odoo.conf"), good);
writeFileSync(join(folder, "binary.conf"), Buffer.from([0, 1, 2, 255, 254]));
writeFileSync(join(folder, "nul.conf"), "a\0b");
for (const [name, text] of [
  ["marked.conf", good],
  ["marked.hba", "local all all peer\n"],
  ["marked.pg", "ssl = on\n"],
  ["marked.nginx", "server { listen 80; return 404; }\n"],
  ["marked.yaml", "services: { odoo: { image: odoo:19.0 } }\n"],
] as const)
  writeFileSync(join(folder, name), `\ufeff${text}`);
writeFileSync(join(folder, "huge.conf"), "x".repeat(1_048_577));
writeFileSync(join(folder, "broken.yaml"), "services:\n  odoo: [\n");
writeFileSync(join(folder, "list.yaml"), "- a\n- b\n");
writeFileSync(
  join(folder, "bomb.yaml"),
  `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\nservices: { odoo: { image: x, command: *d } }\n`,
);
writeFileSync(join(folder, "empty"), "");
mkdirSync(join(folder, "settings"));
writeFileSync(
  join(folder, "settings/.env"),
  "DOMAIN=erp.example.com\nODOO_URL=http://odoo:8070\nBODY_MAX=64MiB\nDB_PASSWORD=from-the-file\n",
);
writeFileSync(
  join(folder, "settings/odoo.conf"),
  "[options]\ndbfilter = ^%d$\ndb_name = erp\nlimit_time_real = 1200\nlimit_memory_hard = 300000000\nhttp_port = 8069\n",
);
mkdirSync(join(folder, "wrong"));
writeFileSync(join(folder, "wrong/.env"), "BODY_MAX=huge\n");

interface Run {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** The command in this process, as if it were started in `cwd` with this environment alone. */
async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = folder,
): Promise<Run> {
  let out = "";
  let err = "";
  const own = process.env;
  process.env = { ...env };
  process.chdir(cwd);
  const terminal = {
    out: (text: string) => {
      out += text;
    },
    error: (text: string) => {
      err += text;
    },
    columns: 100,
    colour: false,
  };
  try {
    const status = await audit(args, terminal);
    return { status, out, err };
  } finally {
    process.env = own;
  }
}

t.test("the program itself", async (t) => {
  const started = (args: readonly string[]) =>
    new Promise<Run>((resolve) => {
      const child = execFile(
        process.execPath,
        [program, "audit", ...args],
        { cwd: folder, env: {} },
        (_error, out, err) => resolve({ status: child.exitCode, out, err }),
      );
    });
  t.match(await started(["--help"]), { status: 0, out: /Usage: odoo-gateway audit/ });
  t.match(await started(["--odoo-conf", "odoo.conf"]), {
    status: 1,
    out: /FAIL {2}conf-master-password/,
    err: "",
  });
  t.match(await started(["--odoo-conf", "gone.conf"]), { status: 2, out: "", err: /there is no such file/ });
});

t.test("exit status: findings decide, and what cannot be read is 2", async (t) => {
  const cases: readonly (readonly [args: readonly string[], status: number, says: RegExp])[] = [
    [["--odoo-conf", "odoo.conf"], 1, /FAIL {2}conf-master-password/],
    [
      ["--odoo-conf", "odoo.conf", "--only", "conf-list-db,conf-proxy-mode"],
      0,
      /0 fail, 0 warn, 0 skipped, 2 pass/,
    ],
    [["--odoo-conf", "odoo.conf", "--only", "nginx-tls"], 0, /skip {2}nginx-tls/],
    [["--odoo-conf", "odoo.conf", "--only", "conf-list"], 2, /did you mean conf-list-db/],
    [[], 2, /name at least one thing/],
    [["odoo.conf"], 2, /odoo-gateway audit --help/],
    [["--odoo-config", "x"], 2, /Unknown option/],
    [["--odoo-conf", "gone.conf"], 2, /problem: gone\.conf cannot be read: there is no such file/],
    [["--odoo-conf", "binary.conf"], 2, /problem: binary\.conf cannot be read: it is not UTF-8 text/],
    [["--odoo-conf", "nul.conf"], 2, /problem: nul\.conf is no text/],
    [["--odoo-conf", "huge.conf"], 2, /problem: huge\.conf cannot be read: it is larger than 1048576 bytes/],
    [["--odoo-conf", "."], 2, /problem: \. cannot be read: it is no regular file/],
    [["--pg-hba", "/dev/zero"], 2, /it is no regular file/],
    [["--compose", "broken.yaml"], 2, /problem: broken\.yaml:[0-9]+ is no compose file/],
    [["--compose", "list.yaml"], 2, /problem: list\.yaml:1 is no compose file: there is no service in it/],
    [["--compose", "bomb.yaml"], 2, /problem: bomb\.yaml:1 is no compose file: .*alias/i],
    [["--compose", "gone.yaml", "--odoo-conf", "odoo.conf"], 2, /FAIL {2}conf-master-password/],
    [["--nginx", "empty"], 0, /no server in it passes requests on/],
    [["--pg-hba", "empty", "--postgresql-conf", "empty"], 0, /pass {2}hba-trust/],
    [["--odoo-conf", "empty"], 1, /no section \[options\]/],
    [["--odoo-conf", "odoo.conf", "--cores", "0"], 2, /no number of cores/],
    [["--odoo-conf", "odoo.conf", "--memory", "8G"], 2, /no amount such as 8GiB/],
    [["--odoo-conf", "odoo.conf", "--memory", "8"], 2, /"8" is 8 bytes; write the unit, such as 8GiB/],
    [["--odoo-conf", "odoo.conf", "--odoo-conf", "gone.conf"], 2, /--odoo-conf stands twice; it takes one/],
    [["--odoo-conf", "odoo.conf", "--cores=2", "--cores=4"], 2, /--cores stands twice/],
    [["--odoo-conf="], 2, /--odoo-conf needs a value/],
    [
      ["--odoo-conf", "marked.conf"],
      1,
      /FAIL {2}conf-syntax [\s\S]*marked\.conf:1: the file begins with a byte/,
    ],
    [["--pg-hba", "marked.hba"], 1, /marked\.hba:1: the file begins with a byte order mark/],
    [["--postgresql-conf", "marked.pg"], 1, /marked\.pg:1: the file begins with a byte order mark/],
    [["--nginx", "marked.nginx"], 1, /marked\.nginx:1: the file begins with a byte order mark/],
    [["--compose", "marked.yaml", "--only", "compose-ports"], 0, /1 pass/],
    [["--systemd", "empty"], 1, /there is no ExecStart=/],
    [["--fail2ban", "empty"], 0, /none of them watches Odoo/],
    [["--backup", "empty"], 1, /FAIL {2}backup-age/],
    [["--backup", "gone"], 2, /problem: gone cannot be looked at/],
    [["--fail2ban", "gone"], 2, /problem: gone cannot be read/],
    [["--systemd", "gone.service"], 2, /problem: gone\.service cannot be read/],
    [["--odoo-conf", "odoo.conf", "--host", "a b"], 2, /no host name/],
    [["--odoo-conf", "odoo.conf", "--env", "gone"], 2, /--env gone cannot be read/],
    [["--odoo-conf", "odoo.conf", "--env", ".env", "--env-file", ".env"], 2, /are one option; give one/],
    [["--pg-dsn", "postgresql://u:hunter2@h:99999/x"], 2, /--pg-dsn cannot be read: the port is none/],
    [
      ["--pg-dsn", "postgresql://u:hunter2@127.0.0.1:1/x"],
      2,
      /problem: postgresql:\/\/u@127\.0\.0\.1:1\/x was not looked at: connect ECONNREFUSED/,
    ],
    [Array.from({ length: 21 }, () => ["--nginx", "empty"]).flat(), 2, /too many times --nginx/],
  ];
  for (const [args, status, says] of cases) {
    const { status: real, out, err } = await run(args);
    t.equal(real, status, args.join(" "));
    t.match(out + err, says, args.join(" "));
    t.notMatch(out + err, /hunter2|\n\s+at .*\.js|ERR_/, "no password, no stack");
  }
});

t.test("every form can be asked for", async (t) => {
  const json = await run([
    "--odoo-conf",
    "odoo.conf",
    "--json",
    "--sarif=out.sarif",
    "--junit=out.xml",
    "--html=out.html",
  ]);
  t.equal(json.status, 1);
  const report = JSON.parse(json.out);
  t.match(report, { command: "audit", subject: "odoo.conf" });
  t.ok(
    report.findings.some(
      (one: { place?: { file: string; line: number } }) =>
        one.place?.file === "odoo.conf" && one.place.line === 2,
    ),
  );
  const list = await run(["--list"]);
  t.equal(list.out.trim().split("\n").length, auditChecks.length);
});

t.test("the gateway's own settings are compared with, from .env", async (t) => {
  const { out } = await run(["--odoo-conf", "odoo.conf", "--json"], {}, join(folder, "settings"));
  const { findings, facts } = JSON.parse(out);
  const seen = (id: string): string => findings.find((one: { id: string }) => one.id === id)?.seen ?? "";
  t.match(facts.hosts, "erp.example.com");
  t.match(seen("conf-timeouts"), /Odoo may work 1200 s .* at most 720 s/);
  t.match(seen("conf-upload-memory"), /bodies of 64MiB/);
  t.match(seen("conf-ports"), /the gateway asks port 8070/);
  t.match(seen("conf-dbfilter-hosts"), /erp\.example\.com sees "erp"/);
  t.notMatch(out, /from-the-file/);
});

t.test("the environment wins over .env, and settings with problems are told", async (t) => {
  const other = await run(
    ["--odoo-conf", "odoo.conf", "--json"],
    { DOMAIN: "shop.example.com" },
    join(folder, "settings"),
  );
  t.equal(JSON.parse(other.out).facts.hosts, "shop.example.com");
  const wrong = await run(["--odoo-conf", "../odoo.conf", "--json"], {}, join(folder, "wrong"));
  t.match(JSON.parse(wrong.out).facts.gateway, /its settings have 1 problem/);
});
