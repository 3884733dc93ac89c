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
  ])
    t.equal(await ports(open), "fail", open);
  for (const closed of [
    '["127.0.0.1:8069:8069"]',
    '["[::1]:8069:8069"]',
    '["127.0.0.1::8069"]',
    "[{ target: 8069, host_ip: 127.0.0.1 }]",
    '["8069:80"]',
    "[]",
    '["443:8443"]',
  ])
    t.equal(await ports(closed), "pass", closed);
  t.equal(await ports('["10.0.0.5:8069:8069"]'), "warn");
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
  ])
    t.equal(await judged(good), "pass", good);
  const { findings } = await audited(
    "services: { odoo: { image: odoo:19, environment: { PASSWORD: Sommer2026 } } }",
  );
  t.notMatch(JSON.stringify(findings), /Sommer/);
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
    ].map(put),
    ["1", "1", "$A", "x", "x", "x", "", "y", "", null, null],
  );
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
