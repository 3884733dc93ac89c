import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import type { AuditRequest } from "../../src/audit/audit.ts";
import type { FileFacts } from "../../src/audit/backup/read.ts";
import { auditChecks } from "../../src/audit/catalogue/catalogue.ts";
import { odooChecks } from "../../src/audit/catalogue/odoo.ts";
import type { AuditContext, GatewayView, Modes } from "../../src/audit/context.ts";
import { auditServer } from "../../src/audit/postgres/audit-server.ts";
import type { Dsn } from "../../src/audit/postgres/dsn.ts";
import type { ServerFacts } from "../../src/audit/postgres/server.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import type { Finding, Outcome } from "../../src/report/finding.ts";
import { goodServer, look, nowMs } from "../support/audit.ts";

const root = join(packageRoot().directory, "test/audit/fixtures");
const files = Object.fromEntries(
  readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(root, name)).isFile())
    .map((name) => [name.replaceAll("\\", "/"), readFileSync(join(root, name), "utf8")]),
);
// pbkdf2_sha512 of a random text as passlib writes it, 25000 rounds.
const hash =
  "$pbkdf2-sha512$25000$oW35lLmDF3EIMDS1gSxH0A$dv2WawezO0aw960VyXHat2YftNgITo.M8qRzHwcH62OxVQtlo6ISsEn5owM45vQCCqf.N02Fizxb8438etcGdg";
files["good/odoo.conf"] = (files["good/odoo.conf"] ?? "").replace("$pbkdf2-sha512$25000$HASH", hash);

const gateway: GatewayView = {
  from: "a test",
  bodyBytesMax: 128 * 2 ** 20,
  answerTimeoutMsMax: 720_000,
  answerTimeoutMsUsual: 180_000,
  webPort: 8069,
  busPort: 8072,
  filestore: null,
};
const closed: Modes = { mode: 0o100640, owner: 0, isFolder: false };
const open: Modes = { mode: 0o100644, owner: 0, isFolder: false };

/** A change of one file of the good fixtures: what is replaced, by what. */
interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

// Backups are known by name, time and size only.
for (const name of ["prod.dump.gpg", "filestore.tar.gz.gpg", "restore-drill"])
  files[`good/backup/${name}`] = "";
const backupFile: FileFacts = {
  isFolder: false,
  isFile: true,
  sizeBytes: 5_000_000,
  changedMs: nowMs - 3_600_000,
  mode: 0o100600,
};
const goodFacts: Readonly<Record<string, FileFacts>> = {
  "/etc/good/backup": { ...backupFile, isFolder: true, isFile: false, mode: 0o040755 },
  "/etc/good/backup/prod.dump.gpg": backupFile,
  "/etc/good/backup/filestore.tar.gz.gpg": backupFile,
  "/etc/good/backup/restore-drill": backupFile,
};

const goodRequest: Partial<AuditRequest> = {
  odooConf: "good/odoo.conf",
  pgHba: "good/pg_hba.conf",
  postgresqlConf: "good/postgresql.conf",
  nginx: ["good/nginx.conf"],
  systemd: ["good/odoo.service"],
  fail2ban: ["good/fail2ban"],
  backup: ["good/backup"],
  hosts: ["prod.example.com"],
  databases: ["prod"],
  gateway,
};

const goodModes = {
  "/etc/good/odoo.conf": closed,
  "/srv/odoo": { ...closed, mode: 0o040750, isFolder: true },
};

async function findings(
  request: Partial<AuditRequest> = goodRequest,
  change?: Change,
  modes: Readonly<Record<string, Modes>> = goodModes,
  facts: Readonly<Record<string, FileFacts>> = goodFacts,
): Promise<readonly Finding[]> {
  const changed = { ...files };
  if (change !== undefined) {
    const text = changed[change.file] ?? "";
    if (!text.includes(change.from)) throw new Error(`${change.file} has no ${change.from}`);
    changed[change.file] = text.replace(change.from, () => change.to);
  }
  return (await look(request, changed, modes, facts)).findings;
}

