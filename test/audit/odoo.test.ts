import { pbkdf2Sync } from "node:crypto";
import t from "tap";
import { odooChecks } from "../../src/audit/catalogue/odoo.ts";
import type { AuditContext } from "../../src/audit/context.ts";
import { auditOdoo } from "../../src/audit/odoo/audit-odoo.ts";
import type { OdooFacts, UserFacts } from "../../src/audit/odoo/read.ts";
import type { Dsn } from "../../src/audit/postgres/dsn.ts";
import { endOfSeriesMs, seriesOf } from "../../src/base/odoo-series.ts";
import { err, ok } from "../../src/base/result.ts";
import type { Outcome } from "../../src/report/finding.ts";
import { look, nowMs, seen } from "../support/audit.ts";
import { postgresMissing, startPostgres } from "../support/postgres.ts";

const dayMs = 86_400_000;

/** As passlib writes it, with few rounds. */
function hashOf(password: string): string {
  const [salt, rounds] = [Buffer.from("0123456789abcdef"), 1_000];
  const text = (bytes: Buffer) => bytes.toString("base64").replace(/=+$/, "").replaceAll("+", ".");
  return `$pbkdf2-sha512$${rounds}$${text(salt)}$${text(pbkdf2Sync(password, salt, rounds, 64, "sha512"))}`;
}

const erika: UserFacts = {
  login: "erika",
  isAdmin: true,
  hasSecondFactor: true,
  lastLoginMs: nowMs - dayMs,
  createdMs: nowMs - 900 * dayMs,
};
const good: OdooFacts = {
  database: "prod",
  version: "19.0.1.3",
  hasDemoData: false,
  modules: new Set(["base", "auditlog", "auth_password_policy"]),
  parameters: new Map([
    ["web.base.url", "https://erp.example.com"],
    ["web.base.url.freeze", "True"],
    ["report.url", "http://127.0.0.1:8070"],
    ["auth_password_policy.minlength", "12"],
  ]),
  users: ok([erika, { ...erika, login: "max", isAdmin: false, hasSecondFactor: false }]),
  passwords: new Map([["admin", hashOf("not the name")]]),
};

const context: AuditContext = {
  hosts: ["erp.example.com"],
  databases: ["prod"],
  machine: { cores: 1, memoryBytes: 1, from: "" },
  gateway: {
    from: "",
    bodyBytesMax: 128 * 2 ** 20,
    answerTimeoutMsMax: 1,
    answerTimeoutMsUsual: 1,
    webPort: null,
    busPort: null,
    filestore: null,
  },
  isContainer: false,
  connectionRoom: null,
  serverRole: null,
  modesOf: () => null,
};

function told(facts: Partial<OdooFacts>, around: Partial<AuditContext> = {}) {
  return new Map(
    auditOdoo({ ...good, ...facts }, { ...context, ...around }, nowMs).map((one) => [one.id, one]),
  );
}
const with_ = (name: string, value: string) => ({ parameters: new Map([...good.parameters, [name, value]]) });
const without = (name: string) => ({
  parameters: new Map([...good.parameters].filter(([key]) => key !== name)),
});

