import t from "tap";
import type { Modes } from "../../src/audit/context.ts";
import { unitWords } from "../../src/audit/systemd/read.ts";
import { look, seen } from "../support/audit.ts";

const base = "[Service]\nUser=odoo\nExecStart=/opt/odoo/odoo-bin -c /etc/odoo/odoo.conf\n";
const hardened = `${base}NoNewPrivileges=yes\nProtectSystem=full\nProtectHome=yes\nPrivateTmp=yes\nRestart=always\n`;

/** Looks at a unit `odoo.service`, with other files beside it. */
const unit = (
  text: string,
  files: Readonly<Record<string, string>> = {},
  modes: Readonly<Record<string, Modes>> = {},
) => look({ systemd: ["odoo.service"] }, { "odoo.service": text, ...files }, modes);

t.test("Odoo as root is seen, however the unit says it", async (t) => {
  const cases: readonly (readonly [text: string, outcome: string])[] = [
    [base, "pass 2"],
    [base.replace("User=odoo\n", ""), "fail 2"],
    [base.replace("User=odoo", "User=root"), "fail 2"],
    [base.replace("User=odoo", "User=0"), "fail 2"],
    // The last one holds, and an empty one takes back what stood before.
    [`${base}User=\n`, "fail 3"],
    [`${base}[Unit]\nUser=root\n`, "pass 2"],
    [base.replace("User=odoo", "User=odoo # not root"), "fail 2"],
    [base.replace("ExecStart=", "ExecStart=+"), "fail 3"],
    [base.replace("ExecStart=", "ExecStart=-!"), "fail 3"],
    [base.replace("User=odoo\n", "").replace("ExecStart=", "ExecStart=/usr/bin/sudo -u odoo "), "warn 2"],
    [base.replace("User=odoo", "DynamicUser=yes"), "pass 2"],
    [base.replace("User=odoo", "User=postgres"), "fail 2"],
    [base.replace("User=odoo", "User=www-data"), "warn 2"],
    [`${base}Group=docker\n`, "fail 4"],
    ["[Service]\nExecStart=/usr/bin/docker run --rm odoo:19.0\n", "skipped 2"],
  ];
  for (const [text, outcome] of cases) t.same(seen(await unit(text), "systemd-user"), [outcome], text);
});

t.test("the shell of the user is looked up on this machine", async (t) => {
  const shell = async (passwd: string) => seen(await unit(base, { passwd }), "systemd-user");
  t.same(await shell("odoo:x:999:999::/opt/odoo:/usr/sbin/nologin\n"), ["pass 2"]);
  t.same(await shell("odoo:x:999:999::/opt/odoo:/bin/bash\n"), ["warn 2"]);
  t.same(await shell("odoo:x:999:999::/opt/odoo:\n"), ["warn 2"], "an empty shell is /bin/sh");
  t.same(await shell("odoo:x:0:0::/root:/usr/sbin/nologin\n"), ["fail 2"], "another name of root");
  t.same(await shell("other:x:1:1::/:/bin/bash\n"), ["pass 2"]);
});

t.test("drop-ins beside the unit are read in name order, and named where they stand", async (t) => {
  const result = await unit(base, {
    "odoo.service.d/20-user.conf": "[Service]\nUser=root\n",
    "odoo.service.d/10-user.conf": "[Service]\nUser=erp\nNoNewPrivileges=yes\n",
    "odoo.service.d/old.conf.bak": "[Service]\nUser=other\n",
    "service.d/all.conf": "[Service]\nPrivateTmp=yes\nProtectHome=yes\n",
  });
  t.match(
    result.findings.find(({ id }) => id === "systemd-user"),
    { outcome: "fail", place: { file: "odoo.service.d/20-user.conf", line: 2 } },
  );
  t.same(seen(result, "systemd-no-new-privileges"), ["pass 3"]);
  t.same(seen(result, "systemd-private"), ["pass 2"]);
});

