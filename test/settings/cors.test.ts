import t from "tap";
import { problemLine } from "../../src/base/problem.ts";
import { ok } from "../../src/base/result.ts";
import { loadSettings } from "../../src/settings/load.ts";

function load(yaml: string) {
  return loadSettings({ env: { DOMAIN: "erp.example.com" }, cwd: "/srv", readFile: () => ok(yaml) });
}

t.test("entries of cors: are read", (t) => {
  const loaded = load(`
cors:
  - { paths: /json/2/**, origins: [https://App.example.net, https://b.example:8443] }
  - { paths: [/a, /b/*], origins: https://c.example, credentials: true }
`);
  t.match(loaded, {
    value: {
      settings: {
        cors: [
          {
            paths: ["/json/2/**"],
            origins: ["https://app.example.net", "https://b.example:8443"],
            credentials: false,
          },
          { paths: ["/a", "/b/*"], origins: ["https://c.example"], credentials: true },
        ],
      },
    },
  });
  t.match(load("domain: erp.example.com"), { value: { settings: { cors: [] } } });
  t.end();
});

t.test("each mistake names its place and what to write", (t) => {
  const problemsOf = (yaml: string) => {
    const loaded = load(yaml);
    return loaded.ok ? [] : loaded.error.map(problemLine);
  };
  t.same(
    problemsOf(`
cors:
  - path: /x
    origins: ["*"]
  - paths: [x, /y/**/z]
    origins: [http://a.example]
    credentials: maybe
`),
    [
      'gateway.yaml:3:5 "path" is not known here; did you mean paths?',
      "gateway.yaml:3:5 an entry of cors names no paths; add paths: [/json/2/**]",
      'gateway.yaml:4:15 origins "*" is no origin; write https://host or https://host:port',
      'gateway.yaml:7:18 credentials "maybe" must be true or false; true lets those pages use the session of whoever is logged in',
      'gateway.yaml:5:13 paths "x" must begin with "/"',
      'gateway.yaml:5:16 paths "/y/**/z" is no path pattern; write "/x/y", "/x/*" or "/x/**"',
      'gateway.yaml:6:15 origins "http://a.example" is no origin; write https://host or https://host:port',
    ],
  );
  t.match(problemsOf("cors: {}"), [/cors must be a list/]);
  t.end();
});