const breaks: readonly (readonly [id: string, outcome: Outcome, seen: RegExp, facts: Partial<OdooFacts>])[] =
  [
    ["odoo-version", "fail", /^Odoo 16 has had no fixes since about 2025-11$/, { version: "16.0.1.3" }],
    ["odoo-version", "skipped", /no version this program knows/, { version: "master" }],
    [
      "odoo-first-passwords",
      "fail",
      /^admin\/admin logs in$/,
      { passwords: new Map([["admin", hashOf("admin")]]) },
    ],
    ["odoo-first-passwords", "fail", /^demo\/demo logs in$/, { passwords: new Map([["demo", "demo"]]) }],
    ["odoo-admin-login", "warn", /"admin" is active/, { users: ok([{ ...erika, login: "admin" }]) }],
    [
      "odoo-admins",
      "warn",
      /^12 of 12 people may .* and 2 more$/,
      { users: ok(Array.from({ length: 12 }, (_, n) => ({ ...erika, login: `user${n}` }))) },
    ],
    [
      "odoo-second-factor",
      "warn",
      /without one: "erika"/,
      { users: ok([{ ...erika, hasSecondFactor: false }]) },
    ],
    [
      "odoo-stale-accounts",
      "warn",
      /^1 of 1 did not log in for 180 days: "erika"$/,
      { users: ok([{ ...erika, lastLoginMs: nowMs - 181 * dayMs }]) },
    ],
    ["odoo-stale-accounts", "warn", /"erika"/, { users: ok([{ ...erika, lastLoginMs: null }]) }],
    ["odoo-password-policy", "warn", /one character/, { modules: new Set(["base", "auditlog"]) }],
    ["odoo-password-policy", "warn", /have 8 characters/, with_("auth_password_policy.minlength", "8")],
    ["odoo-audit-log", "warn", /not installed/, { modules: new Set(["base"]) }],
    ["odoo-demo-data", "fail", /demonstration data/, { hasDemoData: true }],
    ["odoo-base-url", "fail", /is no https address/, with_("web.base.url", "http://erp.example.com")],
    ["odoo-base-url", "fail", /that host is not served/, with_("web.base.url", "https://evil.example.org")],
    ["odoo-base-url", "fail", /is no https address/, without("web.base.url")],
    ["odoo-base-url", "warn", /freeze is not set/, without("web.base.url.freeze")],
    ["odoo-report-url", "warn", /not set/, without("report.url")],
    [
      "odoo-upload-limit",
      "fail",
      /256MiB, the gateway 128MiB/,
      with_("web.max_file_upload_size", "268435456"),
    ],
    ["odoo-upload-limit", "fail", /no number of bytes/, with_("web.max_file_upload_size", "128 MB")],
  ];

t.test("an Odoo as the guides want it passes everything, and each check can be broken", async (t) => {
  for (const { id, outcome, seen } of told({}).values()) t.equal(outcome, "pass", `${id}: ${seen}`);
  t.same([...told({}).keys()].sort(), odooChecks.map(({ id }) => id).sort());
  for (const [id, outcome, words, facts] of breaks) {
    const one = told(facts).get(id);
    t.equal(one?.outcome, outcome, `${id} ${words.source}: ${one?.seen}`);
    t.match(one?.seen, words);
  }
  t.same([...new Set(breaks.map(([id]) => id))].sort(), odooChecks.map(({ id }) => id).sort());
});

t.test("a second factor that everybody is asked for is one, and so is what is not known", async (t) => {
  const users = ok([{ ...erika, hasSecondFactor: false }]);
  const policy = with_("auth_totp.policy", "employee_required");
  const mailed = { ...policy, users, modules: new Set([...good.modules, "auth_totp_mail"]) };
  t.equal(told(mailed).get("odoo-second-factor")?.outcome, "pass");
  const enforced = { ...mailed, modules: new Set([...good.modules, "auth_totp_mail_enforce"]) };
  t.equal(told(enforced).get("odoo-second-factor")?.outcome, "pass", "as Odoo 15 and 16 call it");
  t.equal(
    told({ ...policy, users }).get("odoo-second-factor")?.outcome,
    "warn",
    "without the module nobody asks",
  );
  const closed = told({ users: err("permission denied for table res_users") }).get("odoo-admins");
  t.match(closed, { outcome: "skipped", seen: /could not be read: permission denied/ });
  t.equal(told({}, { gateway: null }).get("odoo-upload-limit")?.outcome, "skipped");
  t.equal(told({}, { hosts: [] }).get("odoo-base-url")?.outcome, "pass");
});

t.test("series are read from versions", async (t) => {
  for (const [text, series] of [
    ["17.0", 17],
    ["17.0-20240401", 17],
    ["saas~18.2", 18],
    ["9.0c", 9],
    ["saas~18", null],
    ["x", null],
  ] as const)
    t.equal(seriesOf(text), series, text);
  t.equal(new Date(endOfSeriesMs(16)).toISOString(), "2025-11-01T00:00:00.000Z");
});

