import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import t from "tap";
import { packageRoot } from "../src/base/package-root.ts";

const root = packageRoot().directory;

interface Import {
  /** `src/edge/http1.ts`, or a package, or `node:net`. */
  readonly to: string;
  /** Erased by the compiler: only types cross. */
  readonly typeOnly: boolean;
}

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

const sources: readonly Source[] = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .map((name) => name.replaceAll("\\", "/"))
  .filter((name) => name.endsWith(".ts"))
  .map((name) => {
    const path = `src/${name}`;
    const text = readFileSync(join(root, path), "utf8");
    return { path, text, imports: importsOf(path, text) };
  });

function importsOf(path: string, text: string): Import[] {
  const found: Import[] = [];
  const statement = /^(?:import|export)\s+(type\s+)?([^;"']*?)from\s+"([^"]+)";|^import\s+"([^"]+)";/gm;
  for (const [, type, names = "", from, bare] of text.matchAll(statement)) {
    const to = from ?? bare ?? "";
    const inBraces = /^\s*\{([^}]*)\}\s*$/.exec(names)?.[1]?.split(",") ?? [];
    const parts = inBraces.map((part) => part.trim()).filter((part) => part !== "");
    const allTypes = parts.length > 0 && parts.every((part) => part.startsWith("type "));
    const target = to.startsWith(".") ? posix.join(dirname(path), to) : to;
    found.push({ to: target, typeOnly: type !== undefined || allTypes });
  }
  // Loaded when first needed.
  for (const [, to = ""] of text.matchAll(/\bawait import\("([^"]+)"\)/g))
    found.push({ to: to.startsWith(".") ? posix.join(dirname(path), to) : to, typeOnly: false });
  return found;
}

/** The room of a file: its folder, or one of the few files that stand alone. */
function roomOf(path: string): string {
  const [, first = "", second] = path.split("/");
  if (second !== undefined) return first === "road" ? "gateway" : first;
  const alone = first.replace(".ts", "");
  if (alone === "proving") return "start";
  return ["exchange", "running", "relay"].includes(alone) ? "gateway" : alone;
}

const siblings = ["guard", "tls", "upstream", "cache", "reply", "observe", "alert"];
const below = ["base", "message", "policy"];

/**
 * What a room may use of others (`values`), and of which it may know the types only. Its own room is always allowed.
 * base ← message ← policy ← { siblings } ← plan ← gateway ← edge ← start ← cluster ← cli ← main; settings, admin, demo, report, check and audit stand beside.
 */
const rooms: Readonly<
  Record<string, { readonly values: readonly string[]; readonly types: readonly string[] }>
> = {
  base: { values: [], types: [] },
  message: { values: ["base"], types: [] },
  settings: { values: ["base"], types: [] },
  policy: { values: ["base", "message"], types: ["settings"] },
  ...Object.fromEntries(siblings.map((room) => [room, { values: below, types: ["settings", ...siblings] }])),
  plan: { values: [...below, ...siblings], types: ["settings"] },
  gateway: { values: [...below, ...siblings, "plan"], types: ["settings"] },
  edge: { values: [...below, ...siblings, "plan", "gateway"], types: ["settings"] },
  admin: { values: ["base"], types: ["settings", "observe", "guard", "cache", "gateway", "alert"] },
  demo: { values: [], types: [] },
  report: { values: ["base"], types: [] },
  check: { values: ["base", "message", "policy", "report"], types: ["settings"] },
  // The shipped settings reader is the one that reads an operator's files, bounded.
  audit: { values: ["base", "policy", "report", "settings"], types: [] },
  start: {
    values: [...below, ...siblings, "plan", "gateway", "edge", "admin", "settings", "check"],
    types: ["cluster"],
  },
  cluster: {
    values: [...below, ...siblings, "start"],
    types: ["plan", "gateway", "admin", "settings"],
  },
  cli: {
    values: [
      ...below,
      ...siblings,
      "plan",
      "settings",
      "demo",
      "start",
      "cluster",
      "report",
      "check",
      "audit",
    ],
    types: ["gateway", "admin"],
  },
  main: { values: ["base", "cli"], types: [] },
};

t.test("arrows between rooms never point up", async (t) => {
  t.ok(sources.length > 50, "the sources were found");
  for (const { path, imports } of sources) {
    const room = roomOf(path);
    const allowed = rooms[room];
    if (allowed === undefined) {
      t.fail(`${path}: "${room}" is no room; name it in this table and in CONTRIBUTING.md`);
      continue;
    }
    for (const { to, typeOnly } of imports) {
      if (!to.startsWith("src/")) continue;
      const other = roomOf(to);
      const good =
        other === room || allowed.values.includes(other) || (typeOnly && allowed.types.includes(other));
      if (!good)
        t.fail(`${path} imports ${typeOnly ? "types of" : "values of"} ${to}: ${room} may not know ${other}`);
    }
  }
});

t.test("no file imports itself in a circle", async (t) => {
  const bySource = new Map(sources.map((source) => [source.path, source]));
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path);
    if (at >= 0) return void t.fail(`circle: ${[...way.slice(at), path].join(" → ")}`);
    if (done.has(path)) return;
    for (const { to, typeOnly } of bySource.get(path)?.imports ?? []) {
      if (!typeOnly && to.startsWith("src/")) visit(to, [...way, path]);
    }
    done.add(path);
  };
  for (const { path } of sources) visit(path, []);
  t.equal(done.size, sources.length);
});

