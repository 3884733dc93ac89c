import * as z from "zod";
import { parseIpSet } from "../base/ip-set.ts";
import { nearestName } from "../base/nearest.ts";
import { parseBytes, parseDurationMs, parseRatePerSecond } from "../base/units.ts";
import { parsePathPattern } from "./path-pattern.ts";
import { type LimitDocument, namedNetworks, type RuleDocument, verdictKeys } from "./rule-document.ts";

/**
 * The shape of a policy file, once for reading and for editors (policies/policy.schema.json).
 * What one value must look like stands here; what needs a second value (one verdict a rule, names across
 * files) is in decode and check.
 */

/** Largest values that make sense; a bound stands on everything an operator can set. */
export const timeoutMsMax = 24 * 3_600_000;
export const bodyBytesMaxMax = 2 ** 40;
export const burstMax = 1_000_000;
export const ratePerSecondMax = 1_000_000;
const listItemsMax = 256;
const answerCharsMax = 65_536;

const idText = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

function id(what: string) {
  return z
    .string()
    .max(64)
    .regex(idText, 'must be kebab-case: small letters, digits and single "-"')
    .describe(what);
}

/** A text that a parser of ours must accept. */
function parsed(accepts: (text: string) => boolean, message: string) {
  return z.string().refine(accepts, message);
}

function oneOrMore<T extends z.ZodType>(one: T) {
  return z.union([one, z.array(one).min(1).max(listItemsMax)]);
}

const path = z
  .string()
  .superRefine((text, context) => {
    const pattern = parsePathPattern(text);
    if (!pattern.ok) {
      context.addIssue({ code: "custom", message: pattern.error });
    }
  })
  .describe(
    '"/x/y" exactly; "/x/**" that and everything below; "*" one segment; "x*" one that begins with x',
  );

function networkMistake(text: string): string | null {
  if (Object.hasOwn(namedNetworks, text)) {
    return null;
  }
  const names = Object.keys(namedNetworks);
  if (/^[a-z_-]+$/i.test(text)) {
    const nearest = nearestName(text, names);
    const hint = nearest === null ? "" : `, did you mean ${JSON.stringify(nearest)}?`;
    return `is no network of the settings (${names.join(", ")})${hint}`;
  }
  const set = parseIpSet([text]);
  // The set's messages begin with the text itself, which ours quote already.
  return set.ok ? null : set.error.join("; ").replace(`${JSON.stringify(text)} `, "");
}

const network = z
  .string()
  .superRefine((text, context) => {
    const message = networkMistake(text);
    if (message !== null) {
      context.addIssue({ code: "custom", message });
    }
  })
  .describe("An address, a network, or admin, api, trusted, pos: the networks of the settings");

const method = z
  .string()
  .regex(/^[A-Z]{1,20}$/, "must be a method in capitals")
  .describe("GET includes HEAD");
const host = z
  .string()
  .regex(
    /^(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)$/,
    "must be a host name in small letters, without port",
  );
const parameter = z.string().min(1).max(128).describe("The decoded name of a query parameter");
const mediaType = z
  .string()
  .regex(
    /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/,
    "must be a media type in small letters, without parameters",
  );

const agent = z
  .string()
  .min(2)
  .max(128)
  .regex(/^[\u0020-\u007e]+$/, "must be visible ASCII");

const conditions = {
  path: oneOrMore(path).optional(),
  method: oneOrMore(method).optional(),
  from: oneOrMore(network).optional().describe("Where the client address is"),
  host: oneOrMore(host).optional(),
  query: oneOrMore(parameter).optional().describe("The query has one of these parameters"),
  offsite: oneOrMore(parameter)
    .optional()
    .describe("One of these query parameters points to another site than the served names"),
  content_type: oneOrMore(mediaType).optional(),
  user_agent: oneOrMore(agent)
    .optional()
    .describe(
      "What the program calls itself holds one of these texts, in capitals or not; anybody can call himself anything",
    ),
  upgrade: z.literal("websocket").optional().describe("A well-formed WebSocket handshake"),
  session: z
    .enum(["present", "known", "none"])
    .optional()
    .describe("A session cookie is present; is one that was seen to log in; is absent"),
  scheme: z.enum(["http", "https"]).optional(),
};

const match = z.strictObject({
  ...conditions,
  not: z
    .strictObject(conditions)
    .optional()
    .describe("Negates: holds when the match inside does not hold as a whole"),
});

