/** What a policy file says, decoded but not yet compiled: the grammar as types. */

/** Networks of the settings that `from` can name, and the setting each comes from. */
export const namedNetworks = {
  admin: "ADMIN_NETWORKS",
  api: "API_NETWORKS",
  trusted: "TRUSTED_NETWORKS",
  pos: "POS_NETWORKS",
} as const;

export const verdictKeys = ["forward", "deny", "redirect", "answer", "drop"] as const;
export const forwardOnlyKeys = [
  "limits",
  "timeout",
  "body_max",
  "websocket",
  "xml",
  "rpc",
  "staging_password",
  "store",
  "frame_ancestors",
] as const;

/** One or several: what the grammar writes as a word or a list. */
type OneOrMore<T> = T | readonly T[];

/** The decoded conditions of a `match`, still as written. */
export interface ConditionsDocument {
  readonly path?: OneOrMore<string> | undefined;
  readonly method?: OneOrMore<string> | undefined;
  readonly from?: OneOrMore<string> | undefined;
  readonly host?: OneOrMore<string> | undefined;
  readonly query?: OneOrMore<string> | undefined;
  readonly offsite?: OneOrMore<string> | undefined;
  readonly content_type?: OneOrMore<string> | undefined;
  readonly user_agent?: OneOrMore<string> | undefined;
  readonly upgrade?: "websocket" | undefined;
  readonly session?: "present" | "known" | "none" | undefined;
  readonly scheme?: "http" | "https" | undefined;
}

export interface MatchDocument extends ConditionsDocument {
  readonly not?: ConditionsDocument | undefined;
}

export interface WhenDocument {
  readonly preset?: OneOrMore<string> | undefined;
  readonly database_manager?: OneOrMore<string> | undefined;
  readonly database_selector?: string | undefined;
  readonly admin_networks?: string | undefined;
  readonly api_networks?: string | undefined;
  readonly pos_networks?: string | undefined;
}

export interface RuleDocument {
  readonly id: string;
  readonly why: string;
  readonly when?: WhenDocument | undefined;
  readonly match?: MatchDocument | undefined;
  readonly forward?: "web" | "bus" | undefined;
  readonly deny?: number | undefined;
  readonly redirect?:
    | { readonly to: string; readonly status?: 301 | 302 | 303 | 307 | 308 | undefined }
    | undefined;
  readonly answer?:
    | { readonly status: number; readonly content_type: string; readonly body: string }
    | undefined;
  readonly drop?: true | undefined;
  readonly strike?: "scanner" | undefined;
  readonly limits?: readonly string[] | undefined;
  readonly timeout?: string | undefined;
  readonly body_max?: string | undefined;
  readonly websocket?: boolean | undefined;
  readonly xml?: "without-doctype" | undefined;
  readonly rpc?: "envelope" | undefined;
  readonly staging_password?: "skip" | undefined;
  readonly store?: OneOrMore<string> | undefined;
  readonly frame_ancestors?: "any" | undefined;
}

export interface LimitDocument {
  readonly rate: string;
  readonly burst: number;
  readonly key?: "client" | "session" | "account" | undefined;
  readonly refund?: "success" | undefined;
}

/** One or several, as a list; empty when absent. */
export function listOf(value: OneOrMore<string> | undefined): readonly string[] {
  if (value === undefined) {
    return [];
  }
  return typeof value === "string" ? [value] : value;
}
