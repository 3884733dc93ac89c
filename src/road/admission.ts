import { ipKey64 } from "../base/ip.ts";
import { unreachable } from "../base/result.ts";
import { isAskedByPage, isForeignAttempt } from "../guard/cross-site.ts";
import type { Attempt } from "../guard/jail.ts";
import type { StagingVerdict } from "../guard/staging.ts";
import type { RequestFacts } from "../message/facts.ts";
import { screen } from "../message/screen.ts";
import { decide } from "../policy/decide.ts";
import type { Decision, ForwardDecision } from "../policy/decision.ts";
import { isPreflight, preflightFields } from "../reply/cors.ts";
import { redirectAnswer } from "../reply/redirects.ts";
import type { RunningExchange } from "../running.ts";
import type { Answering } from "./answering.ts";
import type { GatewayParts } from "./parts.ts";

/** What staging asks of the rest of the road. */
export interface StagingPass {
  readonly setCookie: string | null;
  readonly dropAuthorization: boolean;
}

const noStaging: StagingPass = { setCookie: null, dropAuthorization: false };
/** Stands for the one password of a staging site among accounts; no user's name has a control character. */
const stagingName = "\u0000staging";

/** The stages that need nothing but the head: each goes on, or has finished the answer. */
export class Admission {
  readonly #parts: GatewayParts;
  readonly #answer: Answering;

  constructor(parts: GatewayParts, answer: Answering) {
    this.#parts = parts;
    this.#answer = answer;
  }