const databaseManager = z.enum(["404", "403", "redirect"]);
const when = z
  .strictObject({
    preset: oneOrMore(z.enum(["standard", "strict", "staging", "nginx-guide"])).optional(),
    database_manager: oneOrMore(databaseManager).optional(),
    database_selector: z.enum(["allow", "deny"]).optional(),
    admin_networks: z.enum(["set", "empty"]).optional(),
    api_networks: z.enum(["any", "listed"]).optional(),
    pos_networks: z.enum(["set", "empty"]).optional(),
  })
  .describe("Decided at start from the settings: the rule exists only when all of these hold");

const localPath = z
  .string()
  .max(2_048)
  .regex(
    /^\/(?![/\\])[\u0021-\u005b\u005d-\u007e]*$/,
    'must be a path on this host: one leading "/", visible ASCII',
  );

const rule = z
  .strictObject({
    id: id("Unique over all files; stands in logs and metrics"),
    why: z.string().min(10, "must be a sentence that says what the rule is for").max(1_000),
    when: when.optional(),
    match: match.optional().describe("Keys are AND, values of a list are OR; no match: every request"),
    forward: z.enum(["web", "bus"]).optional().describe("To Odoo: its HTTP port, or its bus port"),
    deny: z.int().min(400).max(599).optional().describe("Refuse with this status"),
    redirect: z
      .strictObject({
        to: localPath,
        status: z.literal([301, 302, 303, 307, 308]).optional(),
      })
      .optional(),
    answer: z
      .strictObject({
        status: z.int().min(200).max(599),
        content_type: z
          .string()
          .max(256)
          .regex(/^[\u0020-\u007e]+$/, "must be visible ASCII"),
        body: z.string().max(answerCharsMax),
      })
      .optional(),
    drop: z.literal(true).optional().describe("Close the connection without an answer"),
    strike: z
      .literal("scanner")
      .optional()
      .describe("Beside deny or drop: the request is a mark against its address, and some of them are a ban"),
    limits: z
      .array(id("The name of a limit"))
      .max(16)
      .optional()
      .describe("All of these count the request; nothing merges from other rules"),
    timeout: parsed((text) => {
      const ms = parseDurationMs(text);
      return ms !== null && ms > 0 && ms <= timeoutMsMax;
    }, 'must be a duration from 1ms to 24h, like "180s"')
      .optional()
      .describe("How long Odoo may take to the first byte, and between bytes; 180s when absent"),
    body_max: parsed((text) => {
      const bytes = parseBytes(text);
      return bytes !== null && bytes <= bodyBytesMaxMax;
    }, 'must be a size up to 1TiB, like "64MiB"')
      .optional()
      .describe("Largest request body; BODY_MAX when absent"),
    websocket: z.boolean().optional().describe("The exchange may become a WebSocket tunnel"),
    xml: z.literal("without-doctype").optional(),
    rpc: z
      .literal("envelope")
      .optional()
      .describe("Read the JSON-RPC call: one reading or 400, and its db service only from ADMIN_NETWORKS"),
    staging_password: z.literal("skip").optional(),
    store: oneOrMore(path)
      .optional()
      .describe(
        "On these of its paths, files that Odoo calls public are kept in memory; below /web/assets/ and /<module>/static/ only",
      ),
    frame_ancestors: z
      .literal("any")
      .optional()
      .describe("Other sites may show the answers in a frame, unless Odoo itself says who may"),
  })
  // Zod cannot say "exactly one of"; editors can.
  .meta({ oneOf: verdictKeys.map((key) => ({ required: [key] })) });

const limit = z.strictObject({
  rate: parsed((text) => {
    const rate = parseRatePerSecond(text);
    return rate !== null && rate > 0 && rate <= ratePerSecondMax;
  }, 'must be a rate like "5/min", "30/s" or "100/h"'),
  burst: z.int().min(0).max(burstMax).describe("How many may come at once on top of the rate"),
  key: z
    .enum(["client", "session", "account"])
    .optional()
    .describe(
      "client: the address (IPv6 by /64); session: a session seen to log in, else the address; account: an account tried from an address, else the address",
    ),
  refund: z
    .literal("success")
    .optional()
    .describe("An attempt whose answer shows that it succeeded gives its point back"),
});

const file = z.strictObject({
  limits: z.record(z.string(), limit).optional(),
  rules: z.array(rule).optional(),
});

/** Keys of a policy file on its top level. */
export const fileKeys: readonly string[] = Object.keys(file.shape);

