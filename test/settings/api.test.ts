import t from "tap";
import { parseIp } from "../../src/base/ip.ts";
import { problemLine } from "../../src/base/problem.ts";
import { ok } from "../../src/base/result.ts";
import { loadSettings } from "../../src/settings/load.ts";

function load(yaml: string, env: Readonly<Record<string, string>> = {}) {
  return loadSettings({
    env: { DOMAIN: "erp.example.com,shop.example.com", ...env },
    cwd: "/srv",
    readFile: () => ok(yaml),
  });
}

function settingsOf(yaml: string) {
  const loaded = load(yaml);
  if (!loaded.ok) throw new Error(loaded.error.map(problemLine).join("\n"));
  return loaded.value.settings;
}

function problemsOf(yaml: string, env: Readonly<Record<string, string>> = {}): string[] {
  const loaded = load(yaml, env);
  return loaded.ok ? [] : loaded.error.map(problemLine);
}

t.test("entries of api: are read, with what they leave out", (t) => {
  const { api, apiNetworks } = settingsOf(`
api:
  - networks: 192.0.2.0/24
    hosts: [ERP.example.com]
    services: [common, object]
    models: [sale.*, res.partner]
    methods: "*"
    rate: 60/min
  - { networks: [2001:db8::/32, 198.51.100.7], rate: 0.5/s, burst: 9 }
`);
  t.match(api, [
    {
      place: "gateway.yaml:3:5",
      hosts: new Set(["erp.example.com"]),
      services: new Set(["common", "object"]),
      models: ["sale.*", "res.partner"],
      methods: ["*"],
      rate: { perSecond: 1, burst: 59 },
    },
    { hosts: null, services: null, models: null, methods: null, rate: { perSecond: 0.5, burst: 9 } },
  ]);
  const inside = (text: string) => apiNetworks?.contains(parseIp(text) ?? { family: 4, value: 0n, text: "" });
  t.same([inside("192.0.2.9"), inside("2001:db8::1"), inside("203.0.113.1")], [true, true, false]);
  t.equal(settingsOf("api: [{ networks: any }]").apiNetworks, null, "everybody is in an entry");
  t.end();
});

t.test("each mistake names its place and the nearest word", (t) => {
  t.same(
    problemsOf(`
api:
  - network: 192.0.2.0/24
  - networks: [192.0.2.0/33, none]
    services: [objects, db]
    models: [sale.*.x, "a b"]
    methods: [re*d]
    hosts: [erp.exampel.com]
    rate: often
  - networks: [192.0.2.1]
    burst: 3
    models: []
  - text
`).map((line) => line.replace(/is no IP address.*/, "is no IP address")),
    [
      'gateway.yaml:3:5 "network" is not known here; did you mean networks?',
      "gateway.yaml:3:5 an entry of api names no networks; add networks: [192.0.2.0/24], or [any]",
      'gateway.yaml:4:16 networks "192.0.2.0/33" needs a prefix length from 0 to 32 behind the slash; write an address, CIDR, or any',
      'gateway.yaml:4:30 networks "none" is no IP address',
      'gateway.yaml:8:13 hosts "erp.exampel.com" is none of DOMAIN; did you mean erp.example.com?',
      'gateway.yaml:5:16 services "objects" is no service; did you mean object?',
      'gateway.yaml:5:25 services "db" is for ADMIN_NETWORKS alone; take it out',
      'gateway.yaml:6:14 models "sale.*.x" is no name; write a name; * stands for the rest of it, at its end only',
      'gateway.yaml:6:24 models "a b" is no name; write a name; * stands for the rest of it, at its end only',
      'gateway.yaml:7:15 methods "re*d" is no name; write a name; * stands for the rest of it, at its end only',
      'gateway.yaml:9:11 rate "often" is no rate; write 60/min, 30/s or 1000/h',
      "gateway.yaml:12:13 models must have 1 to 1000 entries",
      "gateway.yaml:11:5 burst needs a rate; add rate: 60/min",
      "gateway.yaml:13:5 an entry of api must be a map of keys",
    ],
  );
  t.match(problemsOf("apis: []"), [/gateway.yaml:1:1 apis is no setting.*did you mean api\?/]);
  t.match(problemsOf("api: {}"), [/api must be a list/]);
  t.match(problemsOf("api: [{ networks: any }]", { API_NETWORKS: "192.0.2.1" }), [
    /API_NETWORKS.*both say who may call/,
  ]);
  t.end();
});

t.test("databases of single hosts", (t) => {
  const { database, hostDatabases } = settingsOf(
    "database: main\nhosts:\n  Shop.example.com: { database: shop_1 }\n",
  );
  t.same([database, [...hostDatabases]], ["main", [["shop.example.com", "shop_1"]]]);
  t.match(problemsOf("hosts:\n  shop.exampel.com: { databse: x }\n  erp.example.com: 7\n"), [
    /2:3 "shop.exampel.com" is none of DOMAIN.*did you mean shop.example.com/,
    /2:23 "databse" is not known here.*did you mean database/,
    /3:20 "erp.example.com" must be a map/,
  ]);
  t.match(problemsOf("hosts:\n  erp.example.com: { database: '../x' }"), [/is no name of a database/]);
  t.match(problemsOf("", { DATABASE: "a b" }), [/DATABASE "a b" is no name of a database/]);
  const shown = load("", { DATABASE: "prod", DATABASE_SELECTOR: "allow" });
  t.match(shown.ok ? shown.value.warnings.map(problemLine) : [], [/DATABASE_SELECTOR allow has no effect/]);
  t.end();
});
