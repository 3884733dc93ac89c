import t from "tap";
import { look, seen } from "../support/audit.ts";

const base = `services:
  odoo:
    image: odoo:19.0
    environment: [USER=odoo, LIST_DB=false]
    volumes: ["files:/var/lib/odoo"]
  db:
    image: postgres:17
    ports: ["5432:5432"]
`;

const places = async (
  files: Readonly<Record<string, string>>,
  id: string,
  compose: readonly string[] = [Object.keys(files)[0] ?? ""],
): Promise<readonly string[]> => {
  const { findings, problems } = await look({ compose }, files);
  t.same(problems, []);
  return findings
    .filter((one) => one.id === id)
    .map(({ outcome, place }) => `${outcome} ${place?.file}${place?.line == null ? "" : `:${place.line}`}`);
};

t.test("what a second file adds is seen, and named where it stands", async (t) => {
  const over = `services:
  odoo:
    ports: ["8069:8069"]
    environment:
      LIST_DB: "true"
`;
  const files = { "a.yaml": base, "b.yaml": over };
  t.same(await places(files, "compose-ports", ["a.yaml", "b.yaml"]), ["fail b.yaml:3", "fail a.yaml:8"]);
  t.same(await places(files, "compose-odoo-options", ["a.yaml", "b.yaml"]), ["fail b.yaml:5"]);
  t.same(
    await places(files, "compose-odoo-options", ["b.yaml", "a.yaml"]),
    ["pass b.yaml"],
    "the later holds",
  );
});

t.test("what a second file repairs is no longer told of the first", async (t) => {
  const over = `services:
  odoo: { restart: always, mem_limit: 4g, security_opt: ["no-new-privileges:true"] }
  db: { restart: always, mem_limit: 4g, security_opt: ["no-new-privileges:true"] }
`;
  const files = { "a.yaml": base, "b.yaml": over };
  for (const id of ["compose-restart", "compose-memory", "compose-no-new-privileges"]) {
    t.match(await places(files, id), [/^warn a\.yaml/, /^warn/], id);
    t.same(await places(files, id, ["a.yaml", "b.yaml"]), ["pass a.yaml"], id);
  }
});

t.test("!reset and !override take away what the first file publishes", async (t) => {
  for (const tag of ["!reset []", "!reset null", '!override ["127.0.0.1:5432:5432"]']) {
    const files = { "a.yaml": base, "b.yaml": `services:\n  db:\n    ports: ${tag}\n` };
    t.same(await places(files, "compose-ports", ["a.yaml", "b.yaml"]), ["pass a.yaml"], tag);
  }
  const plain = { "a.yaml": base, "b.yaml": "services:\n  db:\n    ports: []\n" };
  t.same(
    await places(plain, "compose-ports", ["a.yaml", "b.yaml"]),
    ["fail a.yaml:8"],
    "an empty list adds nothing",
  );
});

t.test("a volume takes the place of the one at the same target, a command replaces the other", async (t) => {
  const files = {
    "a.yaml": `${base}    command: ["odoo", "--dev=all"]\n`.replace("db:\n    image", "other:\n    image"),
    "b.yaml": `services:\n  odoo:\n    volumes: ["/tmp/x:/var/lib/odoo"]\n    command: ["odoo"]\n`,
  };
  const found = await places(files, "compose-volumes", ["a.yaml", "b.yaml"]);
  t.same(found, ["fail b.yaml:3", "fail a.yaml:6"], "and the database has none at all");
});

t.test("compose.override.yaml lies over a file of the usual name, as docker compose has it", async (t) => {
  const over = "services:\n  odoo:\n    ports: ['8069:8069']\n";
  for (const [own, other] of [
    ["compose.yaml", "compose.override.yaml"],
    ["docker-compose.yml", "docker-compose.override.yml"],
    ["stack/docker-compose.yml", "stack/compose.override.yml"],
  ] as const)
    t.same(await places({ [own]: base, [other]: over }, "compose-ports"), [
      `fail ${other}:3`,
      `fail ${own}:8`,
    ]);
  t.same(await places({ "prod.yaml": base, "compose.override.yaml": over }, "compose-ports"), [
    "fail prod.yaml:8",
  ]);
});

