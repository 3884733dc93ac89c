import { parseArgs } from "node:util";
import { systemClock } from "../base/clock.ts";
import { parseIp } from "../base/ip.ts";
import { keyOf } from "../cache/rules.ts";
import { type ApiRefusal, apiPathOf, networkRefusal, pathRefusal, wantsCall } from "../guard/api-list.ts";
import { isDatabaseList, queryNamesOther } from "../guard/database-pin.ts";
import { type Door, doorOf } from "../guard/login-door.ts";
import type { RequestFacts } from "../message/facts.ts";
import { cspReportPath } from "../message/own-paths.ts";
import { screen } from "../message/screen.ts";
import { buildPlan, type Plan } from "../plan.ts";
import { opensFor } from "../policy/compile.ts";
import type { Decision, ForwardDecision, Limit } from "../policy/decision.ts";
import { explain as explainPolicy } from "../policy/explain.ts";
import type { Settings } from "../settings/settings.ts";
import { readPolicy } from "../start/policy-files.ts";
import { spoolPartBytes } from "../upstream/spool.ts";
import { printProblems, settingsToExplain } from "./settings.ts";

const sessionKinds = ["none", "present", "known"];

/** `odoo-gateway explain "METHOD /path" …`: every rule tried and the verdict; the exit status. */
export function explain(args: readonly string[]): number {
  const read = readArguments(args);
  if (typeof read === "string") {
    process.stderr.write(`${read}\nsee: odoo-gateway explain --help\n`);
    return 2;
  }
  const loaded = settingsToExplain();
  if (!loaded.ok) {
    printProblems(loaded.error);
    return 1;
  }
  const { settings } = loaded.value;
  const policy = readPolicy(settings);
  if (!policy.ok) {
    printProblems(policy.error);
    return 1;
  }
  const plan = buildPlan({
    revision: 1,
    settings,
    policy: policy.value,
    httpsPort: settings.httpsListen.port,
    secret: Buffer.alloc(32),
    clock: systemClock,
  });
  process.stdout.write(explainRequest(plan, read));
  return 0;
}

interface Asked {
  readonly method: string;
  readonly target: string;
  readonly from: string;
  readonly host: string | null;
  readonly session: string;
  readonly agent: string;
  readonly websocket: boolean;
  readonly plain: boolean;
}