t.test("each package has one door", async (t) => {
  const doors = new Map([
    ["pino", "src/observe/log-pino.ts"],
    ["prom-client", "src/observe/metrics-prom.ts"],
    ["helmet", "src/reply/security.ts"],
    ["rate-limiter-flexible", "src/guard/limit-store.ts"],
    ["yaml", "src/base/yaml-positions.ts"],
    ["zod", "src/policy/schema.ts"],
    ["@peculiar/x509", "src/tls/x509.ts"],
    ["acme-client", "src/tls/acme-client.ts"],
  ]);
  const seen = new Map<string, string[]>();
  for (const { path, imports } of sources) {
    for (const { to } of imports) {
      if (to.startsWith("src/") || to.startsWith("node:")) continue;
      seen.set(to, [...(seen.get(to) ?? []), path]);
    }
  }
  for (const [name, paths] of seen) t.same(paths, [doors.get(name)], `${name} comes in by its door only`);
  t.same([...seen.keys()].sort(), [...doors.keys()].sort(), "no door without a package");
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  t.same(Object.keys(dependencies).sort(), [...doors.keys()].sort(), "package.json lists these and no other");
  t.notOk(seen.has("http-proxy") || seen.has("ws"), "neither stands in the data path");
});

t.test("pure rooms get time, randomness, files and sockets as arguments", async (t) => {
  const pure = new Set(["base", "message", "policy"]);
  /** What leaves the rule, and why. */
  const allowed: Readonly<Record<string, readonly string[]>> = {
    // Finds package.json once, at start.
    "src/base/package-root.ts": ["node:fs", "node:path", "node:url"],
    "src/base/node-http.ts": ["node:module"],
    // A hash for Sec-WebSocket-Accept: a function of its input.
    "src/message/handshake.ts": ["node:crypto"],
    // Is it UTF-8: a function of its input.
    "src/policy/query.ts": ["node:buffer"],
    // Names of paths, and comparison of values: no file is touched.
    "src/policy/load.ts": ["node:path"],
    "src/policy/check.ts": ["node:util"],
  };
  for (const { path, text, imports } of sources) {
    if (!pure.has(roomOf(path))) continue;
    for (const { to, typeOnly } of imports) {
      if (!to.startsWith("node:") || typeOnly) continue;
      t.ok(allowed[path]?.includes(to), `${path} imports ${to}`);
    }
    // The clock, and the end of a turn of the event loop.
    if (path === "src/base/clock.ts" || path === "src/base/turn-end.ts") continue;
    const impure =
      /\b(?:Date\.now|new Date\(\)|performance\.|setTimeout\(|setInterval\(|setImmediate\(|Math\.random|process\.|fetch\()/;
    const bad = code(text)
      .split("\n")
      .filter((line) => impure.test(line));
    t.same(bad, [], `${path} asks nobody for time, chance or the environment`);
  }
});

t.test("no any, no non-null assertion, no enum", async (t) => {
  for (const { path, text } of sources) {
    const forbidden = [
      /(?::|\bas|<|\|)\s*any\b(?!\s*[?(])/,
      /[\w)\]]!(?:[.,;)\]]|\s*$)/,
      /^\s*(?:export\s+)?(?:const\s+)?(?:enum|namespace)\s/,
    ];
    const lines = code(text).split("\n");
    const bad = lines.filter((line) => forbidden.some((pattern) => pattern.test(line)));
    t.same(bad, [], path);
  }
});

/** The text without comments, and without what stands in quotes; regular expressions are left as they are. */
function code(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '""')
    .replace(/`(?:[^`\\]|\\.)*`/g, "``")
    .replace(/(^|\s)\/\/.*$/gm, "$1");
}
