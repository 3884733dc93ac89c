import t from "tap";
import { dbfilterHosts } from "../../src/audit/conf/dbfilter.ts";
import { readIni } from "../../src/audit/conf/ini.ts";
import { ConfView } from "../../src/audit/conf/view.ts";
import { gradePassword } from "../../src/audit/password.ts";
import { pythonMatcher } from "../../src/audit/regex.ts";
import { look, seen } from "../support/audit.ts";

const audited = (text: string, request = {}) =>
  look({ odooConf: "odoo.conf", ...request }, { "odoo.conf": text });
const outcome = async (text: string, id: string, request = {}) =>
  seen(await audited(`[options]\n${text}`, request), id)
    .map((one) => one.split(" ")[0])
    .join(" ");

// What Python 3.11's RawConfigParser answers for the same texts.
t.test("an INI file is read as Python reads it", async (t) => {
  const read = (text: string) => {
    const { sections, mistakes } = readIni(text);
    return [
      sections.map(({ name, entries }) => [name, ...entries.map((one) => [one.name, one.value])]),
      mistakes.map(({ line }) => line),
    ];
  };
  t.same(read("[options]\nA = 1\nb: 2\n c = 3\n"), [[["options", ["a", "1"], ["b", "2\nc = 3"]]], []]);
  t.same(read("[options]\na = 1 ; x\n# y\n; z\nb=  2  \n"), [[["options", ["a", "1 ; x"], ["b", "2"]]], []]);
  t.same(read("[options]\na = x\n\n  y\n  # no\n  z\nb = 1"), [
    [["options", ["a", "x\n\ny\nz"], ["b", "1"]]],
    [],
  ]);
  t.same(read("  [options]\n  a = 1\n  b = 2\n"), [[["options", ["a", "1"], ["b", "2"]]], []]);
  t.same(read("[options]\na = b = c\nd = \n"), [[["options", ["a", "b = c"], ["d", ""]]], []]);
  t.same(read("a = 1\n[options]\nnonsense\n[options]\n[x]\nb=1\nB=2"), [
    [["options"], ["x", ["b", "1"], ["b", "2"]]],
    [1, 3, 4, 7],
  ]);
  t.same(read("[options]\r\na = 1\r\nb = 2\r\n"), [[["options", ["a", "1"], ["b", "2"]]], []]);
});

t.test("a thousand mistakes are a bounded report", async (t) => {
  const { findings } = await audited(
    `[options]\n${"nonsense\n".repeat(5_000)}${"workers = x ; y\n".repeat(3_000)}`,
  );
  t.ok(findings.length < 250, String(findings.length));
  t.match(findings.findLast(({ id }) => id === "conf-syntax")?.seen, /and 6[0-9] more/);
});

