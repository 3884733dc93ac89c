import t from "tap";
import { interpolate, readEnvFile } from "../../src/audit/compose/variables.ts";
import { look, seen } from "../support/audit.ts";

const audited = (text: string, variables: readonly (readonly [string, string])[] = []) =>
  look({ compose: ["c.yaml"], variables: new Map(variables) }, { "c.yaml": text });
const ports = async (list: string) =>
  seen(await audited(`services:\n  odoo:\n    image: odoo:19.0\n    ports: ${list}\n`), "compose-ports")
    .map((one) => one.split(" ")[0])
    .join(" ");

t.test("published ports: every way of writing them", async (t) => {
  for (const open of [
    '["8069:8069"]',
    '["8069"]',
    "[8069]",
    '["80:8069"]',
    '["0.0.0.0:8069:8069"]',
    '["[::]:8069:8069"]',
    '["8000-8100:8000-8100"]',
    '["8072:8072/tcp"]',
    "[{ target: 8069, published: 80 }]",
    '[{ target: "8072", host_ip: 0.0.0.0 }]',
    `["\${PORT:-8069}:8069"]`,
    '["5432:5432"]',
    '[":8069"]',
    '["0.0.0.0:5432:5432/TCP"]',
    `[{ target: "\${PORT:-8069}", published: 80 }]`,
  ])
    t.equal(await ports(open), "fail", open);
  for (const closed of [
    '["127.0.0.1:8069:8069"]',
    '["[::1]:8069:8069"]',
    '["127.0.0.1::8069"]',
    "[{ target: 8069, host_ip: 127.0.0.1 }]",
    `[{ target: 8069, host_ip: "\${BIND:-127.0.0.1}" }]`,
    '["8069:80"]',
    "[]",
    '["443:8443"]',
  ])
    t.equal(await ports(closed), "pass", closed);
  t.equal(await ports('["10.0.0.5:8069:8069"]'), "warn");
  for (const unknown of [`["\${PORT}:\${PORT}"]`, `[{ target: "\${PORT}", published: 80 }]`])
    t.equal(await ports(unknown), "warn", "nobody knows which port that is");
  const host = await audited("services: { odoo: { image: odoo:19, network_mode: host } }");
  t.same(seen(host, "compose-ports"), ["fail 1"]);
});

t.test("passwords: in the file, as a default, or from outside", async (t) => {
  const judged = async (entry: string) =>
    seen(
      await audited(`services:\n  odoo:\n    image: odoo:19\n    environment:\n      ${entry}\n`),
      "compose-secrets",
    )
      .map((one) => one.split(" ")[0])
      .join(" ");
  for (const bad of [
    "PASSWORD: odoo",
    'PASSWORD: "Kw93-bx7Q"',
    "- PASSWORD=odoo",
    `PASSWORD: \${PW:-odoo}`,
    `PASSWORD: \${PW-odoo}`,
    "ADMIN_PASSWD: x",
    "API_KEY: 42",
    "DB_PASS: odoo",
    "SMTP_PASS: odoo",
    "DATABASE_URL: postgresql://odoo:odoo@db/prod",
    `DATABASE_URL: "postgresql://odoo:\${PW:-odoo}@db/prod"`,
    `PASSWORD: \${A:-\${B:-odoo}}`,
  ])
    t.equal(await judged(bad), "fail", bad);
  for (const good of [
    `PASSWORD: \${PW}`,
    `PASSWORD: \${PW:?set it}`,
    `PASSWORD: \${PW:-}`,
    "PASSWORD_FILE: /run/secrets/x",
    "- PASSWORD",
    "USER: odoo",
    "PASSWORD:",
    "COMPASS: north",
    "DATABASE_URL: postgresql://odoo@db/prod",
    `DATABASE_URL: "postgresql://odoo:\${PW}@db/prod"`,
    `PASSWORD: \${A:-\${B}}`,
  ])
    t.equal(await judged(good), "pass", good);
  const { findings } = await audited(
    "services: { odoo: { image: odoo:19, environment: { PASSWORD: Sommer2026 } } }",
  );
  t.notMatch(JSON.stringify(findings), /Sommer/);
});

