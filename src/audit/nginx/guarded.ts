/** What an nginx site lets strangers reach that it should not, with the spelling that gets through. */
import { type Note, note } from "../note.ts";
import { inherited, lastOf, type NginxModel, type Server } from "./model.ts";
import {
  formDoorProbes,
  jsonServiceProbes,
  managerProbes,
  mappedProbes,
  type NginxProbe,
  reaches,
  rpcDoorProbes,
  xmlServiceProbes,
} from "./probes.ts";
import { type Outcome, walk } from "./walk.ts";

type Proxied = Extract<Outcome, { kind: "proxied" }>;
interface Through {
  readonly probe: NginxProbe;
  readonly outcome: Proxied;
}

/** A login door may be tried this often by one address, at most: more guesses than a person makes. */
const guessesPerSecondMax = 1;
/** Spellings that are named in one note. */
const spellingsShown = 6;

export function guardedNotes(model: NginxModel, server: Server, host: string): readonly Note[] {
  const manager = managerProbes(host);
  const xml = xmlServiceProbes();
  return [
    open(
      "nginx-database-manager",
      [...manager, ...mappedProbes(server, manager)],
      "the database manager is closed in every spelling",
    ),
    open(
      "nginx-db-service",
      [...xml, ...mappedProbes(server, xml)],
      "the db service over XML-RPC is closed in every spelling",
    ),
    open("nginx-jsonrpc", jsonServiceProbes(), "JSON-RPC is closed to strangers, and with it its db service"),
    limited("nginx-login-limit", formDoorProbes(), "fail"),
    limited("nginx-rpc-limit", rpcDoorProbes(), "warn"),
  ];

  function through(probes: readonly NginxProbe[]): readonly Through[] {
    const found: Through[] = [];
    for (const probe of probes) {
      const outcome = walk(model, server, {
        method: probe.method,
        target: probe.target,
        host,
        isUpgrade: false,
      });
      if (outcome.kind === "proxied" && reaches(probe, outcome.sent)) found.push({ probe, outcome });
    }
    return found;
  }

  function open(id: string, probes: readonly NginxProbe[], good: string): Note {
    const holes = through(probes);
    const [first] = holes;
    if (first === undefined) return note(id, "pass", good, server.place);
    return note(
      id,
      "fail",
      `${names(holes)} ${holes.length === 1 ? "reaches" : "reach"} Odoo`,
      first.outcome.place,
    );
  }

  function limited(id: string, probes: readonly NginxProbe[], outcome: "fail" | "warn"): Note {
    const all = through(probes);
    const bare = all.filter(({ outcome: one }) => ratePerSecond(one, model) === null);
    const weak = all.filter(({ outcome: one }) => (ratePerSecond(one, model) ?? 0) > guessesPerSecondMax);
    if (all.length === 0) return note(id, "pass", "none of these doors is open to strangers", server.place);
    if (bare.length === 0 && weak.length === 0)
      return note(id, "pass", "every spelling of every door is limited", server.place);
    const parts = [
      ...(bare.length > 0 ? [`no limit: ${names(bare)}`] : []),
      ...(weak.length > 0 ? [`more than ${guessesPerSecondMax} a second: ${names(weak)}`] : []),
    ];
    return note(id, outcome, parts.join("; "), (bare[0] ?? weak[0])?.outcome.place ?? server.place);
  }
}

/** One of each spelling first, so that the ways through are seen and not one way many times. */
function names(found: readonly Through[]): string {
  const firsts = found.filter(
    ({ probe }, index) => found.findIndex((one) => one.probe.spelling === probe.spelling) === index,
  );
  const ordered = [...firsts, ...found.filter((one) => !firsts.includes(one))];
  const shown = ordered
    .slice(0, spellingsShown)
    .map(({ probe }) => `${probe.method} ${probe.target} (${probe.spelling})`);
  const more = ordered.length - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** What a client can make new with each request, so that no limit on it holds. */
const clientsChoice =
  /\$\{?(?:arg_|cookie_|args\b|query_string|request_uri|request_id|http_(?:x_forwarded_for|user_agent|cookie|referer)|proxy_add_x_forwarded_for)/;

/** The slowest limit that holds for a request; null: none. A zone that is defined elsewhere counts as a limit. */
function ratePerSecond({ levels, expand }: Proxied, model: NginxModel): number | null {
  if (lastOf(levels, "limit_req_dry_run")?.args[0] === "on") return null;
  const zones = inherited(levels, "limit_req").flatMap(({ args }) =>
    args.flatMap((one) => (one.startsWith("zone=") ? [one.slice(5)] : [])),
  );
  const rates = zones.flatMap((zone) => {
    const definition = model.outer.find(
      ({ name, args }) => name === "limit_req_zone" && args.some((one) => one.startsWith(`zone=${zone}:`)),
    );
    const key = expand(definition?.args[0] ?? "$binary_remote_addr");
    // A request whose key is empty is not counted (documentation of limit_req_zone).
    if (key === "" || clientsChoice.test(definition?.args[0] ?? "") || clientsChoice.test(key)) return [];
    const [, amount = "", unit] =
      /^rate=([0-9]+)r\/([sm])$/.exec(definition?.args.find((one) => one.startsWith("rate=")) ?? "") ?? [];
    return amount === "" ? [0] : [Number(amount) / (unit === "m" ? 60 : 1)];
  });
  return rates.length === 0 ? null : Math.min(...rates);
}
