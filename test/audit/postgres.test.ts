import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import t from "tap";
import { auditChecks } from "../../src/audit/catalogue/catalogue.ts";
import { auditServer } from "../../src/audit/postgres/audit-server.ts";
import { type Dsn, readDsn, type SslMode } from "../../src/audit/postgres/dsn.ts";
import { type ServerFacts, serverFacts } from "../../src/audit/postgres/server.ts";
import { openSession } from "../../src/audit/postgres/session.ts";
import { goodServer, look, nowMs, seen } from "../support/audit.ts";
import { type Postgres, postgresMissing, startPostgres } from "../support/postgres.ts";

const missing = postgresMissing();
const withPostgres = missing === null ? {} : { skip: missing };

function dsnOf(
  server: Postgres,
  user: string,
  password: string | null,
  sslMode: SslMode = "require",
  database = "prod",
): Dsn {
  return {
    host: "127.0.0.1",
    port: server.port,
    user,
    password,
    database,
    sslMode,
    rootCertificateFile: null,
  };
}
const superuserOf = (server: Postgres, database: string): Dsn => ({
  ...dsnOf(server, "postgres", null, "disable", database),
  host: server.folder,
});

t.test("a real PostgreSQL", withPostgres, async (t) => {
  const server = await startPostgres();
  t.teardown(() => server.close());
  server.run("CREATE ROLE strong LOGIN PASSWORD 'Kw93-bx7Q'");
  server.run("CREATE ROLE plain LOGIN PASSWORD 'Kw93-bx7Q'");
  server.run("CREATE ROLE by_password LOGIN PASSWORD 'Kw93-bx7Q'");
  server.run(
    "SET password_encryption = 'md5'; CREATE ROLE by_md5 LOGIN SUPERUSER CREATEDB CREATEROLE REPLICATION PASSWORD 'Kw93-bx7Q'",
  );
  server.run("ALTER ROLE by_md5 SET password_encryption = 'md5'");
  server.run("ALTER ROLE by_md5 SET log_min_duration_statement = -1");
  server.run("CREATE ROLE reader LOGIN; GRANT pg_execute_server_program TO reader");
  server.run("CREATE DATABASE prod");
  server.run("CREATE DATABASE other OWNER by_md5");
  server.run("CREATE DATABASE closed");
  server.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC", "prod");
  server.run("GRANT CREATE ON SCHEMA public TO PUBLIC", "other");
  for (const name of ["other", "closed"]) server.run(`REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC`);

  await t.test("a role as the guides want it passes every check", async (t) => {
    const result = await look(
      { odooConf: "odoo.conf", pgDsn: superuserOf(server, "prod") },
      { "odoo.conf": "[options]\ndb_user = strong\ndb_name = prod\n" },
    );
    t.same(result.problems, []);
    for (const { id } of auditChecks.filter((one) => one.id.startsWith("pg-")))
      t.same(seen(result, id), ["pass"], id);
    t.same(seen(result, "conf-db-connections"), ["pass"], "max_connections of the server is compared");
    const role = result.findings.find(({ id }) => id === "conf-db-user");
    t.match(role, { outcome: "pass", seen: /says "strong" has no rights of an administrator/ });
  });

  await t.test("a superuser that owns a database and keeps MD5 fails", async (t) => {
    const result = await look({ pgDsn: dsnOf(server, "by_md5", "Kw93-bx7Q", "require", "other") }, {});
    const outcomes = Object.fromEntries(
      [
        "pg-role-superuser",
        "pg-role-createdb",
        "pg-role-rights",
        "pg-role-password",
        "pg-database-owner",
        "pg-other-databases",
        "pg-public-schema",
        "pg-password-encryption",
        "pg-logs",
      ].map((id) => [id, seen(result, id).join()]),
    );
    t.same(outcomes, {
      "pg-role-superuser": "fail",
      "pg-role-createdb": "warn",
      "pg-role-rights": "fail",
      "pg-role-password": "fail",
      "pg-database-owner": "warn",
      "pg-other-databases": "warn",
      "pg-public-schema": "warn",
      "pg-password-encryption": "fail",
      "pg-logs": "warn",
    });
    t.match(result.findings.find(({ id }) => id === "pg-database-owner")?.seen, /owns "other"/);
    t.notMatch(JSON.stringify(result), /Kw93/, "the password is nowhere in the findings");
  });

  await t.test("a harmless name does not hide what the role may do", async (t) => {
    const asked = async (name: string) => {
      const result = await look(
        { odooConf: "odoo.conf", pgDsn: superuserOf(server, "prod") },
        { "odoo.conf": `[options]\ndb_user = ${name}\n` },
      );
      return result.findings.find(({ id }) => id === "conf-db-user");
    };
    t.match(await asked("by_md5"), { outcome: "fail", seen: /says "by_md5" is a superuser/ });
    t.match(await asked("reader"), { outcome: "warn", seen: /has pg_execute_server_program/ });
    const other = await asked("gone");
    t.match(other, { outcome: "pass", seen: /by its name only/ }, "the session's role is not Odoo's");
  });

  await t.test("membership in a role that starts programs is seen", async (t) => {
    const result = await look(
      { odooConf: "odoo.conf", pgDsn: superuserOf(server, "prod") },
      { "odoo.conf": "[options]\ndb_user = reader\n" },
    );
    t.same(seen(result, "pg-role-membership"), ["fail"]);
    t.match(result.findings.find(({ id }) => id === "pg-role-membership")?.seen, /pg_execute_server_program/);
  });

  await t.test("an ordinary role is not told how its password is kept", async (t) => {
    const result = await look({ pgDsn: dsnOf(server, "strong", "Kw93-bx7Q") }, {});
    t.same(seen(result, "pg-role-password"), ["skipped"]);
    t.same(seen(result, "pg-ssl"), ["pass"]);
  });

  await t.test("dbfilter is tried on the databases that are there", async (t) => {
    const conf = "[options]\ndb_user = strong\ndbfilter = ^(prod|other)$\n";
    const result = await look(
      { odooConf: "odoo.conf", hosts: ["erp.example.com"], pgDsn: superuserOf(server, "prod") },
      { "odoo.conf": conf },
    );
    t.match(
      result.findings.find(({ id }) => id === "conf-dbfilter-hosts")?.seen,
      /sees 2 databases: "other", "prod"/,
    );
  });

  await t.test("a role of odoo.conf that the server does not have is told", async (t) => {
    const result = await look(
      { odooConf: "odoo.conf", pgDsn: superuserOf(server, "prod") },
      { "odoo.conf": "[options]\ndb_user = it's\\gone\n" },
    );
    t.match(result.problems[0]?.thing, /has no role "it's\\\\gone"/);
    t.same(seen(result, "pg-role-superuser"), ["fail"], "the role of the session is looked at instead");
  });

  await t.test("passwords are proved, and only proved", async (t) => {
    const tried = async (dsn: Dsn, roots: string | null = null) => {
      const opened = await openSession(dsn, roots);
      if (!opened.ok) return opened.error;
      opened.value.close();
      return `${opened.value.proof} ${opened.value.encrypted ? "over TLS" : "in clear"}`;
    };
    t.equal(await tried(dsnOf(server, "strong", "Kw93-bx7Q")), "scram-sha-256 over TLS");
    t.equal(await tried(dsnOf(server, "by_md5", "Kw93-bx7Q")), "md5 over TLS");
    t.equal(await tried(dsnOf(server, "by_password", "Kw93-bx7Q")), "password over TLS");
    t.equal(await tried(dsnOf(server, "plain", "Kw93-bx7Q", "disable")), "scram-sha-256 in clear");
    t.equal(await tried(superuserOf(server, "prod")), "none in clear");
    t.match(
      await tried(dsnOf(server, "strong", "wrong")),
      /password authentication failed for user "strong" \(28P01\)/,
    );
    t.match(await tried(dsnOf(server, "by_md5", "wrong")), /28P01/);
    t.match(
      await tried(dsnOf(server, "strong", null)),
      /asks for the password of strong; give it in PGPASSWORD/,
    );
    t.match(await tried(dsnOf(server, "by_password", "Kw93-bx7Q", "disable")), /it was not sent/);
    t.match(
      await tried(dsnOf(server, "strong", "Kw93-bx7Q", "require", "nowhere")),
      /database "nowhere" does not exist/,
    );
    t.match(await tried(dsnOf(server, "strong", "Kw93-bx7Q", "verify-full")), /TLS: .*certificate/);
    const roots = readFileSync(server.caFile, "utf8");
    t.equal(
      await tried(dsnOf(server, "strong", "Kw93-bx7Q", "verify-full"), roots),
      "scram-sha-256 over TLS",
    );
    t.equal(
      await tried({ ...dsnOf(server, "strong", "Kw93-bx7Q", "verify-ca"), host: "127.0.0.1" }, roots),
      "scram-sha-256 over TLS",
    );
  });

  await t.test("the session cannot write", async (t) => {
    const opened = await openSession(superuserOf(server, "prod"), null);
    if (!opened.ok) return void t.fail(opened.error);
    const written = await opened.value.query("CREATE TABLE t (a int)");
    t.match(written.ok ? "" : written.error, /read-only transaction \(25006\)/);
    const again = await opened.value.query("SELECT NULL, 'ä'");
    t.same(again.ok && again.value, [[null, "ä"]], "and is good for the next query");
    const facts = await serverFacts(opened.value, null);
    t.equal(facts.ok && facts.value.role.isSuperuser, true);
    opened.value.close();
  });
});