t.test("a password on the command line stands in the file", async (t) => {
  const judged = async (command: string) =>
    seen(await audited(`services: { web: { image: "odoo:19.0", command: ${command} } }`), "compose-secrets")
      .map((one) => one.split(" ")[0])
      .join(" ");
  for (const bad of [
    "odoo --db_password=odoo",
    '["odoo", "-w", "odoo"]',
    "odoo --db_password 'odoo'",
    `"odoo -w \${PW:-odoo}"`,
  ])
    t.equal(await judged(bad), "fail", bad);
  for (const good of ["odoo", `"odoo -w \${PW}"`, "odoo --workers=4"])
    t.equal(await judged(good), "pass", good);
});

t.test("Bitnami's images: their folders hold data, and no password is one", async (t) => {
  const result = await audited(`services:
  postgresql:
    image: docker.io/bitnami/postgresql:15
    volumes: ["postgresql_data:/bitnami/postgresql"]
    environment: [ALLOW_EMPTY_PASSWORD=yes, POSTGRESQL_USERNAME=bn_odoo]
  odoo:
    image: docker.io/bitnami/odoo:16
    volumes: ["odoo_data:/bitnami/odoo"]
    environment: [ALLOW_EMPTY_PASSWORD=yes]
`);
  t.same(seen(result, "compose-volumes"), ["pass"]);
  t.same(seen(result, "compose-postgres-auth"), ["fail 5"]);
  t.same(seen(result, "compose-secrets"), ["pass"]);
});

t.test("a file that only adds to another is not blamed for what it leaves out", async (t) => {
  const result = await audited(`services:
  odoo:
    restart: always
    ports: ["8069:8069"]
  db:
    extends: { file: common.yaml, service: db }
    image: postgres
    security_opt: ["seccomp:unconfined"]
`);
  for (const id of ["volumes", "memory", "healthcheck", "read-only", "logging", "networks"])
    t.same(seen(result, `compose-${id}`), ["skipped"], id);
  t.same(seen(result, "compose-ports"), ["fail 4"], "what it says is judged");
  t.same(seen(result, "compose-privileged"), ["fail 8"]);
  t.same(seen(result, "compose-image-tag"), ["fail 7"]);
});

t.test("an image that gets no fixes any more is told by its tag", async (t) => {
  for (const [image, outcome, words] of [
    ["odoo:16", "fail", /Odoo 16 has had no fixes since 2025-11/],
    ["odoo:14.0-20220101@sha256:0f", "fail", /Odoo 14/],
    ["ghcr.io/acme/odoo:15.0-acme.3", "fail", /Odoo 15/],
    ["odoo:18.0-20260101", "warn", /was built 324 days ago/],
    ["bitnami/odoo:18.0.20260101-debian-12-r0", "warn", /324 days/],
    ["odoo:18.0-20260901", "pass", /Odoo 18: still mended/],
    ["odoo:19.0", "pass", /Odoo 19/],
    ["registry.example.com/odoo:12", "skipped", /no image tells/],
    ["odoo:latest", "skipped", /no image tells/],
    ["odoo:2.1", "skipped", /no image tells/],
    ["postgres:9.6", "fail", /PostgreSQL 9 has had no fixes for years/],
    ["postgres:14-alpine", "fail", /PostgreSQL 14 has had no fixes since 2026-11/],
    ["pgvector/pgvector:0.8.0-pg15", "pass", /PostgreSQL 15/],
    ["pgvector/pgvector:pg16", "pass", /PostgreSQL 16/],
    ["postgis/postgis:15-3.4", "pass", /PostgreSQL 15/],
    ["postgres:25", "pass", /PostgreSQL 25/],
    ["postgres:bookworm", "skipped", /no image tells/],
  ] as const) {
    const result = await audited(`services: { one: { image: "${image}" } }`);
    const found = result.findings.find(({ id }) => id === "compose-image-age");
    t.equal(found?.outcome, outcome, `${image}: ${found?.seen}`);
    t.match(found?.seen, words);
  }
});

t.test("helpers around PostgreSQL and Odoo are neither", async (t) => {
  const result = await audited(`services:
  backup: { image: "prodrigestivill/postgres-backup-local:15" }
  metrics: { image: "prometheuscommunity/postgres-exporter:v0.15.0" }
  pool: { image: "bitnami/pgbouncer:1" }
  web: { image: "nginx/nginx-prometheus-exporter:1" }
`);
  t.same(seen(result, "compose-volumes"), ["pass"]);
  t.same(seen(result, "compose-memory"), ["pass"]);
});