/** The tables of Odoo 19 that are read, with what matters of them. `lean`: without what modules add. */
const tables = `
CREATE TABLE ir_module_module (name text, state text, demo boolean, latest_version text);
INSERT INTO ir_module_module VALUES ('base', 'installed', false, '19.0.1.3'), ('auditlog', 'uninstalled', false, '');
CREATE TABLE ir_config_parameter (key text, value text);
INSERT INTO ir_config_parameter VALUES ('web.base.url', 'https://erp.example.com'), ('database.secret', 'x');
CREATE TABLE ir_model_data (module text, model text, name text, res_id int);
INSERT INTO ir_model_data VALUES ('base', 'res.groups', 'group_erp_manager', 2), ('base', 'res.groups', 'group_system', 4);
CREATE TABLE res_groups_implied_rel (gid int, hid int);
INSERT INTO res_groups_implied_rel VALUES (4, 2), (90, 4);
CREATE TABLE res_groups_users_rel (gid int, uid int);
INSERT INTO res_groups_users_rel VALUES (4, 2), (90, 8), (1, 9), (4, 10), (4, 11);
CREATE TABLE res_users (id int, login text, active boolean, share boolean, password text, create_date timestamp, totp_secret text);
INSERT INTO res_users VALUES
  (2, 'admin', true, false, '${hashOf("admin")}', now() at time zone 'utc', null),
  (8, 'behind-a-group', true, null, 'x', '2020-01-01', 'secret'),
  (9, 'clerk', true, false, 'x', '2020-01-01', null),
  (10, 'gone', false, false, 'x', '2020-01-01', null),
  (11, 'portal', true, true, 'x', '2020-01-01', null);
CREATE TABLE res_users_log (create_uid int, create_date timestamp);
INSERT INTO res_users_log VALUES (9, '2026-11-20'), (9, '2020-02-01'), (8, '2020-02-01');
`;

const missing = postgresMissing();
t.test("a real PostgreSQL with Odoo's tables", missing === null ? {} : { skip: missing }, async (t) => {
  const server = await startPostgres();
  t.teardown(() => server.close());
  server.run("CREATE DATABASE prod");
  server.run("CREATE DATABASE empty");
  server.run(tables, "prod");
  server.run("CREATE ROLE plain LOGIN PASSWORD 'Kw93-bx7Q'");
  const dsn: Dsn = {
    ...{ host: server.folder, port: server.port, user: "postgres", password: null, database: "prod" },
    ...{ sslMode: "disable", rootCertificateFile: null },
  };
  const words = (result: Awaited<ReturnType<typeof look>>, id: string) =>
    result.findings.find((one) => one.id === id)?.seen;
  const result = await look({ pgDsn: dsn, hosts: ["erp.example.com"] }, {});
  t.same(result.problems, []);
  t.equal(
    words(result, "odoo-admins"),
    '2 of 3 people may change settings and rights: "admin", "behind-a-group"',
  );
  t.equal(words(result, "odoo-second-factor"), 'administrators without one: "admin"');
  t.match(words(result, "odoo-stale-accounts"), /^1 of 3 did not log in for 180 days: "behind-a-group"$/);
  t.equal(words(result, "odoo-first-passwords"), "admin/admin logs in");
  t.same(seen(result, "odoo-base-url"), ["warn"]);
  t.same(seen(result, "odoo-audit-log"), ["warn"], "a module that is not installed is none");

  server.run(
    "CREATE TABLE auth_passkey_key (create_uid int); INSERT INTO auth_passkey_key VALUES (2)",
    "prod",
  );
  server.run("ALTER TABLE res_users DROP COLUMN totp_secret", "prod");
  const keys = await look({ pgDsn: dsn }, {});
  t.equal(
    words(keys, "odoo-second-factor"),
    'administrators without one: "behind-a-group"',
    "a passkey is one",
  );

  const empty = await look({ pgDsn: { ...dsn, database: "empty" } }, {});
  t.same(empty.problems, []);
  t.match(words(empty, "odoo-version"), /"empty" is no database of Odoo/);
  const plain: Dsn = { ...dsn, host: "127.0.0.1", user: "plain", password: "Kw93-bx7Q" };
  const closed = await look({ pgDsn: plain }, {});
  t.same(closed.problems, []);
  t.match(words(closed, "odoo-version"), /were not looked at: permission denied/);
});
