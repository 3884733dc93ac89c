import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { ListenerName } from "../cluster/messages.ts";
import type { SupervisorSeam, WorkerSeam } from "../cluster/seams.ts";
import type { EdgeHandlers } from "../edge/http1.ts";
import { type Elsewhere, type Listener, listenPlain, listenTls } from "../edge/listeners.ts";
import type { Settings } from "../settings/settings.ts";
import type { Challenges } from "../tls/challenges.ts";
import type { Admissions } from "./admissions.ts";

/** Where a listener's connections are accepted or served, when that is not this process. */
interface Seams {
  readonly worker?: WorkerSeam | undefined;
  readonly supervisor?: SupervisorSeam | undefined;
}

/** Those that are open; null: not set. */
export interface Listeners {
  readonly https: Listener;
  readonly http: Listener | null;
  readonly report: Listener | null;
  /** Each that is open, with its name. */
  readonly all: readonly { readonly name: ListenerName; readonly listener: Listener }[];
}

/** Opens every listener that is set; all problems at once, and none stays open then. */
export async function openListeners(
  settings: Settings,
  tlsOptions: Parameters<typeof listenTls>[1],
  admissions: Admissions,
  handlers: EdgeHandlers,
  challenges: Challenges,
  seams: Seams,
): Promise<Result<Listeners, readonly Problem[]>> {
  const https = await listenTls(
    settings.httpsListen,
    tlsOptions,
    admissions.site,
    handlers,
    undefined,
    challenges,
    elsewhere("https", seams),
  );
  const http =
    settings.httpListen === null
      ? ok(null)
      : await listenPlain(
          settings.httpListen,
          admissions.site,
          handlers,
          undefined,
          "plain",
          elsewhere("http", seams),
        );
  const report =
    settings.reportListen === null
      ? ok(null)
      : await listenPlain(
          settings.reportListen,
          admissions.report,
          handlers,
          undefined,
          "report",
          elsewhere("report", seams),
        );
  if (https.ok && http.ok && report.ok)
    return ok({
      ...{ https: https.value, http: http.value, report: report.value },
      all: [
        { name: "https", listener: https.value },
        ...(http.value === null ? [] : [{ name: "http" as const, listener: http.value }]),
        ...(report.value === null ? [] : [{ name: "report" as const, listener: report.value }]),
      ],
    });
  const problems: Problem[] = [];
  if (https.ok) https.value.stop();
  else problems.push({ place: "environment", thing: `HTTPS_LISTEN ${https.error}`, remedy: "" });
  if (http.ok) http.value?.stop();
  else problems.push({ place: "environment", thing: `HTTP_LISTEN ${http.error}`, remedy: "" });
  if (report.ok) report.value?.stop();
  else problems.push({ place: "environment", thing: `REPORT_LISTEN ${report.error}`, remedy: "" });
  return err(problems);
}

/** Who accepts and who serves on a listener, where that is not this process. */
function elsewhere(name: ListenerName, { worker, supervisor }: Seams): Elsewhere {
  if (worker !== undefined) return { attach: (server) => worker.attach(name, server) };
  if (supervisor === undefined) return {};
  return { handOver: (socket, closed) => supervisor.handOver(name, socket, closed) };
}