const compose: Partial<AuditRequest> = {
  compose: ["good/compose.yaml"],
  variables: new Map([["DB_ADMIN_PASSWORD", "x"]]),
};

t.test("the good files pass every check of files", async (t) => {
  const all = [...(await findings()), ...(await findings(compose))];
  const bad = all.filter(({ outcome }) => outcome !== "pass" && outcome !== "skipped");
  t.same(
    bad.map(({ id, seen }) => `${id}: ${seen}`),
    [],
  );
  const expected = auditChecks.map(({ id }) => id).filter((id) => !/^(?:pg|odoo)-/.test(id));
  t.same(
    expected.filter(
      (id) => !all.some((one) => one.id === id && (one.outcome === "pass" || id === "conf-data-dir")),
    ),
    [],
    "and each of them has looked",
  );
});

const conf = (from: string, to: string): Change => ({ file: "good/odoo.conf", from, to });
const hba = (from: string, to: string): Change => ({ file: "good/pg_hba.conf", from, to });
const pg = (from: string, to: string): Change => ({ file: "good/postgresql.conf", from, to });
const site = (from: string, to: string): Change => ({ file: "good/nginx.conf", from, to });
const unit = (from: string, to: string): Change => ({ file: "good/odoo.service", from, to });
const jail = (from: string, to: string): Change => ({ file: "good/fail2ban/jail.local", from, to });
const filter = (from: string, to: string): Change => ({
  file: "good/fail2ban/filter.d/odoo.conf",
  from,
  to,
});
const services = (from: string, to: string): Change => ({ file: "good/compose.yaml", from, to });