t.test(
  "an installed unit gets the drop-ins of every folder of systemd, the administrator's first",
  async (t) => {
    const folder = "/usr/lib/systemd/system";
    const result = await look(
      { systemd: [`${folder}/odoo@prod.service`] },
      {
        [`${folder}/odoo@prod.service`]: base,
        [`${folder}/odoo@.service.d/a.conf`]: "[Service]\nUser=root\n",
        "/etc/systemd/system/odoo@.service.d/a.conf": "[Service]\nUser=erp\n",
        "/etc/systemd/system/odoo@prod.service.d/b.conf": "[Service]\nRestart=always\n",
      },
    );
    t.match(result.findings.find(({ id }) => id === "systemd-user")?.seen, "User=erp");
    t.same(seen(result, "systemd-restart"), ["pass 2"]);
  },
);

t.test("a second ExecStart in a drop-in is seen, one behind an empty one holds", async (t) => {
  const dropIn = (text: string) => unit(hardened, { "odoo.service.d/o.conf": `[Service]\n${text}` });
  t.same(seen(await dropIn("ExecStart=/opt/odoo/odoo-bin -c /x.conf\n"), "systemd-syntax"), ["fail 2"]);
  const reset = await dropIn("ExecStart=\nExecStart=/opt/odoo/odoo-bin -c /x.conf --dev xml\n");
  t.same(seen(reset, "systemd-syntax"), ["pass"]);
  t.same(seen(reset, "systemd-odoo-options"), ["fail 3"]);
  t.same(seen(await unit(`${hardened}Type=oneshot\nExecStart=/bin/true\n`), "systemd-syntax"), ["pass"]);
});

t.test("what systemctl cat prints is one unit with its drop-ins", async (t) => {
  const result = await unit(
    `# /lib/systemd/system/odoo.service\n${base}\n# /etc/systemd/system/odoo.service.d/x.conf\nStray=1\n[Service]\nUser=root\n`,
  );
  t.same(seen(result, "systemd-user"), ["fail 9"]);
  t.same(seen(result, "systemd-syntax"), ["warn 7"], "a drop-in begins without a section");
});

t.test("options are found over continued lines, comments, quotes and variables", async (t) => {
  const options = async (rest: string, files: Readonly<Record<string, string>> = {}) => {
    const text = `[Service]\nUser=odoo\n${rest}\n`;
    return seen(await unit(text, files), "systemd-odoo-options");
  };
  const start = "ExecStart=/usr/bin/odoo -c /etc/odoo/odoo.conf";
  t.same(await options(start), ["pass 3"]);
  t.same(await options(`${start} \\\n# a comment\n  --dev \\\n  all`), ["fail 3"]);
  t.same(await options(`${start} "--dev=all"`), ["fail 3"]);
  t.same(await options(`Environment="OPTS=--log-level=warn --workers 4"\n${start} $OPTS`), ["fail 4"]);
  t.same(
    await options(`EnvironmentFile=/etc/default/odoo\n${start} $OPTS`, {
      "default/odoo": "OPTS=--dev=xml\n",
    }),
    ["fail 4"],
  );
  t.same(await options(`EnvironmentFile=/etc/default/odoo\n${start}`), ["skipped 3"]);
  t.same(await options(`EnvironmentFile=-/etc/default/odoo\n${start}`), ["pass 4"]);
  t.same(await options(`${start} -u all`), ["warn 3"]);
  t.same(await options(`${start} --stop-after-init`), ["fail 3"]);
  t.same(await options(`${start} --db-filter=^prod$$`), ["pass 3"], "$$ is a dollar");
  t.same(await options(`${start} --db-filter=prod`), ["fail 3"]);
  t.same(await options("ExecStart=/usr/bin/odoo"), ["warn 3"], "no odoo.conf at all");
  t.same(await options("ExecStart=/usr/bin/odoo $ARGS"), ["skipped 3"]);
  t.same(await options("Environment=ODOO_RC=/etc/odoo.conf\nExecStart=/usr/bin/odoo"), ["pass 4"]);
  t.same(await options("ExecStart=/opt/odoo/start.sh"), ["skipped 3"]);
});