t.test("an image or a mount that a variable names is not guessed", async (t) => {
  const text = `services:
  odoo:
    image: \${IMAGE}
    volumes: ["data:\${DATA_DIR}"]
  db:
    image: \${REGISTRY}/postgres
    volumes: ["pg:\${PGDATA}"]
`;
  const result = await audited(text);
  t.same(seen(result, "compose-volumes"), ["pass"]);
  t.same(seen(result, "compose-image-tag"), ["pass"]);
  const known = await audited(text, [
    ["IMAGE", "odoo"],
    ["PGDATA", "/elsewhere"],
  ]);
  t.same(seen(known, "compose-image-tag"), ["fail 3"]);
  t.same(seen(known, "compose-volumes"), ["fail 5"]);
});

t.test("Docker's socket is seen behind variables and by where it lies in the container", async (t) => {
  for (const mount of [
    `"\${SOCK:-/var/run/docker.sock}:/tmp/docker.sock:ro"`,
    `"\${DOCKER_SOCK}:/tmp/x:ro"`,
    `"\${X}:/var/run/docker.sock"`,
    "{ type: bind, source: /run/docker.sock, target: /x }",
    `"/run:/host/run"`,
    `"/var/run/:/var/run:ro"`,
  ])
    t.same(
      seen(
        await audited(`services: { p: { image: "traefik:3", volumes: [${mount}] } }`),
        "compose-docker-socket",
      ),
      ["fail 1"],
      mount,
    );
  t.same(
    seen(
      await audited('services: { p: { image: "x:3", volumes: ["/var/run:/var/run:ro"] } }'),
      "compose-privileged",
    ),
    ["fail 1"],
    "the folder of the socket",
  );
});

t.test("a filter of the environment or the command line is judged as one of odoo.conf", async (t) => {
  const judged = async (rest: string) =>
    seen(await audited(`services: { odoo: { image: "odoo:19.0", ${rest} } }`), "compose-odoo-options")
      .map((one) => one.split(" ")[0])
      .join(" ");
  for (const bad of [
    `environment: { DB_FILTER: "^\${DB_NAME}" }`,
    'environment: { DB_FILTER: "^prod$$|test" }',
    'environment: { DB_FILTER: "^.*$$" }',
    'command: ["--db-filter", "^prod$$|test"]',
    `command: "odoo --db-filter=^\${DB}"`,
  ])
    t.equal(await judged(bad), "fail", bad);
  for (const good of [
    `environment: { DB_FILTER: "^\${DB_NAME}$$" }`,
    `command: "odoo --db-filter=^\${DB}$$"`,
    "command: \"odoo --db-filter='^prod$$'\"",
  ])
    t.equal(await judged(good), "pass", good);
});

t.test("limits without memory, and a health check that is none", async (t) => {
  const result = await audited(`services:
  odoo: { image: "odoo:19.0", deploy: { resources: { limits: { cpus: "2" } } } }
  db: { image: "postgres:17", mem_limit: 1g, healthcheck: { test: ["NONE"] } }
`);
  t.same(seen(result, "compose-memory"), ["warn 2"]);
  t.same(seen(result, "compose-healthcheck"), ["warn 3"]);
});

t.test("the official image logs in as odoo when nobody says anything else", async (t) => {
  const judged = async (odoo: string, db = "POSTGRES_USER: odoo") =>
    seen(
      await audited(
        `services: { web: { image: "odoo:17.0"${odoo} }, db: { image: "postgres:15", environment: { ${db} } } }`,
      ),
      "compose-postgres-role",
    ).join();
  t.equal(await judged(""), "fail 1");
  t.equal(await judged(", environment: { USER: app }"), "pass");
  t.equal(await judged(', command: "odoo -r app"'), "skipped");
  t.equal(await judged(", env_file: [x.env]"), "skipped");
  t.equal(await judged("", "POSTGRES_USER: boss"), "pass");
});