/** The JSON Schema of a policy file, as it stands in policies/policy.schema.json (a test holds them equal). */
export function policySchemaText(): string {
  const schema = z.toJSONSchema(file, { io: "input" });
  return `${JSON.stringify({ title: "odoo-gateway policy file", ...schema }, null, 2)}\n`;
}

/** A mistake inside one rule or limit: the way to it, whether its key or its value is wrong, and the text. */
export interface ShapeMistake {
  readonly path: readonly (string | number)[];
  readonly at: "key" | "value";
  /** For an unknown key: the key, and what is known there. */
  readonly unknownKey: { readonly key: string; readonly known: readonly string[] } | null;
  readonly message: string;
}

export type Shaped<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly mistakes: readonly ShapeMistake[] };

/** Decodes one rule. All mistakes at once. */
export function shapeRule(value: unknown): Shaped<RuleDocument> {
  const result = rule.safeParse(value);
  return result.success
    ? { ok: true, value: result.data }
    : { ok: false, mistakes: result.error.issues.flatMap((issue) => mistakesOf(issue, [], value)) };
}

/** Decodes one limit. All mistakes at once. */
export function shapeLimit(value: unknown): Shaped<LimitDocument> {
  const result = limit.safeParse(value);
  return result.success
    ? { ok: true, value: result.data }
    : {
        ok: false,
        mistakes: result.error.issues.flatMap((issue) => mistakesOf(issue, [], value)).map(inLimit),
      };
}

function inLimit(mistake: ShapeMistake): ShapeMistake {
  return mistake.unknownKey === null
    ? mistake
    : { ...mistake, unknownKey: { key: mistake.unknownKey.key, known: Object.keys(limit.shape) } };
}

/** Is this text fit to be the name of a limit or the id of a rule. */
export function isId(text: string): boolean {
  return text.length <= 64 && idText.test(text);
}

type Issue = z.core.$ZodIssue;

/** Follows `path` into `input`; undefined when it leads nowhere. */
function at(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const step of path) {
    if (typeof value !== "object" || value === null) {
      return undefined;
    }
    value = Reflect.get(value, step);
  }
  return value;
}

function mistakesOf(issue: Issue, parents: readonly PropertyKey[], input: unknown): readonly ShapeMistake[] {
  const whole = [...parents, ...issue.path];
  const path = whole.map((step) => (typeof step === "number" ? step : String(step)));
  const value = (message: string): readonly ShapeMistake[] => [
    { path, at: "value", unknownKey: null, message },
  ];
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({
        path: [...path, key],
        at: "key",
        unknownKey: { key, known: knownKeys(path) },
        message: "is not known here",
      }));
    case "invalid_union": {
      // Every union of the grammar is "one value, or a list of such values": what was written says which.
      const reading = issue.errors[Array.isArray(at(input, whole)) ? 1 : 0] ?? [];
      return reading.flatMap((inner) => mistakesOf(inner, whole, input));
    }
    case "invalid_type":
      return value(
        at(input, whole) === undefined
          ? "is missing"
          : `must be ${kindText[issue.expected] ?? issue.expected}`,
      );
    case "invalid_value":
      return value(`must be ${issue.values.map((option) => JSON.stringify(option)).join(" or ")}`);
    case "too_small":
      return value(
        issue.message.startsWith("must ")
          ? issue.message
          : `must be ${boundText(issue.origin, "at least", issue.minimum)}`,
      );
    case "too_big":
      return value(`must be ${boundText(issue.origin, "at most", issue.maximum)}`);
    default:
      return value(issue.message);
  }
}

const kindText: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "a map of keys",
  record: "a map of keys",
  array: "a list",
};

function boundText(origin: string, words: string, bound: number | bigint): string {
  const unit = origin === "string" ? " characters long" : origin === "array" ? " entries long" : "";
  return `${words} ${String(bound)}${unit}`;
}

/** The keys that are known at a place inside a rule or limit; empty where keys are free. */
function knownKeys(path: readonly (string | number)[]): readonly string[] {
  switch (path.join(".")) {
    case "":
      return Object.keys(rule.shape);
    case "match":
      return Object.keys(match.shape);
    case "match.not":
      return Object.keys(conditions);
    case "when":
      return Object.keys(when.shape);
    case "redirect":
      return ["to", "status"];
    case "answer":
      return ["status", "content_type", "body"];
    default:
      return [];
  }
}