t.test("a unit that starts Odoo with another odoo.conf than the one that is looked at", async (t) => {
  const result = await look(
    { systemd: ["odoo.service"], odooConf: "odoo.conf" },
    { "odoo.service": base.replace("odoo.conf", "prod.conf"), "odoo.conf": "[options]\n" },
  );
  t.same(seen(result, "systemd-odoo-options"), ["warn 3"]);
});

t.test("passwords that every user of the machine reads", async (t) => {
  const secrets = async (text: string, files: Readonly<Record<string, string>> = {}, mode = 0o100644) => {
    const result = await unit(text, files, { "/etc/default/odoo": { mode, owner: 0, isFolder: false } });
    t.notMatch(JSON.stringify(result), "hunter2", "and the password is in no message");
    return seen(result, "systemd-secrets");
  };
  t.same(await secrets(base), ["pass"]);
  t.same(await secrets(`${base}Environment=DB_PASSWORD=hunter2\n`), ["fail 4"]);
  t.same(await secrets(base.replace("odoo.conf", "odoo.conf -w hunter2")), ["fail 3"]);
  t.same(await secrets(base.replace("odoo.conf", "odoo.conf --db_password=hunter2")), ["fail 3"]);
  const file = `${base}EnvironmentFile=/etc/default/odoo\n`;
  t.same(await secrets(file, { "default/odoo": "A=1\nDB_PASSWORD=hunter2\n" }), ["fail 2"]);
  t.same(await secrets(file, { "default/odoo": "DB_PASSWORD=hunter2\n" }, 0o100600), ["pass"]);
});

t.test("NoNewPrivileges comes with other protections where there is a user", async (t) => {
  const outcome = async (text: string) => seen(await unit(text), "systemd-no-new-privileges");
  t.same(await outcome(base), ["warn"]);
  t.same(await outcome(`${base}NoNewPrivileges=false\n`), ["warn 4"]);
  t.same(await outcome(`${base}SystemCallFilter=@system-service\n`), ["pass 4"]);
  t.same(await outcome(`${base}PrivateDevices=yes\n`), ["pass 4"]);
  t.same(await outcome(`${base}PrivateDevices=no\n`), ["warn"]);
  t.same(await outcome(`${base}User=\nPrivateDevices=yes\n`), ["warn"], "root keeps what he has");
});

t.test("protections that would break Odoo are seen", async (t) => {
  const home = "[Service]\nUser=odoo\nExecStart=/home/odoo/odoo-bin -c /etc/odoo.conf\n";
  t.same(seen(await unit(`${home}ProtectHome=yes\nPrivateTmp=yes\n`), "systemd-private"), ["fail 4"]);
  t.same(seen(await unit(`${home}ProtectHome=read-only\nPrivateTmp=yes\n`), "systemd-private"), ["pass 5"]);
  t.same(seen(await unit(`${base}ProtectSystem=strict\n`), "systemd-protect-system"), ["warn 4"]);
  t.same(seen(await unit(`${base}ProtectSystem=strict\nStateDirectory=odoo\n`), "systemd-protect-system"), [
    "pass 4",
  ]);
});

t.test("files that are no unit of Odoo get an answer", async (t) => {
  for (const text of [
    "",
    "\ufeff",
    "hello\nworld",
    "[Service]",
    "[Service]\nExecStart=\\",
    "[",
    "=\n=\n",
    "[Service]\n=x\n",
  ])
    t.match(seen(await unit(text), "systemd-syntax").join(), /fail/, JSON.stringify(text));
  const other = await unit("[Service]\nExecStart=/usr/sbin/sync --password hunter2\n");
  t.same(seen(other, "systemd-syntax"), ["warn 2"]);
  t.notMatch(JSON.stringify(other), "hunter2");
  t.match((await look({ systemd: ["gone"] }, {})).problems, [{ place: "gone" }]);
});

t.test("words are split as systemd splits them", async (t) => {
  t.same(unitWords("a  'b c' \"d e\" f\\ g \\\"h 'i"), ["a", "b c", "d e", "f g", '"h', "i"]);
  t.same(unitWords(""), []);
  t.same(unitWords("''"), [""]);
});