t.test("the master password is judged, and never repeated", async (t) => {
  const judged = async (value: string | null) =>
    outcome(value === null ? "" : `admin_passwd = ${value}`, "conf-master-password");
  t.equal(await judged(null), "fail", "admin is what Odoo takes");
  for (const bad of [
    "admin",
    "ADMIN",
    "odoo",
    "mysupersecretpassword",
    "REEMPLAZAR_CON_TOKEN_ALEATORIO_SEGURO",
    "change_me_please_now_1234567890",
    "correct-horse-battery",
    "Sommer2026!",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "12345678901234567890123456789012345678",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "Kw93-bx7QKw93-bx7QKw93-bx7QKw93-bx7Q",
    "<token>",
  ])
    t.equal(await judged(bad), "fail", bad);
  t.equal(await judged("q3Zr8-K1xP_w0LtVb7Ym2NcDf5Gh9Js4"), "warn", "strong, but in plain text");
  t.equal(await judged("6f1e0b9c3a7d42588e15c9d07b3f6a21"), "warn", "hexadecimal");
  t.equal(
    await judged(
      "$pbkdf2-sha512$25000$oL.7NT3tcVdplYRgd886xg$WSVlGxEoCD5T6E6n0BSqMqcuyLI81DnvTHqnV8TuAwZzRSrvNv67ZmTEcfJSRJzca26xXonu8U32gt/KC431pw",
    ),
    "fail",
    "the hash of admin",
  );
  const good =
    "$pbkdf2-sha512$25000$oW35lLmDF3EIMDS1gSxH0A$dv2WawezO0aw960VyXHat2YftNgITo.M8qRzHwcH62OxVQtlo6ISsEn5owM45vQCCqf.N02Fizxb8438etcGdg";
  t.equal(await judged(good), "pass");
  t.equal(await judged(good.replace("$25000$", "$1000$")), "warn", "few rounds");
  t.equal(await judged(`${good} ; strong`), "fail", "a comment makes it no hash");
  t.equal(await judged("$pbkdf2-sha512$25000$...."), "fail", "the hash of the checklist is none");
  t.equal(await judged("$2b$12$abcdefghijklmnopqrstuv"), "fail", "bcrypt is none Odoo reads");
  t.equal(await judged(""), "pass", "nobody has it");
  for (const word of ["False", "false"]) t.equal(await judged(word), "fail", "Odoo 19 takes admin then");
  t.equal(await judged("None"), "fail", "four letters to Odoo 18");
  const template = await audited("[options]\nadmin_passwd = $" + "{ADMIN_PASSWD}\n");
  t.match(
    template.findings.find(({ id }) => id === "conf-master-password"),
    { outcome: "fail", seen: /the name of a variable/ },
  );
  const { findings } = await audited(
    "[options]\nadmin_passwd = Sommer-2026 ; Winter-2027\ndb_password = Herbst2025\ndb_user = x\n",
  );
  t.notMatch(JSON.stringify(findings), /Sommer|Winter|Herbst/);
  t.equal(gradePassword("x".repeat(10_000)).grade, "weak");
  t.equal(gradePassword("TODO set one").words, "it is the placeholder of an example");
  t.equal(gradePassword("q3Zr8-K1xPToDoL0tVb7Ym2NcDf5Gh9Js4").grade, "good", "by chance");
});

t.test("dbfilter: what does not hold the end of a name is seen", async (t) => {
  const judged = (filter: string) => outcome(`dbfilter = ${filter}`, "conf-dbfilter");
  for (const good of [
    "^prod$",
    "prod$",
    "^%d$",
    "^%h$",
    "^(prod|test)$",
    "^(?:prod$|test$)",
    "(prod|test)\\Z",
    "(?i)^prod$",
    "^%d(_test)?$",
  ])
    t.equal(await judged(good), "pass", good);
  for (const bad of [
    "prod",
    "^prod",
    "^%d",
    "^prod$|^test",
    "^prod|test$",
    "^prod\\$",
    "^(prod$|test)",
    "%h",
  ])
    t.equal(await judged(bad), "fail", bad);
  for (const odd of ["^mycompany.*$", "^prod.+$", "(unclosed", "^prod(?(1)a|b)$", "^a++$"])
    t.equal(await judged(odd), "warn", odd);
  t.equal(await outcome("db_name = prod", "conf-dbfilter"), "pass", "db_name is enough");
  t.equal(await outcome("", "conf-dbfilter"), "fail");
});