/** One change of the good files for each check, and what it makes of it. */
const breaks: Readonly<Record<string, readonly [outcome: "fail" | "warn", change: Change]>> = {
  "conf-syntax": ["fail", conf("[options]", "[option]")],
  "conf-inline-comment": ["fail", conf("dbfilter = ^%d$", "dbfilter = ^%d$ ; by host")],
  "conf-continuation": ["fail", conf("dbfilter", "  dbfilter")],
  "conf-yes-no": ["fail", conf("list_db = False", "list_db = no")],
  "conf-option-names": ["warn", conf("http_interface", "xmlrpc_interface")],
  "conf-master-password": ["fail", conf(hash, "admin")],
  "conf-dbfilter": ["fail", conf("^%d$", "%d")],
  "conf-dbfilter-hosts": ["fail", conf("^%d$", "^other$")],
  "conf-list-db": ["fail", conf("list_db = False", "list_db = True")],
  "conf-db-name": ["fail", conf("dbfilter = ^%d$\n", "")],
  "conf-proxy-mode": ["fail", conf("proxy_mode = True", "proxy_mode = False")],
  "conf-interface": ["fail", conf("http_interface = 127.0.0.1", "http_interface = 0.0.0.0")],
  "conf-ports": ["warn", conf("[options]", "[options]\nhttp_port = 8070")],
  "conf-dev-mode": ["fail", conf("[options]", "[options]\ndev_mode = xml")],
  "conf-test-enable": ["fail", conf("[options]", "[options]\ntest_tags = /web")],
  "conf-demo-data": ["warn", conf("without_demo = True", "without_demo = False")],
  "conf-server-wide-modules": ["fail", conf("[options]", "[options]\nserver_wide_modules = base")],
  "conf-x-sendfile": ["warn", conf("[options]", "[options]\nx_sendfile = True")],
  "conf-smtp-tls": ["warn", conf("[options]", "[options]\nsmtp_server = mail.example.com")],
  "conf-workers": ["fail", conf("workers = 4", "workers = 0")],
  "conf-cron": ["warn", conf("max_cron_threads = 1", "max_cron_threads = 0")],
  "conf-limits": ["fail", conf("limit_memory_soft = 2147483648", "limit_memory_soft = 3000000000")],
  "conf-memory": ["fail", conf("workers = 4", "workers = 80")],
  "conf-timeouts": ["warn", conf("limit_time_real = 600", "limit_time_real = 1200")],
  "conf-upload-memory": ["warn", conf("limit_memory_hard = 2684354560", "limit_memory_hard = 536870912")],
  "conf-db-connections": ["warn", conf("db_maxconn = 16", "db_maxconn = 64")],
  "conf-log-level": ["fail", conf("log_level = info", "log_level = warn")],
  "conf-log-handler": ["fail", conf("log_handler = :INFO", "log_handler = odoo.sql_db:DEBUG")],
  "conf-db-user": ["fail", conf("db_user = odoo", "db_user = postgres")],
  "conf-db-password": ["fail", conf("db_user = odoo", "db_user = odoo\ndb_password = odoo")],
  "conf-db-sslmode": ["fail", conf("db_host = False", "db_host = db.example.com")],
  "conf-data-dir": ["fail", conf("[options]", "[options]\ndata_dir = /tmp/odoo")],
  "hba-syntax": ["fail", hba("hostssl", "hosttls")],
  "hba-trust": ["fail", hba("peer", "trust")],
  "hba-any-address": ["fail", hba("10.0.0.5/32 ", "0.0.0.0/0 ")],
  "hba-method": ["warn", hba("scram-sha-256", "md5")],
  "hba-tls": ["warn", hba("hostssl", "host")],
  "hba-superuser": ["fail", hba("hostssl prod  odoo ", "hostssl prod  postgres ")],
  "hba-scope": ["warn", hba("hostssl prod ", "hostssl all ")],
  "pgconf-syntax": ["fail", pg("ssl = on", "ssl =")],
  "pgconf-listen": ["fail", pg("'localhost, 10.0.0.1'", "'*'")],
  "pgconf-ssl": ["fail", pg("ssl = on", "ssl = off")],
  "pgconf-ssl-protocol": ["fail", pg("ssl = on", "ssl = on\nssl_min_protocol_version = 'TLSv1.1'")],
  "pgconf-password-encryption": ["fail", pg("'scram-sha-256'", "md5")],
  "pgconf-log-connections": ["warn", pg("log_disconnections = on", "log_disconnections = off")],
  "pgconf-log-slow": ["warn", pg("= 1s", "= -1")],
  "pgconf-log-line-prefix": ["warn", pg("client=%h", "")],
  "pgconf-log-statement": ["warn", { file: "good/pg.d/10-more.conf", from: "ddl", to: "all" }],
  "pgconf-durability": ["fail", pg("ssl = on", "ssl = on\nfsync = off")],
  "pgconf-max-connections": ["warn", pg("= 120", "= 2000")],
  "nginx-syntax": ["fail", site("server_tokens off;", "server_tokens off")],
  "nginx-database-manager": ["fail", site("web/database|", "")],
  "nginx-db-service": ["fail", site("|xmlrpc|", "|")],
  "nginx-jsonrpc": ["fail", site("|jsonrpc", "")],
  "nginx-login-limit": ["fail", site("limit_req zone=login burst=3 nodelay;", "")],
  "nginx-rpc-limit": ["warn", site("|xmlrpc|", "|")],
  "nginx-tls": ["fail", site("listen 443 ssl;", "listen 443;")],
  "nginx-redirect": ["warn", site("return 301 https://", "return 301 http://")],
  "nginx-tls-protocols": ["fail", site("ssl_protocols TLSv1.2", "ssl_protocols TLSv1.1")],
  "nginx-banner": ["warn", site("server_tokens off", "server_tokens on")],
  "nginx-headers": ["fail", site("add_header X-Content-Type-Options nosniff always;", "")],
  "nginx-header-inheritance": ["warn", site("location / {", "location / { add_header X-Own 1;")],
  "nginx-websocket": ["fail", site("proxy_pass http://bus", "proxy_pass http://odoo")],
  "nginx-proxy-headers": ["fail", site("location / {", "location / { proxy_set_header X-Own 1;")],
  "nginx-body-limit": ["warn", site("128m", "64m")],
  "nginx-timeouts": ["warn", site("proxy_read_timeout 720s", "proxy_read_timeout 60s")],
  "nginx-buffering": ["fail", site("location / {", "location / { proxy_buffering off;")],
  "nginx-attachment-cache": [
    "fail",
    site("location / {", "location ~ \\.(?:jpg|css)$ { proxy_pass http://odoo; expires 30d; }\nlocation / {"),
  ],
  "nginx-compression": ["warn", site("gzip on", "gzip off")],
  "nginx-cookie-flags": ["warn", site("samesite=lax secure", "httponly")],
  "nginx-underscores": ["fail", site("server_tokens off", "underscores_in_headers on; server_tokens off")],
  "nginx-unknown-host": [
    "warn",
    site("server { listen 443 ssl default_server; server_name _; ssl_reject_handshake on; return 444; }", ""),
  ],
  "compose-ports": [
    "fail",
    services("image: odoo:19.0-20261101", 'image: odoo:19.0-20261101\n    ports: ["8069:8069"]'),
  ],
  "compose-image-age": ["fail", services("postgres:17.2", "postgres:13")],
  "compose-image-tag": ["fail", services("postgres:17.2", "postgres:latest")],
  "compose-secrets": ["fail", services(":?set it in .env}", ":-postgres}")],
  "compose-postgres-auth": [
    "fail",
    services("POSTGRES_USER: admin", "POSTGRES_USER: admin\n      POSTGRES_HOST_AUTH_METHOD: trust"),
  ],
  "compose-postgres-role": ["fail", services("POSTGRES_USER: admin", "POSTGRES_USER: odoo")],
  "compose-privileged": [
    "fail",
    services("image: postgres:17.2", "image: postgres:17.2\n    cap_add: [SYS_ADMIN]"),
  ],
  "compose-docker-socket": ["fail", services("files:/var/lib/odoo", "/run/docker.sock:/run/docker.sock:ro")],
  "compose-user": ["fail", services("image: odoo:19.0-20261101", "image: odoo:19.0-20261101\n    user: 0:0")],
  "compose-no-new-privileges": ["warn", services("no-new-privileges:true", "apparmor:docker-default")],
  "compose-read-only": ["warn", services("read_only: true", "read_only: false")],
  "compose-networks": ["warn", services("internal: true", "internal: false")],
  "compose-restart": ["warn", services("restart: unless-stopped", "restart: no")],
  "compose-logging": ["warn", services("max-size: 10m, ", "")],
  "compose-memory": ["warn", services("mem_limit: 4g", "cpus: 2")],
  "compose-healthcheck": ["warn", services("healthcheck: {", "x-healthcheck: {")],
  "compose-depends-on": ["warn", services("service_healthy", "service_started")],
  "compose-volumes": ["fail", services("/var/lib/postgresql/data", "/data")],
  "systemd-syntax": ["fail", unit("[Install]", "ExecStart=/opt/odoo/odoo-bin\n[Install]")],
  "systemd-user": ["fail", unit("User=odoo\n", "")],
  "systemd-no-new-privileges": ["warn", unit("NoNewPrivileges=yes", "NoNewPrivileges=no")],
  "systemd-protect-system": ["warn", unit("ProtectSystem=strict", "ProtectSystem=true")],
  "systemd-private": ["warn", unit("PrivateTmp=yes\n", "")],
  "systemd-odoo-options": ["fail", unit("-c /etc/odoo/odoo.conf", "-c /etc/odoo/odoo.conf --dev=all")],
  "systemd-secrets": ["fail", unit("User=odoo\n", "User=odoo\nEnvironment=PGPASSWORD=x\n")],
  "systemd-restart": ["warn", unit("Restart=on-failure", "Restart=no")],
  "fail2ban-syntax": ["fail", jail("maxretry = 5", "maxretry = 5 # tries")],
  "fail2ban-filter": ["fail", filter("(?:db:\\S+ )?", "db:\\S+ ")],
  "fail2ban-spoof": ["fail", filter("login:.* from <ADDR>\\s*$", "login:\\S+ from <HOST>")],
  "fail2ban-log": ["warn", jail("odoo/odoo.log", "odoo.log")],
  "fail2ban-limits": ["warn", jail("findtime = 10m", "findtime = 60")],
  "compose-odoo-options": ["fail", services("USER: odoo", "USER: odoo\n      ODOO_LOG_LEVEL: warn")],
};