t.test("the stack of the OpenSPP guide", async (t) => {
  const text = `services:
  traefik:
    image: traefik:v3.2
    ports: ["80:80", "443:443"]
    volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]
  odoo:
    image: openspp/openspp:19
    environment:
      LIST_DB: "False"
      PROXY_MODE: "True"
      LOG_LEVEL: warn
      DB_FILTER: "^\${DB_NAME:-openspp}$$"
      DB_USER: \${DB_USER:-odoo}
  db:
    image: postgres:17
    environment:
      POSTGRES_USER: \${DB_USER:-odoo}
`;
  const result = await audited(text);
  t.same(
    seen(result, "compose-odoo-options"),
    ["fail 11"],
    "the level that blinds the fail2ban of the same guide",
  );
  t.same(seen(result, "compose-docker-socket"), ["fail 5"]);
  t.same(seen(result, "compose-postgres-role"), ["fail 13"], "the role the image makes superuser");
  t.same(seen(result, "compose-ports"), ["pass"]);
});

t.test("variables are put in as compose does", async (t) => {
  const known = new Map([
    ["A", "1"],
    ["E", ""],
  ]);
  const put = (text: string) => interpolate(text, known).text;
  t.same(
    [
      "$A",
      `\${A}`,
      "$$A",
      `\${B:-x}`,
      `\${B-x}`,
      `\${E:-x}`,
      `\${E-x}`,
      `\${A:+y}`,
      `\${B:+y}`,
      `\${B}`,
      `\${B:?no}`,
      `\${B:-\${A}}`,
      `\${B:-a\${C:-c}d}`,
      `\${B:-\${C}}`,
      `\${B`,
      `\${}`,
      "a$",
    ].map(put),
    ["1", "1", "$A", "x", "x", "x", "", "y", "", null, null, "1", "acd", null, `\${B`, `\${}`, "a$"],
  );
  const deep = `\${B:-`.repeat(100_000);
  t.equal(interpolate(deep, known).text, deep, "a hundred thousand that never end, end");
  t.equal(interpolate(`\${B}-$A`, known, "x").text, "x-1", "something in place of what is not known");
  t.same(
    [...readEnvFile("A=1\n#B=2\nexport C='3 # x'\nD=\"4\" # y\nE=5 # z\nnonsense\n F = 6\n")],
    [
      ["A", "1"],
      ["C", "3 # x"],
      ["D", "4"],
      ["E", "5"],
      ["F", "6"],
    ],
  );
});

t.test("odd but valid files are looked at without a crash", async (t) => {
  for (const text of [
    "services: { odoo: null }",
    "services: { odoo: [1, 2] }",
    "services: { odoo: { image: 5, ports: 8069, environment: 7, volumes: x, networks: 3, depends_on: 1, command: { a: 1 } } }",
    "services: { odoo: { ports: [null, [1], { target: null }, {}], environment: [1, null, '=x', {}], volumes: [null, {}, 5], cap_add: { a: 1 } } }",
    "x: !reset null\nservices: { db: !override { image: postgres:17 } }",
    "services: { db: { image: 'postgres:17', healthcheck: { disable: true } } }\nnetworks: [a]",
  ]) {
    const { problems, findings } = await audited(text);
    t.same(problems, [], text);
    t.ok(findings.length > 10);
  }
});

t.test("what env_file sets is what the container gets, and no password in the compose file", async (t) => {
  const text = `services:
  odoo:
    image: "odoo:19.0"
    env_file: [.docker/odoo.env, { path: gone.env, required: false }]
    environment: { PROXY_MODE: "True" }
  db:
    image: "postgres:17"
    env_file: .docker/db.env
`;
  const result = await look(
    { compose: ["stack/c.yaml"] },
    {
      "stack/c.yaml": text,
      "stack/.docker/odoo.env":
        "# Odoo\nLIST_DB=True\nPROXY_MODE=False\nDB_FILTER=^prod\nPASSWORD=odoo\nUSER=app\n",
      "stack/.docker/db.env": "POSTGRES_USER=app\nPOSTGRES_HOST_AUTH_METHOD=trust\n",
    },
  );
  const told = (id: string) =>
    result.findings
      .filter((one) => one.id === id)
      .map(({ outcome, place }) => `${outcome} ${place?.file}:${place?.line}`);
  t.same(told("compose-odoo-options"), [
    "fail stack/.docker/odoo.env:2",
    "fail stack/.docker/odoo.env:4",
    "skipped stack/c.yaml:4",
  ]);
  t.same(told("compose-secrets"), ["pass stack/c.yaml:null"]);
  t.same(told("compose-postgres-auth"), ["fail stack/.docker/db.env:2"]);
  t.same(told("compose-postgres-role"), ["fail stack/.docker/odoo.env:6"]);
});