t.test("dbfilter: each host sees what Odoo would show it", async (t) => {
  const judged = (filter: string, hosts: readonly string[], databases: readonly string[]) =>
    dbfilterHosts(new ConfView("odoo.conf", `[options]\ndbfilter = ${filter}\n`), hosts, databases)
      .map(({ outcome, seen }) => `${outcome} ${seen}`)
      .join("; ");
  t.match(
    await judged("^%d$", ["www.mycompany.com", "mycompany.co.uk"], ["mycompany", "mycompany2"]),
    /^pass www\.mycompany\.com sees "mycompany", mycompany\.co\.uk sees "mycompany"$/,
  );
  t.match(
    await judged("^%d$", ["www2.mycompany.com", "helpdesk.mycompany.com"], ["mycompany"]),
    /^fail www2.*no database.*; fail helpdesk/,
  );
  t.match(
    await judged("^%h$", ["erp.example.com"], ["erp.example.com", "erpxexample.com"]),
    /^pass/,
    "a dot is a dot",
  );
  t.match(
    await judged("%d", ["erp.example.com"], ["erp", "erp_test"]),
    /^fail erp\.example\.com sees 2 databases/,
  );
  t.match(await judged("(?i)^ERP$", ["x"], ["erp"]), /^pass/);
  t.match(await judged("^erp$", [], ["erp"]), /^skipped/);
  t.match(await judged("^%d$", ["erp.example.com:8443"], []), /^skipped .*asks for "\^erp\$"/);
  t.match(
    await judged("^(a+)+$", ["x"], [`${"a".repeat(60)}!`]),
    /^skipped/,
    "a pattern without end is given up",
  );
  t.equal(pythonMatcher("^(?P<name>a)(?P=name)\\Z")("aa")?.matches, true);
  t.equal(pythonMatcher("b")("ab")?.matches, false, "re.match begins at the beginning");
});

t.test("log levels: whoever silences failed log-ins is named", async (t) => {
  const judged = async (text: string) =>
    `${await outcome(text, "conf-log-level")} ${await outcome(text, "conf-log-handler")}`;
  t.equal(await judged("log_level = info"), "pass pass");
  t.equal(await judged(""), "pass pass");
  for (const level of ["warn", "error", "critical"])
    t.equal(await judged(`log_level = ${level}`), "fail pass", level);
  t.equal(await judged("log_level = verbose"), "fail pass", "Odoo does not start");
  t.equal(
    await judged("log_level = warn\nlog_handler = odoo.addons.base.models.res_users:INFO"),
    "pass pass",
    "the one logger is enough",
  );
  t.equal(await judged("log_handler = :WARNING"), "fail pass");
  t.equal(await judged("log_handler = odoo.addons.base:ERROR"), "fail pass");
  t.equal(await judged("log_handler = :WARNING,odoo.addons.base.models.res_users:INFO"), "pass pass");
  t.equal(await judged("log_handler = werkzeug:CRITICAL"), "pass pass");
  for (const loud of [
    "log_level = debug",
    "log_level = debug_sql",
    "log_level = debug_rpc",
    "log_handler = odoo.sql_db:DEBUG",
    "log_handler = :DEBUG",
  ])
    t.match(await judged(loud), / fail$/, loud);
  t.match(await judged("log_handler = odoo.http:LOUD"), / warn$/);
});

t.test("yes and no: two readings are refused", async (t) => {
  for (const [value, expected] of [
    ["False", "pass"],
    ["false", "pass"],
    ["no", "fail"],
    ["0", "fail"],
    ["off", "fail"],
    ["FALSE", "fail"],
    ["", "fail"],
    ["True", "fail"],
    ["False ; yes", "fail"],
  ] as const)
    t.equal(await outcome(`list_db = ${value}`, "conf-list-db"), expected, value);
  for (const [value, expected] of [
    ["True", "pass"],
    ["true", "pass"],
    ["yes", "pass"],
    ["1", "pass"],
    ["no", "fail"],
    ["False", "fail"],
  ] as const)
    t.equal(await outcome(`proxy_mode = ${value}`, "conf-proxy-mode"), expected, value);
});

t.test("old and new names are one option", async (t) => {
  t.equal(await outcome("xmlrpc_interface = 127.0.0.1", "conf-interface"), "warn", "Odoo 19 passes over it");
  t.equal(await outcome("longpolling_port = 8072", "conf-ports"), "pass", "what Odoo takes anyway");
  t.equal(await outcome("longpolling_port = 8073", "conf-ports"), "warn");
  t.equal(await outcome("xmlrpc_interface = 0.0.0.0", "conf-interface"), "fail");
  t.equal(await outcome("longpolling_port = 8069", "conf-ports"), "fail");
  t.equal(await outcome("longpolling_port = 8072\ngevent_port = 8073", "conf-option-names"), "fail");
  t.equal(await outcome("longpolling_port = 8072\ngevent_port = 8072", "conf-option-names"), "warn");
  t.equal(await outcome("netrpc = False\ndebug_mode = False", "conf-option-names"), "warn warn");
  t.equal(
    await outcome("running_env = prod", "conf-option-names"),
    "pass",
    "an add-on's own option is none of ours",
  );
});