/** Only what the changed file is looked at for; odoo.conf is compared with postgresql.conf. */
function requestFor({ file }: Change): Partial<AuditRequest> {
  if (file.includes("compose")) return compose;
  if (file.includes("fail2ban")) return { fail2ban: ["good/fail2ban"], odooConf: "good/odoo.conf" };
  if (file.endsWith(".service")) return { systemd: [file] };
  const isSite = file.includes("nginx");
  const isConf = file.includes("odoo.conf");
  return {
    ...goodRequest,
    nginx: isSite ? ["good/nginx.conf"] : [],
    odooConf: isConf || isSite ? "good/odoo.conf" : null,
    postgresqlConf: isSite ? null : "good/postgresql.conf",
  };
}

for (const [id, [outcome, change]] of Object.entries(breaks))
  t.test(`${id}: ${JSON.stringify(change.to)} is seen`, async (t) => {
    const request = requestFor(change);
    const hits = (await findings(request, change)).filter((one) => one.id === id && one.outcome === outcome);
    t.ok(hits.length > 0, `${id} says ${outcome}`);
    t.ok(
      hits.every(({ place }) => place?.file.startsWith("good/") === true),
      "and names the file",
    );
  });

t.test("compose-files: an include that is not here is said", async (t) => {
  const change = services("services:", "include: [gone.yaml]\nservices:");
  const all = await findings(compose, change);
  t.equal(all.find(({ id }) => id === "compose-files")?.outcome, "skipped");
});