t.test("hostile servers end, each with a sentence", async (t) => {
  const cases: Readonly<Record<string, (socket: Socket) => void>> = {
    "never answers": () => {},
    "closes at once": (socket) => void socket.end(),
    "speaks HTTP": (socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"),
    "says yes to TLS and sends garbage": (socket) =>
      void socket.once("data", () => {
        socket.write("S");
        socket.once("data", () => socket.end(Buffer.alloc(4096, 7)));
      }),
    "smuggles bytes before TLS": (socket) =>
      void socket.once("data", () => socket.write("SR\0\0\0\x08\0\0\0\0")),
    "an endless message": (socket) =>
      void socket.once("data", () =>
        socket.write("N", () =>
          socket.write(Buffer.concat([Buffer.from("R\x7f\xff\xff\xff", "latin1"), Buffer.alloc(1_000)])),
        ),
      ),
    "a message shorter than its head": (socket) =>
      void socket.once("data", () => socket.write("N", () => socket.write(Buffer.from([0x52, 0, 0, 0, 1])))),
    "asks for more rounds than there is time": (socket) =>
      void socket.once("data", () => {
        socket.write("N");
        socket.once("data", () => {
          socket.write(message("R", Buffer.concat([number(10), Buffer.from("SCRAM-SHA-256\0\0")])));
          socket.once("data", (first: Buffer) => {
            const nonce = /r=(.*)$/s.exec(first.toString("utf8"))?.[1] ?? "";
            socket.write(
              message("R", Buffer.concat([number(11), Buffer.from(`r=${nonce}x,s=QUJD,i=4000000000`)])),
            );
          });
        });
      }),
    "does not know the password itself": (socket) =>
      void socket.once("data", () => {
        socket.write("N");
        socket.once("data", () => {
          socket.write(message("R", Buffer.concat([number(10), Buffer.from("SCRAM-SHA-256\0\0")])));
          socket.once("data", (first: Buffer) => {
            const nonce = /r=(.*)$/s.exec(first.toString("utf8"))?.[1] ?? "";
            socket.write(message("R", Buffer.concat([number(11), Buffer.from(`r=${nonce}x,s=QUJD,i=4096`)])));
            socket.once("data", () =>
              socket.write(message("R", Buffer.concat([number(12), Buffer.from("v=QUJD")]))),
            );
          });
        });
      }),
  };
  for (const [name, behave] of Object.entries(cases)) {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      behave(socket);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const opened = await openSession(
      {
        host: "127.0.0.1",
        port,
        user: "odoo",
        password: "x",
        database: "prod",
        sslMode: "prefer",
        rootCertificateFile: null,
      },
      null,
      name === "never answers" ? 50 : 5_000,
    );
    t.notOk(opened.ok, `${name}: ${opened.ok ? "" : opened.error}`);
    for (const socket of sockets) socket.destroy();
    server.close();
  }
  const gone = await openSession(
    {
      host: "127.0.0.1",
      port: 1,
      user: "odoo",
      password: null,
      database: "prod",
      sslMode: "prefer",
      rootCertificateFile: null,
    },
    null,
  );
  t.match(gone.ok ? "" : gone.error, /ECONNREFUSED/);
});

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), number(body.length + 4), body]);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