t.test("in a container, Odoo listens for the others", async (t) => {
  const compose = {
    "odoo.conf": "[options]\ndb_host = db\n",
    "c.yaml": "services: { odoo: { image: 'odoo:19.0' } }",
  };
  const result = await look({ odooConf: "odoo.conf", compose: ["c.yaml"] }, compose);
  t.same(seen(result, "conf-interface"), ["pass"]);
  t.same(seen(result, "conf-db-sslmode"), ["pass"]);
  const loopback = await look(
    { odooConf: "odoo.conf", compose: ["c.yaml"] },
    { ...compose, "odoo.conf": "[options]\nhttp_interface = 127.0.0.1\n" },
  );
  t.same(seen(loopback, "conf-interface"), ["fail 2"]);
});

t.test("remedies name the line with its number", async (t) => {
  const fixOf = async (id: string, lines: string, more: Parameters<typeof look>[0] = {}) => {
    const request = { odooConf: "c", postgresqlConf: "p", ...more };
    const files = { c: `[options]\n${lines}\n`, p: "max_connections = 103\n" };
    return (await look(request, files)).findings.find((one) => one.id === id)?.fix;
  };
  const six = "workers = 3\nmax_cron_threads = 2";
  t.equal(
    await fixOf("conf-db-connections", `${six}\ndb_maxconn = 64`),
    "Write db_maxconn = 16, or max_connections = 394 in postgresql.conf.",
  );
  t.match(await fixOf("conf-db-connections", `${six}\ndb_maxconn_gevent = 50`), /^Write db_maxconn = 10, /);
  t.match(
    await fixOf("conf-db-connections", `${six}\ndb_maxconn_gevent = 99`),
    /or lower db_maxconn_gevent\.$/,
  );
  t.match(
    await fixOf("conf-db-connections", "workers = 80"),
    /^Write max_connections = \d+ .*, or fewer workers\.$/,
  );
  const gateway = {
    from: "",
    answerTimeoutMsUsual: 60_000,
    webPort: null,
    busPort: null,
    filestore: null,
    answerTimeoutMsMax: 720_000,
    bodyBytesMax: 2 ** 30,
  };
  t.match(
    await fixOf("conf-timeouts", "limit_time_real = 1200", { gateway }),
    /^Write limit_time_real = 720 or less, or .* a timeout of 1200 s in the policies\.$/,
  );
  t.match(
    await fixOf("conf-upload-memory", "workers = 3", { gateway }),
    /^Write limit_memory_hard = 3489660928 or more/,
  );
});

