import type { Variables } from "../audit/compose/variables.ts";
import type { GatewayView } from "../audit/context.ts";
import { answerTimeoutMsDefault } from "../policy/compile.ts";
import { loadSettings } from "../settings/load.ts";
import { readTextFile } from "../settings/read-file.ts";
import { gatherSettings } from "../settings/sources.ts";
import { isSettingName } from "../settings/table.ts";
import { readPolicy } from "../start/policy-files.ts";

/** What the settings of a gateway tell the audit, if there are any here. */
export interface GatewayHere {
  readonly view: GatewayView | null;
  /** Served names, when DOMAIN is set. */
  readonly hosts: readonly string[];
  /** For the report: where they come from, or why there are none. */
  readonly words: string;
}

/** Reads the environment, the `.env` file (`file`; the environment wins) and gateway.yaml, as `run` would. */
export function gatewayHere(file: Variables): GatewayHere {
  const own = [...file].filter(([name]) => isSettingName(name));
  const env = { ...Object.fromEntries(own), ...process.env };
  const sources = { env, cwd: process.cwd(), readFile: readTextFile };
  const given = gatherSettings(env, sources.cwd, readTextFile);
  if (given.settings.size === 0 && given.problems.length === 0)
    return { view: null, hosts: [], words: "no settings here (environment, .env, gateway.yaml)" };
  const loaded = loadSettings(sources);
  if (!loaded.ok)
    return {
      view: null,
      hosts: [],
      words: `its settings have ${loaded.error.length} problems; see odoo-gateway validate`,
    };
  const { settings } = loaded.value;
  const policy = readPolicy(settings);
  const timesMs = policy.ok
    ? policy.value.rules.flatMap(({ decision }) =>
        decision.verdict === "forward" && decision.pool === "web" ? [decision.answerTimeoutMs] : [],
      )
    : [];
  const from = own.length > 0 ? "environment, .env and gateway.yaml" : "environment and gateway.yaml";
  return {
    view: {
      from,
      bodyBytesMax: settings.bodyBytesMax,
      answerTimeoutMsMax: Math.max(answerTimeoutMsDefault, ...timesMs),
      answerTimeoutMsUsual: Math.max(answerTimeoutMsDefault, settings.odooTimeLimitMs ?? 0),
      webPort: settings.odoo?.port ?? null,
      busPort: settings.odooBus?.port ?? null,
      filestore: settings.odooFilestore,
    },
    hosts: given.settings.has("DOMAIN") ? settings.domains.map(({ host }) => host) : [],
    words: `settings from ${from}, preset ${settings.preset}`,
  };
}
