import type { RequestFacts } from "../message/facts.ts";
import type { RunningExchange } from "../running.ts";
import { Delivery } from "../upstream/delivery.ts";
import { linesOf, outboundLines } from "../upstream/outbound.ts";
import type { Answering } from "./answering.ts";
import type { GatewayParts } from "./parts.ts";

/**
 * What the log-in page of a neutralised database shows (web.neutralize_banner, below web.layout, Odoo 16 to 19). A copy that is not neutralised
 * sends mail, takes payments and runs the company's scheduled actions.
 */
const mark = "oe_neutralize_banner";
const target = "/web/login";
/** Of the page; a log-in page is 23 kB. */
const pageBytesMax = 512 * 1024;
const answerTimeoutMs = 30_000;
/** A database can be replaced while the gateway runs. */
const goodMs = 60_000;
/** Who has just neutralised it does not wait long. */
const badMs = 5_000;

/** `away`: Odoo could not say. */
type State = "neutral" | "live" | "away";

interface Known {
  readonly state: Promise<State>;
  untilMs: number;
}

/** STAGING_NEUTRALIZED: nothing of a copy is shown, and no webhook reaches it, before its database is neutralised. */
export class Neutral {
  readonly #parts: GatewayParts;
  readonly #answer: Answering;
  /** By name served: as many as there are in DOMAIN. */
  readonly #known = new Map<string, Known>();

  constructor(parts: GatewayParts, answer: Answering) {
    this.#parts = parts;
    this.#answer = answer;
  }

  /** Has this exchange to be asked about. */
  watches(x: RunningExchange, facts: RequestFacts): boolean {
    const { settings } = x.plan;
    if (!settings.stagingNeutralized || settings.preset !== "staging" || x.down.isReport) return false;
    return facts.path !== "/web/health" && !settings.adminNetworks.contains(facts.client);
  }

  /** False: the database is not neutralised, or nobody knows; the answer is out. */
  async admits(x: RunningExchange, facts: RequestFacts): Promise<boolean> {
    const state = await this.#stateOf(x, facts);
    if (x.isOver) return false;
    if (state === "neutral") return true;
    x.rule = "staging-neutralized";
    x.verdict = "refuse";
    if (state === "away") {
      this.#answer.error(x, 503, "Odoo cannot be asked at the moment whether this copy is neutralised.", {
        retryAfterSeconds: 5,
      });
      return false;
    }
    const detail = `the database of ${facts.host} is not neutralised, and a copy that is not sends mail and takes payments: nobody gets in until odoo-bin neutralize was run on it`;
    this.#parts.sink.emit({ type: "warning", what: "STAGING_NEUTRALIZED", detail });
    const text =
      "This copy's database is not neutralised: it would send mail and take payments (odoo-bin neutralize).";
    this.#answer.error(x, 503, text, { retryAfterSeconds: 60 });
    return false;
  }

  #stateOf(x: RunningExchange, facts: RequestFacts): Promise<State> {
    const { clock } = this.#parts;
    const known = this.#known.get(facts.host);
    if (known !== undefined && known.untilMs > clock.nowMs()) return known.state;
    // Until it is answered everybody waits for the same question.
    const asked: Known = { state: this.#ask(x, facts), untilMs: Number.POSITIVE_INFINITY };
    this.#known.set(facts.host, asked);
    void asked.state.then((state) => {
      asked.untilMs = clock.nowMs() + (state === "neutral" ? goodMs : state === "live" ? badMs : 0);
    });
    return asked.state;
  }

  /** Asks for the log-in page as nobody in particular. */
  #ask(x: RunningExchange, facts: RequestFacts): Promise<State> {
    const way = this.#parts.ways.web;
    const page: RequestFacts = {
      ...facts,
      method: "GET",
      target,
      likeness: null,
      fields: [],
      sessionId: null,
    };
    const lines = outboundLines(page, {
      exchangeId: x.id,
      bodyBytes: null,
      keepAlive: way.pool.keepAlive,
      keepDatabaseField: false,
      database: x.plan.databaseOf(facts.host),
      sessionCookie: x.plan.site.sessionCookie,
      ownCookie: null,
      dropAuthorization: true,
      identityOnly: true,
    });
    const request = {
      method: "GET",
      target,
      lines: lines + linesOf(["Accept", "text/html"]),
      body: null,
      answerTimeoutMs,
      wantsTunnel: false,
    };
    return new Promise((resolve) => {
      let text = "";
      const done = (state: State) => {
        resolve(state);
        call.abort();
      };
      const call = new Delivery(
        way,
        {
          request,
          lane: way.lanes === null ? null : "login",
          who: "gateway",
          mayWait: true,
          sessionId: null,
          database: x.plan.databaseOf(facts.host),
        },
        {
          // Odoo in trouble says nothing of its database.
          head: ({ status }) => (status >= 500 ? done("away") : undefined),
          data: (chunk) => {
            text += chunk.toString("latin1");
            if (text.includes(mark)) done("neutral");
            else if (text.length > pageBytesMax) done("live");
          },
          end: () => done(text.includes(mark) ? "neutral" : "live"),
          tunnel: (socket) => socket.destroy(),
          tryFailed: () => {},
          shed: () => done("away"),
          failure: () => done("away"),
        },
      );
      call.start();
    });
  }
}
