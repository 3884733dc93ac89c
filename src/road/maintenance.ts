import type { Clock } from "../base/clock.ts";
import type { Maintenance } from "../guard/maintenance.ts";
import { passingOf } from "../guard/maintenance-pass.ts";
import type { RequestFacts } from "../message/facts.ts";
import { maintenanceAnswer } from "../reply/maintenance.ts";
import { redirectAnswer } from "../reply/redirects.ts";
import type { RunningExchange } from "../running.ts";

/** What a load balancer asks (odoo-wire a): Odoo's own answer to it. */
const healthPaths: ReadonlySet<string> = new Set(["/web/health", "/websocket/health"]);
const healthy = Buffer.from('{"status": "pass"}');

/** The site is closed on purpose: everybody but the networks let through is told so. */
export class MaintenanceStage {
  readonly #maintenance: Maintenance;
  readonly #clock: Clock;

  constructor(parts: { readonly maintenance: Maintenance; readonly clock: Clock }) {
    this.#maintenance = parts.maintenance;
    this.#clock = parts.clock;
  }

  /** True when the exchange was answered. */
  closed(x: RunningExchange, facts: RequestFacts): boolean {
    const closed = this.#maintenance.holds(facts.client);
    if (closed === null) return false;
    const passing = passingOf(closed, facts, this.#clock);
    if (passing.kind === "pass") return false;
    x.verdict = "maintenance";
    x.rule = "maintenance";
    if (passing.kind === "enter") {
      x.verdict = "redirect";
      const answer = redirectAnswer(303, passing.location);
      x.reply({ ...answer, fields: [...answer.fields, "Set-Cookie", passing.setCookie] }, false);
      return true;
    }
    if (healthPaths.has(facts.path) && (facts.method === "GET" || facts.method === "HEAD")) {
      // A load balancer that took us out would show its own error in place of the page that says when we are back.
      x.verdict = "answer";
      const fields = ["Content-Type", "application/json; charset=utf-8", "Cache-Control", "no-store"];
      x.reply({ status: 200, fields, body: healthy }, false);
      return true;
    }
    const { message, untilWallMs } = closed;
    const answer = maintenanceAnswer({
      facts,
      exchangeId: x.id,
      message,
      untilWallMs,
      wallMs: this.#clock.wallMs(),
      page: x.plan.settings.maintenancePage,
    });
    x.reply(answer, false);
    return true;
  }
}
