import type { Clock } from "../base/clock.ts";
import { ipKey64 } from "../base/ip.ts";
import { readCspReports } from "../guard/csp-report.ts";
import type { CspReportDoor } from "../guard/csp-reports.ts";
import type { Limiter } from "../guard/limiter.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { cspReportPath } from "../message/own-paths.ts";
import type { Limit } from "../policy/decision.ts";
import type { RunningExchange } from "../running.ts";
import { collectBody } from "../upstream/request-body.ts";
import type { Spool } from "../upstream/spool.ts";
import type { Answering } from "./answering.ts";

/** Largest body of reports; it stays in memory. Each report repeats the whole policy: some twenty fit, and what is lost comes again. */
export const cspReportBytesMax = 64 * 1024;
/** Counts for nothing else: a page full of violations costs its reader no other request. A browser without the Reporting API sends one request each. */
const limit: Limit = { name: "csp-reports", ratePerSecond: 1, burst: 60, key: "client", refund: false };
const types: ReadonlySet<string> = new Set(["application/csp-report", "application/reports+json"]);
const nothing = Buffer.alloc(0);

interface StageParts {
  readonly limiter: Limiter;
  readonly cspReports: CspReportDoor;
  readonly spool: Spool;
  readonly clock: Clock;
}

/** CSP_REPORTS: what browsers say that the policy blocked, or would have. Answered here, whatever it is; Odoo never hears of it. */
export class CspReportStage {
  readonly #parts: StageParts;
  readonly #answer: Answering;

  constructor(parts: StageParts, answer: Answering) {
    this.#parts = parts;
    this.#answer = answer;
  }

  /** Is it for this stage. Without reports the policy decides, and denies it. */
  takes(x: RunningExchange, facts: RequestFacts): boolean {
    return facts.path === cspReportPath && x.plan.takesCspReports && !x.down.isReport;
  }

  async take(x: RunningExchange, facts: RequestFacts): Promise<void> {
    x.rule = "csp-report";
    x.verdict = "answer";
    if (!this.#isReport(x, facts)) return;
    const { limiter, cspReports, spool, clock } = this.#parts;
    const client = ipKey64(facts.client);
    if (!x.isSpared(facts)) {
      const granted = await limiter.check([limit], { address: client, session: null, account: null });
      if (!granted.ok) return this.#answer.exhausted(x, facts, granted.limit, granted.retryAfterSeconds);
    }
    if (x.isOver) return;
    if (x.down.body === null) return this.#malformed(x);
    if (x.down.expectsContinue) x.down.sendContinue();
    const bytesMax = cspReportBytesMax;
    const collected = await collectBody(x.down.body, { bytesMax, spool, clock, counts: x });
    if (!collected.ok) return this.#answer.bodyTrouble(x, collected.error, bytesMax);
    const { memory } = collected.value;
    x.bytesIn = memory.length;
    const isOurs = (host: string) => x.plan.authorityOf(host) !== null;
    const reading = readCspReports(facts.contentType, memory.toString(), isOurs);
    collected.value.release();
    if (reading === null) return this.#malformed(x);
    cspReports.take(client, reading);
    x.reply({ status: 204, fields: ["Cache-Control", "no-store"], body: nothing }, false);
  }

  /** What its head says: false when that was answered. */
  #isReport(x: RunningExchange, facts: RequestFacts): boolean {
    if (facts.method !== "POST") {
      this.#answer.refuse(x, 405, "csp-report-method", "Reports are sent with POST.", {
        extraFields: ["Allow", "POST"],
      });
      return false;
    }
    const coding = firstField(facts.fields, "content-encoding")?.trim().toLowerCase() ?? "";
    if (!types.has(facts.contentType) || (coding !== "" && coding !== "identity")) {
      const sentence = "Reports are application/csp-report or application/reports+json, without a coding.";
      this.#answer.refuse(x, 415, "csp-report-type", sentence, {
        extraFields: ["Accept", [...types].join(", ")],
      });
      return false;
    }
    if (Number(firstField(facts.fields, "content-length") ?? "0") <= cspReportBytesMax) return true;
    this.#answer.tooLarge(x, cspReportBytesMax);
    return false;
  }

  #malformed(x: RunningExchange): void {
    this.#answer.refuse(
      x,
      400,
      "csp-report-malformed",
      "The body is no report of a content security policy.",
    );
  }
}
