import fc from "fast-check";
import t from "tap";
import { look } from "../support/audit.ts";

/** Random lines made of the pieces the readers look for. */
function textOf(pieces: readonly string[]): fc.Arbitrary<string> {
  return fc
    .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 12 }), fc.integer().map(String)), {
      maxLength: 60,
    })
    .map((parts) => parts.join(""));
}

const runs = { numRuns: 300, endOnFailure: true };

/** No text makes a reader throw, and the report of any text is bounded. */
async function holds(
  t_: Pick<typeof t, "ok">,
  pieces: readonly string[],
  request: (text: string) => ReturnType<typeof look>,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(textOf(pieces), async (text) => {
      const { findings } = await request(text);
      if (findings.length > 3_000) throw new Error(`${findings.length} findings`);
    }),
    runs,
  );
  t_.ok(true);
}

t.test("no odoo.conf makes the audit fail", async (t) => {
  await holds(
    t,
    [
      "[options]\n",
      "\n",
      " = ",
      "admin_passwd",
      "dbfilter",
      "$pbkdf2-sha512$",
      "^%d$",
      "(a+)+",
      "workers",
      "log_handler",
      ":",
      ",",
      "[",
      "list_db",
      "; ",
      "  ",
      "limit_memory_hard",
      "%h",
    ],
    (text) => look({ odooConf: "f", hosts: ["a.example.com"], databases: ["a"] }, { f: text }),
  );
});

t.test("no pg_hba.conf or postgresql.conf makes the audit fail", async (t) => {
  await holds(
    t,
    [
      "host ",
      "local ",
      "all ",
      "\n",
      "0.0.0.0/0",
      "::/0 ",
      "trust",
      "md5",
      '"',
      "\\\n",
      "#",
      "include_dir ",
      "= ",
      "'",
      "ssl ",
      "max_connections ",
      "listen_addresses ",
    ],
    (text) => look({ pgHba: "f", postgresqlConf: "f" }, { f: text }),
  );
});

t.test("no unit of systemd makes the audit fail", async (t) => {
  await holds(
    t,
    [
      "[Service]\n",
      "ExecStart=",
      "/usr/bin/odoo ",
      "-c ",
      "User=",
      "root",
      "\n",
      "\\\n",
      "#",
      ";",
      "'",
      '"',
      "\\",
      "$A ",
      "$",
      "{A}",
      "Environment=",
      "A=1 ",
      "EnvironmentFile=f\n",
      "ProtectSystem=strict\n",
      "=",
      "%",
    ],
    (text) => look({ systemd: ["f"] }, { f: text, "f.d/a.conf": text }),
  );
});

t.test("no jail and no filter of fail2ban makes the audit fail", async (t) => {
  await holds(
    t,
    [
      "[odoo]\n",
      "[Definition]\n",
      "[INCLUDES]\nbefore = f\n",
      "failregex = ",
      "filter = odoo[a=1]\n",
      "Login failed for ",
      "<HOST>",
      "<F-USER>",
      "</F-USER>",
      "%(a)s",
      "a = ",
      "<a>",
      "%%",
      "\\S+",
      ".*",
      "(",
      ")",
      "[",
      "maxretry = ",
      "bantime = -",
      "logpath = *",
      "\n",
      "\n  ",
      " # ",
      " ; ",
    ],
    (text) =>
      look(
        { fail2ban: ["f", "d"], odooConf: "o" },
        { f: text, "d/jail.local": text, "d/filter.d/odoo.conf": text, o: "[options]\nlogfile = /x\n" },
      ),
  );
});

t.test("no nginx site makes the audit fail", async (t) => {
  await holds(
    t,
    [
      "server {",
      "}",
      ";",
      "listen 443 ssl;",
      "location ",
      "~* ",
      "/web/ {",
      "proxy_pass http://o:8069;",
      "if ($request_uri ~ ",
      ") {",
      "return 404;",
      '"',
      "'",
      "\\",
      "rewrite ^/(.*)$ /$1 last;",
      "include f;",
      "map $a $b {",
      "default ",
      "allow all;",
      "\n",
      "try_files @x;",
      "${",
      "= ",
      "^~ ",
      "limit_except GET {",
    ],
    (text) => look({ nginx: ["f"] }, { f: text }),
  );
});

t.test("no compose file makes the audit fail", async (t) => {
  await holds(
    t,
    [
      "services:\n",
      "include: [f, g]\n",
      "    extends: odoo\n",
      "    extends: { file: g, service: odoo }\n",
      "    env_file: e\n",
      "!reset ",
      "  odoo:\n",
      "    image: odoo\n",
      "    ports:\n",
      '      - "8069:8069"\n',
      "    environment:\n",
      "      A: ",
      "&a ",
      "*a",
      "<<: ",
      "{",
      "}",
      "[",
      "]",
      ": ",
      "- ",
      "\n",
      "  ",
      "!tag ",
      "| \n",
    ],
    (text) => look({ compose: ["f", "g"] }, { f: text, g: text.slice(text.length / 2), e: text }),
  );
});