const facts: ServerFacts = {
  ...goodServer,
  encrypted: false,
  role: { ...goodServer.role, passwordKind: null },
};

t.test("what no server of Debian can show", async (t) => {
  const context = {
    hosts: [],
    databases: [],
    machine: { cores: 1, memoryBytes: 1, from: "" },
    gateway: null,
    isContainer: false,
    connectionRoom: null,
    serverRole: null,
    modesOf: () => null,
  };
  const outcome = (change: Partial<ServerFacts>, id: string, host = "db.example.com") =>
    auditServer(
      { ...facts, ...change },
      {
        host,
        port: 5432,
        user: "odoo",
        password: null,
        database: "prod",
        sslMode: "prefer",
        rootCertificateFile: null,
      },
      context,
      nowMs,
    ).find((one) => one.id === id)?.outcome;
  t.equal(outcome({}, "pg-ssl"), "fail", "over the network without TLS");
  t.equal(outcome({ encrypted: true }, "pg-ssl"), "pass");
  t.equal(outcome({}, "pg-ssl", "127.0.0.1"), "pass");
  t.equal(outcome({}, "pg-version"), "pass");
  t.equal(outcome({ version: 140_020 }, "pg-version"), "fail", "14 ended on 12 November 2026");
  t.equal(outcome({ version: 90_624 }, "pg-version"), "fail");
  t.equal(outcome({ version: 990_000 }, "pg-version"), "pass");
  t.equal(outcome({ proof: "md5" }, "pg-role-password"), "warn");
});