t.test("conf-file-mode: a file that everybody reads is seen", async (t) => {
  const seen = (modes: Readonly<Record<string, Modes>>) =>
    findings(goodRequest, undefined, modes).then(
      (all) => all.find(({ id }) => id === "conf-file-mode")?.outcome,
    );
  t.equal(await seen({ "/etc/good/odoo.conf": open }), "fail");
  t.equal(await seen({ "/etc/good/odoo.conf": { ...closed, mode: 0o100660 } }), "warn");
  t.equal(await seen({ "/etc/good/odoo.conf": closed }), "pass");
  t.equal(await seen({}), "skipped");
});

t.test("conf-data-dir: a folder that everybody reads is seen", async (t) => {
  const change = conf("[options]", "[options]\ndata_dir = /srv/odoo");
  const seen = (mode: number) =>
    findings(goodRequest, change, { "/srv/odoo": { mode, owner: 100, isFolder: true } }).then(
      (all) => all.find(({ id }) => id === "conf-data-dir")?.outcome,
    );
  t.equal(await seen(0o040755), "fail");
  t.equal(await seen(0o040750), "pass");
});

/** What one file of the backups is like, and what is said then; null: it is not there. */
const backupBreaks: Readonly<
  Record<string, readonly ["fail" | "warn", name: string, facts: Partial<FileFacts> | null]>
> = {
  "backup-age": ["warn", "prod.dump.gpg", { changedMs: nowMs - 27 * 3_600_000 }],
  "backup-size": ["fail", "prod.dump.gpg", { sizeBytes: 1_000_000 }],
  "backup-complete": ["fail", "filestore.tar.gz.gpg", null],
  "backup-mode": ["warn", "prod.dump.gpg", { mode: 0o100644 }],
  "backup-encrypted": ["warn", "prod.dump", {}],
  "backup-drill": ["warn", "restore-drill", { changedMs: nowMs - 101 * 86_400_000 }],
};

