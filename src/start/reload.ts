import { oneBehind } from "../base/one-behind.ts";
import { type Problem, problemLine } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { SupervisorSeam } from "../cluster/seams.ts";
import type { EventSink } from "../observe/events.ts";
import type { Plan } from "../plan.ts";
import type { Policy } from "../policy/compile.ts";
import { openToStrangers } from "../proving.ts";
import type { Settings } from "../settings/settings.ts";
import type { SettingName } from "../settings/table.ts";
import type { TlsMaterial } from "../tls/load.ts";
import type { Certificates } from "./certificates.ts";
import { changedInVain, keepWhatCannotChange } from "./lasting-settings.ts";
import { readPolicy } from "./policy-files.ts";

export interface ReloadParts {
  /** As the gateway was started with. */
  readonly settings: Settings;
  /** Reads them again; undefined: those of the plan stay. */
  readonly readSettings: (() => Result<Settings, readonly Problem[]>) | undefined;
  readonly readTls: (settings: Settings) => Promise<Result<TlsMaterial, readonly Problem[]>>;
  /** The one that holds now. */
  readonly plan: () => Plan;
  readonly compile: (settings: Settings, policy: Policy, revision: number) => Plan;
  /** Puts a plan in its place. */
  readonly put: (next: Plan) => void;
  readonly certificates: Pick<Certificates, "tls" | "swap" | "reload">;
  readonly supervisor: SupervisorSeam | undefined;
  readonly sink: EventSink;
}

/** Puts what was read in its place. */
export interface Prepared {
  readonly put: () => void;
  /** Settings that were changed and stay as they are until a restart. */
  readonly inVain: readonly SettingName[];
}

/**
 * Reads settings, policies and certificates again and compiles them. Answers what puts all of it in place together; or every
 * problem, and nothing has changed.
 */
export async function prepareReload(parts: ReloadParts): Promise<Result<Prepared, readonly Problem[]>> {
  const { plan, compile, put, certificates } = parts;
  const shown = certificates.tls;
  const read = parts.readSettings?.() ?? ok(plan().settings);
  const next = read.ok ? keepWhatCannotChange(read.value, parts.settings) : plan().settings;
  const found: Problem[] = read.ok ? [] : [...read.error];
  const policy = readPolicy(next);
  if (!policy.ok) found.push(...policy.error);
  else found.push(...openToStrangers(compile(next, policy.value, plan().revision)));
  const tls = await parts.readTls(next);
  if (!tls.ok) found.push(...tls.error);
  if (!policy.ok || !tls.ok || found.length > 0) return err(found);
  return ok({
    put: () => {
      // Others are shown by now, and may be newer than those read here.
      const isLate = certificates.tls !== shown;
      if (!isLate) certificates.swap(tls.value);
      put(compile(next, policy.value, plan().revision + 1));
      if (isLate) void certificates.reload();
    },
    inVain: read.ok ? changedInVain(read.value, next) : [],
  });
}

/** Reloads here and in every worker, or nowhere; the problems are answered and told. One at a time: the last to begin has read what stands last. */
export function createReload(parts: ReloadParts): () => Promise<readonly Problem[]> {
  const { supervisor, sink } = parts;
  return oneBehind(async () => {
    const prepared = await prepareReload(parts);
    const problems = prepared.ok ? ((await supervisor?.reload(prepared.value.put)) ?? []) : prepared.error;
    if (problems.length > 0) sink.emit({ type: "reload-refused", problems: problems.map(problemLine) });
    else if (prepared.ok) {
      if (supervisor === undefined) prepared.value.put();
      const { inVain } = prepared.value;
      const which = `${inVain.join(", ")} changed: ${inVain.length === 1 ? "it needs" : "they need"} a restart`;
      if (inVain.length > 0) sink.emit({ type: "warning", what: "reload", detail: which });
    }
    return problems;
  });
}
