import t from "tap";
import { readHba } from "../../src/audit/postgres/hba.ts";
import { look, seen } from "../support/audit.ts";

const read = (text: string) => readHba("h", text, () => null);

// What PostgreSQL 15's pg_hba_file_rules answers for the same lines.
t.test("lines are cut as PostgreSQL cuts them", async (t) => {
  const fields = (line: string) => {
    const { lines, mistakes } = read(line);
    if (mistakes.length > 0) return "mistake";
    return lines.map(({ databases, users, address, method }) => [
      databases.join(),
      users.join(),
      address,
      method,
    ])[0];
  };
  t.same(fields("host all all 10.0.0.0 255.0.0.0 md5"), ["all", "all", "10.0.0.0 255.0.0.0", "md5"]);
  t.same(fields('host all "a b" "10.0.0.0/8" md5 # c'), ["all", "a b", "10.0.0.0/8", "md5"]);
  t.same(fields('host "all" "replication" ::1/128 md5'), ['"all"', '"replication"', "::1/128", "md5"]);
  t.same(fields("host a, b c 10.0.0.0/8 md5"), ["a,b", "c", "10.0.0.0/8", "md5"]);
  t.same(fields("local all all scram-sha-256#x"), ["all", "all", null, "scram-sha-256"]);
  for (const bad of [
    "host all all 10.0.0.1 md5",
    "host all all 10.0.0.0/33 md5",
    "host all all 10.0.0.0/255.0.0.0 md5",
    "host all all 10.0.0.0/8 peer",
    "host all all 10.0.0.0/8 cert",
    "LOCAL all all md5",
    "local all all MD5",
    "local all",
  ])
    t.equal(fields(bad), "mistake", bad);
});

t.test("every address there is, in every way of writing it", async (t) => {
  for (const address of [
    "0.0.0.0/0",
    "0/0",
    "0.0.0.0 0.0.0.0",
    "127.0.0.1 0.0.0.0",
    "127.0.0.1 240.0.0.0",
    "::/0",
    "all",
    "128.0.0.0/1",
  ])
    t.same(
      seen(await look({ pgHba: "h" }, { h: `host prod odoo ${address} scram-sha-256\n` }), "hba-any-address"),
      ["fail 1"],
      address,
    );
  for (const address of ["10.0.0.0/8", "10/8", "127.0.0.1 255.255.255.255", "samenet", ".example.com"])
    t.same(
      seen(await look({ pgHba: "h" }, { h: `host prod odoo ${address} scram-sha-256\n` }), "hba-any-address"),
      ["pass"],
      address,
    );
});

t.test("a regular expression for everybody is everybody", async (t) => {
  for (const [names, outcome] of [
    ["/^.*$ odoo", ["warn 1"]],
    ["prod /.", ["warn 1"]],
    ["prod /^odoo", ["pass"]],
    ["/^prod_[0-9]+$ odoo", ["pass"]],
    ["prod /(", ["pass"]],
  ] as const) {
    const result = await look({ pgHba: "h" }, { h: `hostssl ${names} 10.0.0.5/32 scram-sha-256\n` });
    t.same(seen(result, "hba-scope"), outcome, names);
    if (names === "prod /.") t.same(seen(result, "hba-superuser"), ["warn 1"]);
  }
});

t.test("a quoted keyword is the name of a database or role", async (t) => {
  const result = await look({ pgHba: "h" }, { h: 'hostssl "all" "all" 10.0.0.0/8 scram-sha-256\n' });
  t.same(seen(result, "hba-scope"), ["pass"]);
  t.same(seen(result, "hba-superuser"), ["pass"]);
});

t.test("what a trust is hidden in: files that are included", async (t) => {
  const result = await look(
    { pgHba: "pg/h" },
    {
      "pg/h":
        "include more/a.conf\ninclude_dir d\ninclude_if_exists gone\ninclude gone\nlocal all @names peer\n",
      "pg/more/a.conf": "\nlocal all all trust\n",
      "pg/d/b.conf": "host all all 10.0.0.0/8 trust\n",
      "pg/d/.c.conf": "nonsense\n",
      "pg/d/d.txt": "nonsense\n",
    },
  );
  const trusts = result.findings.filter(({ id }) => id === "hba-trust");
  t.same(
    trusts.map(({ place }) => `${place?.file}:${place?.line}`),
    ["pg/more/a.conf:2", "pg/d/b.conf:1"],
  );
  t.same(seen(result, "hba-syntax"), ["skipped 4", "skipped 5"], "what was not found, and a file of names");
  const loop = await look({ pgHba: "h" }, { h: "include h\nlocal all all trust\n" });
  t.ok(seen(loop, "hba-trust").length > 0, "a file that includes itself ends");
});

// What PostgreSQL 15 answers with a syntax error.
t.test(
  "postgresql.conf: what must stand in quotes and does not keeps the server from starting",
  async (t) => {
    const judged = async (line: string, id: string) =>
      seen(await look({ postgresqlConf: "p" }, { p: `${line}\n` }), id).join();
    for (const bad of [
      "listen_addresses = *",
      "listen_addresses = 127.0.0.1",
      "log_line_prefix = %m",
      'search_path = "x"',
      "log_min_duration_statement = 1 s",
      "unix_socket_directories = /tmp",
    ])
      t.equal(await judged(bad, "pgconf-syntax"), "fail 1", bad);
    for (const good of [
      "listen_addresses = localhost",
      "log_min_duration_statement = 1s",
      "log_min_duration_statement = -1",
      "log_directory = pg/log",
      "work_mem=4MB",
      "checkpoint_completion_target = 0.9",
      "listen_addresses = '*' # c",
      "ssl on",
    ])
      t.equal(await judged(good, "pgconf-syntax"), "pass", good);
    t.equal(await judged("listen_addresses = *", "pgconf-listen"), "fail 1", "and what was meant is judged");
    t.equal(await judged(`listen_addresses = '"*"'`, "pgconf-listen"), "fail 1", "quotes within quotes");
  },
);

t.test("forty thousand lines are a bounded report", async (t) => {
  const { findings } = await look({ pgHba: "h" }, { h: "host all all 0/0 md5\n".repeat(40_000) });
  t.ok(findings.length < 300, `${findings.length}`);
});