for (const [id, [outcome, name, change]] of Object.entries(backupBreaks))
  t.test(`${id}: ${JSON.stringify(change)} is seen`, async (t) => {
    const path = `/etc/good/backup/${name}`;
    const facts = { ...goodFacts };
    delete facts["/etc/good/backup/prod.dump.gpg"];
    if (change === null) delete facts[path];
    else facts[path] = { ...backupFile, ...change };
    if (name === "prod.dump") files["good/backup/prod.dump"] = "";
    else facts["/etc/good/backup/prod.dump.gpg"] ??= backupFile;
    const all = await findings({ backup: ["good/backup"] }, undefined, goodModes, facts);
    t.equal(all.find((one) => one.id === id)?.outcome, outcome);
  });

/** One change of a good server for each check of a running one. */
const serverBreaks: Readonly<Record<string, readonly ["fail" | "warn", Partial<ServerFacts>]>> = {
  "pg-role-superuser": ["fail", { role: { ...goodServer.role, isSuperuser: true } }],
  "pg-role-createdb": ["warn", { role: { ...goodServer.role, mayCreateDatabases: true } }],
  "pg-role-rights": ["fail", { role: { ...goodServer.role, mayCreateRoles: true } }],
  "pg-role-membership": ["fail", { role: { ...goodServer.role, powers: ["pg_execute_server_program"] } }],
  "pg-role-password": ["fail", { role: { ...goodServer.role, passwordKind: "md5" } }],
  "pg-database-owner": ["warn", { databases: [{ name: "prod", owner: "odoo", isOpen: true }] }],
  "pg-other-databases": [
    "warn",
    { databases: [...goodServer.databases, { name: "other", owner: "x", isOpen: true }] },
  ],
  "pg-public-schema": ["warn", { isPublicOpen: true }],
  "pg-ssl": ["fail", { encrypted: false }],
  "pg-password-encryption": [
    "fail",
    { settings: new Map([...goodServer.settings, ["password_encryption", "md5"]]) },
  ],
  "pg-logs": ["warn", { settings: new Map([...goodServer.settings, ["log_connections", "off"]]) }],
  "pg-version": ["fail", { version: 130_020 }],
};

/** What a server with these facts, asked over the network, is told. */
function serverOutcomes(change: Partial<ServerFacts>): ReadonlyMap<string, Outcome> {
  const dsn: Dsn = {
    host: "db.example.com",
    port: 5432,
    user: "odoo",
    password: null,
    database: "prod",
    sslMode: "prefer",
    rootCertificateFile: null,
  };
  const context: AuditContext = {
    hosts: [],
    databases: ["prod"],
    machine: { cores: 1, memoryBytes: 1, from: "" },
    gateway: null,
    isContainer: false,
    connectionRoom: null,
    serverRole: null,
    modesOf: () => null,
  };
  return new Map(
    auditServer({ ...goodServer, ...change }, dsn, context, nowMs).map(({ id, outcome }) => [id, outcome]),
  );
}

t.test("a good server passes every check of a running one, and each can be broken", async (t) => {
  const good = serverOutcomes({});
  for (const [id, [outcome, change]] of Object.entries(serverBreaks)) {
    t.equal(good.get(id), "pass", `${id}: the good server passes`);
    t.equal(serverOutcomes(change).get(id), outcome, `${id}: ${JSON.stringify(change)}`);
  }
});

t.test("every check is broken once above", async (t) => {
  const broken = [
    ...Object.keys(breaks),
    "conf-file-mode",
    "compose-files",
    ...Object.keys(backupBreaks),
    ...Object.keys(serverBreaks),
    // Broken in odoo.test.ts.
    ...odooChecks.map(({ id }) => id),
  ];
  t.same(broken.sort(), auditChecks.map(({ id }) => id).sort(), "a new check brings what breaks it");
});