t.test("files of different folders are projects of their own", async (t) => {
  const files = { "a/compose.yaml": base, "b/compose.yaml": base };
  t.same(await places(files, "compose-ports", ["a/compose.yaml", "b/compose.yaml"]), [
    "fail a/compose.yaml:8",
    "fail b/compose.yaml:8",
  ]);
});

t.test("include brings the services of other files, below those of the file itself", async (t) => {
  const files = {
    "s/compose.yaml": `include:\n  - db/db.yaml\n  - path: [odoo.yaml, more.yaml]\nservices:\n  web: { image: "nginx:1.29" }\n`,
    "s/db/db.yaml":
      "services:\n  db:\n    image: postgres:17\n    env_file: db.env\n    ports: ['5432:5432']\n",
    "s/db/db.env": "POSTGRES_HOST_AUTH_METHOD=trust\n",
    "s/odoo.yaml": "services:\n  odoo:\n    image: odoo:19.0\n",
    "s/more.yaml": "services:\n  odoo:\n    ports: ['8069:8069']\n",
  };
  t.same((await places(files, "compose-ports")).toSorted(), ["fail s/db/db.yaml:5", "fail s/more.yaml:3"]);
  t.same(
    await places(files, "compose-postgres-auth"),
    ["fail s/db/db.env:1"],
    "env_file lies beside its file",
  );
  t.match(
    (await look({ compose: ["s/compose.yaml"] }, files)).findings.find(({ id }) => id === "compose-files")
      ?.seen,
    /db\.yaml/,
  );
});

t.test("extends brings the rest of a service, from the same file or another", async (t) => {
  const common =
    "services:\n  base:\n    image: odoo:19.0\n    restart: always\n    env_file: common.env\n    ports: ['8069:8069']\n";
  const files = {
    "compose.yaml":
      "services:\n  odoo:\n    extends: { file: lib/common.yaml, service: base }\n    mem_limit: 4g\n",
    "lib/common.yaml": common,
    "lib/common.env": "LIST_DB=true\n",
  };
  t.same(await places(files, "compose-ports"), ["fail lib/common.yaml:6"]);
  t.same(await places(files, "compose-restart"), ["pass compose.yaml"]);
  t.same(await places(files, "compose-odoo-options"), ["fail lib/common.env:1"]);
  const same = {
    "compose.yaml":
      "services:\n  a:\n    image: odoo:19.0\n    restart: always\n  odoo:\n    extends: a\n    restart: 'no'\n",
  };
  t.same(await places(same, "compose-restart"), ["warn compose.yaml:5"]);
});

t.test("what is not here, and circles, get an answer", async (t) => {
  const cases: readonly string[] = [
    "include: [gone.yaml]\nservices: { odoo: { image: 'odoo:19.0' } }\n",
    "services: { odoo: { extends: { file: gone.yaml, service: x } } }\n",
    "services: { odoo: { extends: nobody } }\n",
  ];
  for (const text of cases)
    t.same(seen(await look({ compose: ["f"] }, { f: text }), "compose-files"), [
      `skipped ${text.startsWith("include") ? 1 : 1}`,
    ]);
  const circles: readonly string[] = [
    "include: [f]\nservices: { odoo: { image: odoo } }\n",
    "include: [f, f, f, f, f, f, f, f, f, f]\nservices: { odoo: { image: odoo } }\n",
    "services: { a: { extends: b }, b: { extends: a }, odoo: { image: odoo } }\n",
    "services: { a: { extends: { file: f, service: a } }, odoo: { image: odoo } }\n",
    "include: 7\nservices: { odoo: { extends: 7 } }\n",
    "include: [{ path: 7 }, null, { }]\nservices: { odoo: null }\n",
    "services: { __proto__: { image: odoo }, odoo: { extends: __proto__ } }\n",
  ];
  for (const text of circles)
    t.ok((await look({ compose: ["f", "g"] }, { f: text, g: text })).findings.length > 0, text);
  const broken = await look(
    { compose: ["f"] },
    { f: "include: [g]\nservices: { odoo: { image: odoo } }\n", g: "a: [" },
  );
  t.match(
    broken.problems,
    [{ place: /^g:/, thing: /is no compose file/ }],
    "the file that is broken is named",
  );
});