  /** message/screen: one meaning only, or a refusal. */
  screen(x: RunningExchange): RequestFacts | null {
    const read = screen(x.down, x.down.isReport ? x.plan.reportSite : x.plan.site);
    if (read.ok) {
      x.facts = read.value;
      if (!x.down.isReport) x.crossOrigin = x.plan.cors?.of(read.value) ?? null;
      const field = read.value.untrustedForwarding;
      if (field !== null) {
        this.#parts.sink.emit({ type: "untrusted-forwarding", peer: x.down.peer.text, field });
      }
      return read.value;
    }
    const refusal = read.error;
    this.#answer.refuse(x, refusal.status, refusal.code, refusal.detail, {
      extraFields: refusal.headers ?? [],
    });
    return null;
  }

  /** guard/jail: is this client banned? */
  banned(x: RunningExchange, facts: RequestFacts): boolean {
    const ban = this.#parts.jail.banOf(ipKey64(facts.client));
    if (ban === null || x.plan.isTrusted(facts.client)) return false;
    this.#answer.banned(x, ban);
    return true;
  }

  /** tls/challenges: what a certificate authority asks for while it looks whether a name is ours (RFC 8555 §8.3). */
  challenge(x: RunningExchange, facts: RequestFacts): boolean {
    const answer = this.#parts.challenges.httpAnswer(facts.path);
    if (answer === null || (facts.method !== "GET" && facts.method !== "HEAD")) return false;
    x.rule = "certificate-challenge";
    x.verdict = "answer";
    const fields = ["Content-Type", "application/octet-stream", "Cache-Control", "no-store"];
    x.reply({ status: 200, fields, body: Buffer.from(answer) }, false);
    return true;
  }

  /** reply/redirects: names that live elsewhere, and plain HTTP. */
  moved(x: RunningExchange, facts: RequestFacts): boolean {
    if (!facts.secure && x.plan.mayStayPlain(facts)) return false;
    const redirect = x.plan.redirects(facts);
    if (redirect === null) return false;
    x.rule = facts.secure ? "redirect-domain" : "plain-http";
    x.verdict = "redirect";
    x.reply(redirectAnswer(redirect.status, redirect.location), false);
    return true;
  }

  /** policy/decide: the first rule that matches. */
  decide(x: RunningExchange, facts: RequestFacts): Decision {
    const { sessions, sightings } = this.#parts;
    x.sessionKey = sessions.keyOf(facts.sessionId, facts.likeness);
    // Odoo hands the session to its PDF maker, which is elsewhere and no browser.
    if (x.sessionKey !== null && !x.down.isReport)
      sightings.saw(x.id, facts, x.sessionKey, x.down.arrivedMs, x.plan.isTrusted);
    const decision = decide(x.plan.policy, facts, { knownSession: x.sessionKey !== null });
    x.rule = decision.reason.rule;
    x.verdict = decision.verdict;
    x.isFramedByAny = decision.verdict === "forward" && decision.framedByAny;
    return decision;
  }

  /** reply/cors: may a script of another site send this. Asked without a password or session, so before anybody wants one. */
  preflight(x: RunningExchange, facts: RequestFacts): boolean {
    const { crossOrigin } = x;
    if (crossOrigin === null || !isPreflight(facts)) return false;
    if (!crossOrigin.isAllowed) {
      const text = "This site's pages may not call here from another site (cors: of gateway.yaml).";
      this.#answer.refuse(x, 403, "cors-origin", text);
      return true;
    }
    x.rule = "cors-preflight";
    x.verdict = "answer";
    const fields = [...preflightFields(facts, x.plan.site.methods)];
    x.reply({ status: 204, fields, body: Buffer.alloc(0) }, false);
    return true;
  }

  /** guard/cross-site: does another site's page knock at a door in this browser's name? Before it is counted. */
  foreign(x: RunningExchange, facts: RequestFacts): boolean {
    if (!isForeignAttempt(facts)) return false;
    const text = "Another site's page may not try passwords or look for accounts here (Sec-Fetch-Site).";
    this.#answer.refuse(x, 403, "cross-site", text);
    return true;
  }

  /** Every verdict but forward. */
  carryOut(x: RunningExchange, facts: RequestFacts, decision: Exclude<Decision, ForwardDecision>): void {
    const rules = x.plan.jailRules;
    const strikes = "strike" in decision && decision.strike && !isAskedByPage(facts);
    if (strikes && rules !== null && !x.isSpared(facts))
      this.#parts.jail.scanned({ client: facts.client.text, address: ipKey64(facts.client) }, rules);
    switch (decision.verdict) {
      case "deny":
        this.#answer.denied(x, facts, decision.reason.rule);
        return this.#answer.error(x, decision.status, "");
      case "redirect":
        return x.reply(redirectAnswer(decision.status, decision.location), false);
      case "answer":
        return x.reply(
          {
            status: decision.status,
            fields: ["Content-Type", decision.contentType],
            body: Buffer.from(decision.body),
          },
          false,
        );
      case "drop":
        x.status = 499;
        return x.cut();
      default:
        return unreachable(decision);
    }
  }

  /** guard/staging: a password on staging sites; null when it was asked for. */
  staging(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
  ): StagingPass | null | Promise<StagingPass | null> {
    const gate = x.plan.staging;
    if (gate === null || x.down.isReport) return noStaging;
    const asked = gate.check(facts, ipKey64(facts.client), decision.withoutStagingPassword);
    return asked instanceof Promise
      ? asked.then((verdict) => this.#staged(x, facts, verdict))
      : this.#staged(x, facts, asked);
  }

  /** guard/jail: a wrong password of the staging site is a failed log-in, which may have been one too many. */
  #guessed(x: RunningExchange, facts: RequestFacts): boolean {
    const { jail } = this.#parts;
    const rules = x.plan.jailRules;
    // A link or picture of another site's page can hold a password, too (`https://user:wrong@…`).
    if (rules === null || x.isSpared(facts) || isAskedByPage(facts)) return false;
    const attempt = this.#stagingAttempt(facts);
    jail.failed(attempt, rules);
    const ban = jail.banOf(attempt.address);
    if (ban !== null) this.#answer.banned(x, ban);
    return ban !== null;
  }

  /** Colleagues share the password and often the address: what one of them mistyped is forgotten when one gets it right. */
  #rightAfterAll(x: RunningExchange, facts: RequestFacts): void {
    const rules = x.plan.jailRules;
    if (rules === null || x.isSpared(facts)) return;
    const asking = this.#parts.jail.enter(this.#stagingAttempt(facts), rules);
    void Promise.resolve(asking).then((entry) => {
      if (entry.kind === "go") entry.settle("success");
    });
  }

  #stagingAttempt(facts: RequestFacts): Attempt {
    const account = this.#parts.hashAccount(stagingName);
    return {
      client: facts.client.text,
      address: ipKey64(facts.client),
      account,
      written: account,
      device: null,
    };
  }

  #staged(x: RunningExchange, facts: RequestFacts, verdict: StagingVerdict): StagingPass | null {
    if (x.isOver) return null;
    switch (verdict.kind) {
      case "pass":
        if (verdict.afterGuess === true) this.#rightAfterAll(x, facts);
        return verdict;
      case "ask":
        if (verdict.isGuess && this.#guessed(x, facts)) return null;
        x.verdict = "ask-password";
        this.#answer.error(x, verdict.status, "", { extraFields: verdict.fields });
        return null;
      case "exhausted":
        this.#answer.exhausted(x, facts, "staging-password", verdict.retryAfterSeconds);
        return null;
      default:
        return unreachable(verdict);
    }
  }
}