function readArguments(args: readonly string[]): Asked | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        from: { type: "string", default: "203.0.113.9" },
        host: { type: "string" },
        session: { type: "string", default: "none" },
        agent: { type: "string", default: "" },
        websocket: { type: "boolean", default: false },
        plain: { type: "boolean", default: false },
      },
    });
    const [request = "", ...more] = positionals;
    const match = /^(\S+) (\S.*)$/.exec(request);
    if (match === null || more.length > 0) return `give one request in quotes, such as "POST /web/login"`;
    if (parseIp(values.from) === null) return `--from ${values.from} is no address`;
    if (!sessionKinds.includes(values.session))
      return `--session ${values.session} is none of ${sessionKinds.join(", ")}`;
    const { from, session, agent, websocket, plain } = values;
    return {
      method: match[1] ?? "",
      target: match[2] ?? "",
      from,
      host: values.host ?? null,
      session,
      agent,
      websocket,
      plain,
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The whole explanation as text. */
export function explainRequest(plan: Plan, asked: Asked): string {
  const { settings, site } = plan;
  const lines: string[] = [];
  const say = (text: string) => lines.push(text);
  say(`${asked.method} ${asked.target}  from ${asked.from}, preset ${settings.preset}`);
  const peer = parseIp(asked.from);
  if (peer === null) return "";
  const read = screen(
    {
      protocol: "HTTP/1.1",
      method: asked.method,
      target: asked.target,
      fields: fieldsFor(asked, plan),
      authority: null,
      scheme: null,
      peer,
      secure: !asked.plain,
      localPort: asked.plain ? (settings.httpListen?.port ?? 80) : site.publicPort,
    },
    site,
  );
  if (!read.ok) {
    say("");
    say(`verdict: refused by the screen before any rule, ${read.error.status} (${read.error.code})`);
    say(`why:     ${read.error.detail}`);
    return `${lines.join("\n")}\n`;
  }
  const facts = read.value;
  say(`path:    ${facts.paths.join("   or, behind a language: ")}`);
  const moved = !facts.secure && plan.mayStayPlain(facts) ? null : plan.redirects(facts);
  if (moved !== null) {
    say("");
    say(`verdict: redirect ${moved.status} to ${moved.location}, before any rule`);
    say(
      `why:     ${facts.secure ? "the name is one of REDIRECT_DOMAINS" : "plain HTTP is served by redirect only"}`,
    );
    return `${lines.join("\n")}\n`;
  }
  if (facts.path === cspReportPath && plan.takesCspReports) {
    say("");
    say(
      `verdict: answer ${facts.method === "POST" ? 204 : 405} from the gateway, before any rule (csp-report)`,
    );
    say("why:     browsers send what the content security policy blocks here (CSP_REPORTS)");
    return `${lines.join("\n")}\n`;
  }
  const database = plan.databaseOf(facts.host);
  if (database !== null && queryNamesOther(facts, database)) {
    say("");
    say("verdict: deny with 403, before any rule (database-pinned)");
    say(`why:     the query names another database than ${database} (DATABASE)`);
    return `${lines.join("\n")}\n`;
  }
  const { tried, decision } = explainPolicy(plan.policy, facts, { knownSession: asked.session === "known" });
  say("");
  say("rules tried, in order:");
  const idWidth = Math.max(...tried.map(({ rule }) => rule.length), 8);
  const placeWidth = Math.max(...tried.map(({ file, line }) => `${file}:${line}`.length), 8);
  for (const { rule, file, line, matched, because } of tried) {
    say(
      `  ${matched ? "=>" : "  "} ${rule.padEnd(idWidth)}  ${`${file}:${line}`.padEnd(placeWidth)}  ${because}`,
    );
  }
  say("");
  if (database !== null && decision.verdict !== "forward" && isDatabaseList(facts)) {
    say(`verdict: answer 200 from the gateway, the list of one name: ${database} (DATABASE)`);
    say("rule:    database-list, in place of the one that closes the manager");
    return `${lines.join("\n")}\n`;
  }
  if (decision.verdict === "forward") {
    const refusal = sayApi(plan, facts, say);
    if (refusal !== null) return `${lines.join("\n")}\n`;
  }
  say(`verdict: ${verdictText(decision, settings)}`);
  if (decision.verdict === "forward") sayForward(decision, plan, facts, say);
  const { rule, file, line, why } = decision.reason;
  say(`rule:    ${rule}, ${file}:${line}`);
  say(`why:     ${why}`);
  return `${lines.join("\n")}\n`;
}

/** What the section api: says to this request; not null: it is refused, and the verdict was told. */
function sayApi(plan: Plan, facts: RequestFacts, say: (text: string) => void): ApiRefusal | null {
  const path = apiPathOf(facts);
  if (plan.api === null || path === null || (path.kind === "xml-rpc" && path.service === "db")) return null;
  const rules = plan.api.entryFor(facts.client, facts.host);
  const refusal = rules === null ? networkRefusal : pathRefusal(rules, path);
  if (refusal !== null) {
    say("verdict: deny with 403");
    say(
      `rule:    ${refusal.rule}${rules === null ? ", no entry of api: names this network and host" : `, ${rules.place}`}`,
    );
    say(`why:     ${refusal.sentence}`);
    return refusal;
  }
  const body = path.kind === "json-rpc" || (rules !== null && wantsCall(rules) && path.kind === "xml-rpc");
  say(
    `api:     ${rules?.place ?? ""} lets this network in${body ? "; the call in the body still has to be one that it names" : ""}`,
  );
  if (rules !== null && rules.limits !== null)
    say(`         its rate holds in place of the limits below: ${rules.limits.map(limitText).join(", ")}`);
  return null;
}

function fieldsFor(asked: Asked, plan: Plan): string[] {
  const first = plan.settings.domains[0];
  const host =
    asked.host ??
    (first === undefined
      ? "localhost"
      : asked.plain
        ? first.host
        : (plan.authorityOf(first.host) ?? first.host));
  const fields = ["Host", host];
  if (asked.session !== "none") fields.push("Cookie", `${plan.site.sessionCookie}=${"x".repeat(84)}`);
  if (asked.agent !== "") fields.push("User-Agent", asked.agent);
  if (asked.websocket) {
    fields.push("Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "13");
    fields.push("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==", "Origin", `https://${host}`);
  }
  return fields;
}

function verdictText(decision: Decision, settings: Settings): string {
  switch (decision.verdict) {
    case "forward": {
      const at = decision.pool === "web" ? settings.odoo : (settings.odooBus ?? settings.odoo);
      const port = decision.pool === "bus" && settings.odooBus === null ? 8072 : at?.port;
      return `forward to ${decision.pool} (${at === null ? "Odoo" : `http://${at.host}:${port}`})`;
    }
    case "deny":
      return `deny with ${decision.status}`;
    case "redirect":
      return `redirect ${decision.status} to ${decision.location}`;
    case "answer":
      return `answer ${decision.status} from the gateway`;
    case "drop":
      return "drop the connection";
  }
}

function sayForward(
  decision: ForwardDecision,
  plan: Plan,
  facts: RequestFacts,
  say: (text: string) => void,
): void {
  if (plan.staging !== null) {
    const isFree = decision.withoutStagingPassword || plan.policy.isStagingExempt(facts);
    say(`staging: ${isFree ? "no password is asked for here" : "without the staging password it gets 401"}`);
    if (plan.settings.stagingNeutralized)
      say("         503 until Odoo's database is neutralised (STAGING_NEUTRALIZED)");
  }
  const cors = plan.settings.cors.find(({ paths }) => opensFor(paths)(facts));
  if (cors !== undefined)
    say(
      `pages:   of ${cors.origins.join(", ")} may call here${cors.credentials ? " with the session" : ""} (cors:); the gateway answers what their browsers ask before (OPTIONS)`,
    );
  const limits = [...decision.accountLimits, ...decision.limits];
  if (plan.isTrusted(facts.client)) say("limits:  none, the address is in TRUSTED_NETWORKS");
  else if (limits.length === 0) say("limits:  none");
  else
    for (const [i, limit] of limits.entries())
      say(`${i === 0 ? "limits:  " : "         "}${limitText(limit)}`);
  const door = doorOf(facts);
  if (door !== null && namingDoors.has(door) && plan.keptAccounts(facts.client) !== null)
    say("log-in:  403 for ADMIN_ACCOUNTS, which are for ADMIN_NETWORKS only (admin-account)");
  if (decision.stores(facts.path)) say(`cache:   ${cacheText(facts, plan)}`);
  if (decision.framedByAny) say("frames:  other sites may frame the answer, unless Odoo forbids it");
  const { bodyBytesMax, spoolBytesMax, workers } = plan.settings;
  const allowed = decision.bodyBytesMax ?? bodyBytesMax;
  // Each process has its part of the disk (cluster/share).
  const spool = Math.floor(spoolBytesMax / workers);
  const isFree = plan.isTrusted(facts.client) || plan.settings.adminNetworks.contains(facts.client);
  const room = isFree ? spool : spoolPartBytes(spool, bodyBytesMax);
  const bytes = Math.round(Math.min(allowed, room) / 1024 / 1024);
  const because = room < allowed ? " (SPOOL_MAX)" : "";
  say(`bounds:  answer within ${decision.answerTimeoutMs / 1000} s, body up to ${bytes} MiB${because}`);
}

/** Where a log-in or call names an account. */
const namingDoors: ReadonlySet<Door> = new Set([
  "form",
  "upload",
  "authenticate",
  "json-rpc",
  "xml-common",
  "xml-object",
]);

const limitKeyText: Readonly<Record<Limit["key"], string>> = {
  client: "client address",
  session: "logged-in session, else client address",
  account: "account tried from the client address, else client address",
};
function cacheText(facts: RequestFacts, { settings }: Plan): string {
  if (!settings.cache.on) return "off (CACHE)";
  if (keyOf(facts, false) === null)
    return "this request goes past it (method, spelling of the path, or fields)";
  return `kept in memory when Odoo's answer is public; without a hash in its address asked for again after ${settings.cache.staticFreshMs / 1000} s`;
}

function limitText({ name, ratePerSecond, burst, key, refund }: Limit): string {
  const rate =
    ratePerSecond >= 1
      ? `${ratePerSecond} a second`
      : `${Math.round(ratePerSecond * 60 * 100) / 100} a minute`;
  return `${name}: ${rate}, ${burst} more at once, per ${limitKeyText[key]}${refund ? "; a success gives its point back" : ""}`;
}