t.test("connection strings are read as libpq reads them", async (t) => {
  const read = (text: string, env = {}) => {
    const dsn = readDsn(text, env, "me");
    if (!dsn.ok) return dsn.error;
    const { host, port, user, password, database, sslMode } = dsn.value;
    return [host, port, user, password, database, sslMode].join(" ");
  };
  t.equal(
    read("postgresql://odoo:p%40ss@db.example.com:6432/prod?sslmode=require"),
    "db.example.com 6432 odoo p@ss prod require",
  );
  t.equal(read("postgres://odoo:a:b@[::1]/prod"), "::1 5432 odoo a:b prod prefer");
  t.equal(read("postgresql:///prod?host=/var/run/postgresql"), "/var/run/postgresql 5432 me  prod prefer");
  t.equal(read("postgresql://%2Ftmp/prod"), "/tmp 5432 me  prod prefer");
  t.equal(read("host=db user='o doo' password='it\\'s' dbname=prod"), "db 5432 o doo it's prod prefer");
  t.equal(
    read("", {
      PGHOST: "h",
      PGUSER: "u",
      PGPASSWORD: "p",
      PGDATABASE: "d",
      PGPORT: "1",
      PGSSLMODE: "disable",
    }),
    "h 1 u p d disable",
  );
  t.equal(read("host=db"), "db 5432 me  me prefer");
  for (const bad of [
    "postgresql://a:b@h:70000/x",
    "host=a,b",
    "nonsense",
    "host='open",
    "postgresql://h/x?sslmode=maybe",
    "postgresql://h/x?evil=1",
    "postgresql://%zz@h/x",
    "postgresql://h1:5432,h2:5432/x",
    "postgresql://u:p@fe80::1/x",
    "postgresql://u@h:abc/x",
    "postgresql://odoo:top/secret@h/x",
  ]) {
    t.notMatch(read(bad), / 5432 /, bad);
    t.notMatch(read(bad), /secret/, bad);
  }
  const system = readDsn("host=db sslmode=verify-full sslrootcert=system", {}, "me");
  t.equal(system.ok && system.value.rootCertificateFile, null, "the system's authorities are no file");
  t.notMatch(
    read("postgresql://odoo:topsecret@h:70000/x"),
    /topsecret/,
    "a bad one does not repeat its password",
  );
});
