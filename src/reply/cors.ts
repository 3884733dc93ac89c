import type { RequestFacts } from "../message/facts.ts";
import { lowerName } from "../message/field-names.ts";
import { firstField, isToken, listElements } from "../message/fields.ts";
import { opensFor } from "../policy/compile.ts";
import type { CorsEntry } from "../settings/settings.ts";

/** How long a browser need not ask again; Chromium and Firefox keep it for two hours at most. */
const maxAgeSeconds = 600;
/** Fields that a script may name in one question; a browser asks for a handful. */
const askedFieldsMax = 32;

/** What another site's page may do at one path, decided when the request arrives. */
export interface CrossOrigin {
  /** For every answer, whoever makes it; names and values alternate. */
  readonly fields: readonly string[];
  /** The Origin is one of the entry's. */
  readonly isAllowed: boolean;
}

/** The section `cors:` compiled. */
export interface Cors {
  /** The first entry with this path; null: none has it, and Odoo's own word holds. */
  of(facts: RequestFacts): CrossOrigin | null;
}

/** Compiles the section `cors:` once a plan; null: there is none. */
export function compileCors(entries: readonly CorsEntry[]): Cors | null {
  if (entries.length === 0) return null;
  const compiled = entries.map(({ paths, origins, credentials }) => {
    const answers = new Map<string, CrossOrigin>(
      origins.map((origin) => [origin.toLowerCase(), allowed(origin, credentials)]),
    );
    return { has: opensFor(paths), answers };
  });
  return {
    of(facts) {
      const entry = compiled.find(({ has }) => has(facts));
      if (entry === undefined) return null;
      const origin = firstField(facts.fields, "origin")?.toLowerCase();
      return (origin === undefined ? undefined : entry.answers.get(origin)) ?? refused;
    },
  };
}

/** The answer depends on the Origin, also where it is not allowed or there is none (Fetch, CORS protocol and HTTP caches). */
const refused: CrossOrigin = Object.freeze({ fields: Object.freeze(["Vary", "Origin"]), isAllowed: false });

/** Always the one origin that asked, never `*`: with a session or without. */
function allowed(origin: string, credentials: boolean): CrossOrigin {
  const fields = ["Vary", "Origin", "Access-Control-Allow-Origin", origin];
  if (credentials) fields.push("Access-Control-Allow-Credentials", "true");
  return Object.freeze({ fields: Object.freeze(fields), isAllowed: true });
}

/** Does a browser ask whether a script of another site may send something (Fetch, CORS-preflight request). */
export function isPreflight(facts: Pick<RequestFacts, "method" | "fields">): boolean {
  return (
    facts.method === "OPTIONS" &&
    firstField(facts.fields, "origin") !== null &&
    firstField(facts.fields, "access-control-request-method") !== null
  );
}

/** What a preflight of an allowed origin is told beside `fields` of above: what it asks for, as far as that gets through here. */
export function preflightFields(
  facts: Pick<RequestFacts, "fields">,
  methods: ReadonlySet<string>,
): readonly string[] {
  const out = ["Access-Control-Max-Age", String(maxAgeSeconds)];
  const method = firstField(facts.fields, "access-control-request-method") ?? "";
  if (methods.has(method)) out.push("Access-Control-Allow-Methods", method);
  const asked = listElements(facts.fields, "access-control-request-headers");
  if (asked.length > 0 && asked.length <= askedFieldsMax && asked.every(isToken))
    out.push("Access-Control-Allow-Headers", asked.join(", "));
  return out;
}

/** The same fields without Odoo's own word about other sites: on these paths the gateway says who may read. */
export function withoutCors(fields: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    if (!lowerName(name).startsWith("access-control-")) out.push(name, fields[i + 1] ?? "");
  }
  return out;
}