t.test("workers and their limits against the machine", async (t) => {
  const small = { machine: { cores: 2, memoryBytes: 4 * 2 ** 30, from: "given" } };
  const fixOf = async (cores: number, gibibytes: number) => {
    const machine = { cores, memoryBytes: gibibytes * 2 ** 30, from: "given" };
    const { findings } = await look({ odooConf: "c", machine }, { c: "[options]\nworkers = 0\n" });
    return findings.find(({ id }) => id === "conf-workers")?.fix;
  };
  t.equal(await fixOf(4, 16), "Write workers = 9: (2 × 4 cores) + 1; for about 54 people at once.");
  t.match(
    await fixOf(16, 4),
    /^Write workers = 9: as many as 4GiB of memory bear beside 3 other processes; /,
  );
  t.match(await fixOf(1, 0.5), /^Write workers = 2: /, "fewer are none");
  t.equal(await outcome("workers = 5", "conf-workers", small), "pass");
  t.equal(await outcome("workers = 6", "conf-workers", small), "warn");
  t.equal(await outcome("workers = 1", "conf-workers", small), "warn");
  t.equal(await outcome("workers = -1", "conf-workers", small), "fail");
  t.equal(await outcome("workers = x", "conf-workers", small), "fail");
  t.equal(await outcome("workers = 2\nlimit_memory_hard = 800000000", "conf-memory", small), "pass");
  t.equal(await outcome("workers = 5", "conf-memory", small), "warn");
  t.equal(await outcome("workers = 20", "conf-memory", small), "fail");
  const eight = "workers = 2\nmax_cron_threads = 1\nlimit_memory_hard = 1000000000";
  t.equal(await outcome(eight, "conf-memory", small), "pass", "four processes of 1 GB");
  t.equal(await outcome(eight.replace("2", "3"), "conf-memory", small), "warn", "the fifth does not fit");
  const spared = `${eight.replace("2", "3")}\nlimit_memory_hard_gevent = 200000000`;
  t.equal(await outcome(spared, "conf-memory", small), "pass", "the websockets' process has its own limit");
  t.equal(await outcome("workers = 0\nmax_cron_threads = 40", "conf-memory", small), "pass", "threads");
  t.equal(await outcome("limit_time_cpu = 900\nlimit_time_real = 600", "conf-limits", small), "warn");
  t.equal(await outcome("limit_time_real = 0", "conf-limits", small), "fail");
});

t.test("memory and connections count the same processes", async (t) => {
  const told = async (lines: string, id: string) => {
    const result = await look({ odooConf: "odoo.conf" }, { "odoo.conf": `[options]\n${lines}\n` });
    return result.findings.find((one) => one.id === id)?.seen ?? "";
  };
  for (const [lines, processes, connections] of [
    [
      "workers = 2\nmax_cron_threads = 1",
      "4 processes (2 workers, 1 for scheduled jobs, 1 for websockets)",
      256,
    ],
    ["workers = 2\nmax_cron_threads = 0", "3 processes (2 workers, 1 for websockets)", 192],
    ["workers = 0\nmax_cron_threads = 2", "1 process (workers = 0)", 64],
    ["workers = 1\nmax_cron_threads = 1\ndb_maxconn = 10\ndb_maxconn_gevent = 5", "3 processes", 25],
    ["workers = 1\nmax_cron_threads = 1\ndb_maxconn = 10\ndb_maxconn_gevent = 0", "3 processes", 30],
  ] as const) {
    t.match(await told(lines, "conf-memory"), processes);
    const sum = await told(lines, "conf-db-connections");
    t.match(sum, processes);
    t.match(sum, `is up to ${connections} connections`);
  }
});

t.test("a filter that takes every name is none", async (t) => {
  const judged = (filter: string) => outcome(`dbfilter = ${filter}`, "conf-dbfilter");
  for (const bad of ["^.*$", "^(?:.*)$", "^\\w+$", ".+\\Z"]) t.equal(await judged(bad), "fail", bad);
  for (const wide of ["^prod.*$", "^prod\\w*$", "^prod[a-z_]*$", "^(prod.*)$", "^%d.*$"])
    t.equal(await judged(wide), "warn", wide);
});

// Compared with Python's re.
t.test(
  "a pattern Python reads in another way, or not at all, is not tried as JavaScript has it",
  async (t) => {
    t.equal(pythonMatcher("^p{,3}$")("ppp")?.matches, true);
    t.equal(pythonMatcher("^p{,3}$")("p{,3}")?.matches, false);
    for (const unread of ["^[]x]$", "^[^]x]$", "^prod\\z", "^\\prod$", "(?<a>x)", "^\\Kx"])
      t.equal(pythonMatcher(unread)("x"), null, unread);
    t.equal(pythonMatcher("^a\\\\z$")("a\\z")?.matches, true, "an escaped backslash");
  },
);

t.test("Odoo 19 reads no and 0 of with_demo as they are meant", async (t) => {
  for (const value of ["0", "no", "False", "off"])
    t.equal(await outcome(`without_demo = True\nwith_demo = ${value}`, "conf-demo-data"), "pass", value);
  t.equal(await outcome("with_demo = 1", "conf-demo-data"), "fail");
});

t.test(
  "a name without a dot is hardly another machine, and an Odoo without HTTP listens nowhere",
  async (t) => {
    t.equal(await outcome("db_host = db", "conf-db-sslmode"), "warn");
    t.equal(await outcome("db_host = db\ndb_sslmode = require", "conf-db-sslmode"), "pass");
    t.equal(await outcome("db_host = db.example.com", "conf-db-sslmode"), "fail");
    t.equal(await outcome("db_host = 10.0.0.5", "conf-db-sslmode"), "fail");
    t.equal(await outcome("http_enable = False", "conf-interface"), "pass");
    t.equal(await outcome("http_enable = 0", "conf-interface"), "fail", "yes to Odoo 18");
  },
);

t.test(
  "quotes belong to the value, capitals make another level, and Python's numbers are numbers",
  async (t) => {
    t.equal(await outcome('dbfilter = "^prod$"', "conf-syntax"), "fail");
    t.equal(await outcome("addons_path = '/opt/a,/opt/b'", "conf-syntax"), "fail");
    t.equal(await outcome(`admin_passwd = "$pbkdf2-sha512$25000$abc$def"`, "conf-master-password"), "fail");
    const { findings } = await audited('[options]\nadmin_passwd = "Sommer2026"\n');
    t.notMatch(JSON.stringify(findings), /Sommer/);
    for (const level of ["INFO", "Warn", "warning"])
      t.equal(await outcome(`log_level = ${level}`, "conf-log-level"), "fail", level);
    t.equal(await outcome("log_level = info", "conf-log-level"), "pass");
    t.equal(await outcome("limit_memory_hard = 2_684_354_560", "conf-syntax"), "pass");
    t.equal(await outcome("limit_memory_hard = 2_684_354_560", "conf-limits"), "pass");
    t.equal(await outcome("limit_memory_hard = 2__6", "conf-syntax"), "fail");
  },
);

t.test(
  "a file of a megabyte is read to its end, and a name that stands twice far apart is told",
  async (t) => {
    const lines = Array.from({ length: 80_000 }, (_, at) => `o${at} = 1`);
    const text = `[options]\n${lines.join("\n")}\no0 = 2\n[options]\n`;
    const result = await look({ odooConf: "odoo.conf" }, { "odoo.conf": text });
    t.same(seen(result, "conf-syntax"), ["fail 80002", "fail 80003"]);
  },
);

t.test("files that Odoo leaves to its proxy need a gateway that has them", async (t) => {
  const gateway = {
    from: "",
    answerTimeoutMsUsual: 60_000,
    webPort: null,
    busPort: null,
    filestore: null,
    answerTimeoutMsMax: 720_000,
    bodyBytesMax: 2 ** 30,
  };
  const filled = { ...gateway, filestore: "/odoo/filestore" };
  const noteOf = async (line: string, own: typeof gateway | typeof filled | null) => {
    const { findings } = await look({ odooConf: "c", gateway: own }, { c: `[options]\n${line}\n` });
    const found = findings.find((one) => one.id === "conf-x-sendfile");
    return `${found?.outcome}: ${found?.seen}`;
  };
  t.equal(await noteOf("x_sendfile = True", null), "warn: x_sendfile = True");
  t.equal(await noteOf("x_sendfile = True", gateway), "warn: x_sendfile = True");
  t.equal(
    await noteOf("x_sendfile = True", filled),
    'pass: x_sendfile = True, and the gateway sends the files from "/odoo/filestore" (ODOO_FILESTORE)',
  );
  t.match(await noteOf("x_sendfile = Maybe", filled), /^warn: /);
  t.match(
    await noteOf("x_sendfile = False", filled),
    /^pass: x_sendfile = False: ODOO_FILESTORE .*waits for it$/,
  );
  t.equal(await noteOf("x_sendfile = False", gateway), "pass: x_sendfile = False");
});
