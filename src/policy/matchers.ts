import type { IpSet } from "../base/ip-set.ts";
import { unreachable } from "../base/result.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { compilePath, lowerPattern, type PathPattern, type PathTest } from "./path-pattern.ts";
import { hasParameter, offsiteParameter } from "./query.ts";

/** What a decision needs beside the facts: answers of tables that live outside the policy. */
export interface DecideExtra {
  /** Is the session cookie one that was seen to log in. */
  readonly knownSession: boolean;
}

/** One compiled condition. `holds` runs for each request and allocates nothing; the words are for explain. */
export interface Condition {
  holds(facts: RequestFacts, extra: DecideExtra): boolean;
  /** One clause that says how it came out: `from 203.0.113.9 is not in ADMIN_NETWORKS`. */
  because(facts: RequestFacts, extra: DecideExtra): string;
}

/** All hold; the loop of the hot path. */
export function allHold(conditions: readonly Condition[], facts: RequestFacts, extra: DecideExtra): boolean {
  for (const condition of conditions) {
    if (!condition.holds(facts, extra)) {
      return false;
    }
  }
  return true;
}

/**
 * The path is one of `patterns`, in any reading Odoo could give it. With `anyCase` both sides are compared
 * in lower case: a refusal must not be dodged by capitals (a file system or a rewrite behind may not care).
 */
export function pathIs(patterns: readonly PathPattern[], anyCase: boolean): Condition {
  const tests: readonly PathTest[] = patterns.map((one) => compilePath(anyCase ? lowerPattern(one) : one));
  const holds = (facts: RequestFacts): boolean => {
    for (const path of anyCase ? facts.pathsLower : facts.paths) {
      for (const test of tests) {
        if (test(path)) {
          return true;
        }
      }
    }
    return false;
  };
  const matching = (facts: RequestFacts): string => {
    const readings = anyCase ? facts.pathsLower : facts.paths;
    const index = tests.findIndex((test) => readings.some(test));
    return patterns[index]?.text ?? "";
  };
  const texts = patterns.map((pattern) => pattern.text);
  return {
    holds,
    because: (facts) => (holds(facts) ? `path is ${matching(facts)}` : `path is not ${listText(texts)}`),
  };
}

/** The method is listed; GET includes HEAD, which is the same request without the body of its answer. */
export function methodIs(methods: readonly string[]): Condition {
  const all = methods.includes("GET") ? [...methods, "HEAD"] : methods;
  return simple(
    (facts) => all.includes(facts.method),
    (facts, held) => `method ${facts.method} is ${held ? "" : "not "}${listText(methods)}`,
  );
}

/** One network of a `from`: the set (null: everyone) and how messages call it. */
export interface SourceNetwork {
  readonly name: string;
  readonly set: IpSet | null;
}

/** The client address is in one of the networks. An empty network holds nobody. */
export function fromIs(networks: readonly SourceNetwork[]): Condition {
  const everyone = networks.some((network) => network.set === null);
  const sets = networks.flatMap((network) => (network.set === null ? [] : [network.set]));
  const names = networks.map((network) => network.name);
  return simple(
    (facts) => {
      if (everyone) {
        return true;
      }
      for (const set of sets) {
        if (set.contains(facts.client)) {
          return true;
        }
      }
      return false;
    },
    (facts, held) => `from ${facts.client.text} is ${held ? "" : "not "}in ${listText(names)}`,
  );
}

export function hostIs(hosts: readonly string[]): Condition {
  return simple(
    (facts) => hosts.includes(facts.host),
    (facts, held) => `host ${facts.host} is ${held ? "" : "not "}${listText(hosts)}`,
  );
}

export function queryHas(names: readonly string[]): Condition {
  return simple(
    (facts) => hasParameter(facts.query, names),
    (_facts, held) => `query has ${held ? "a" : "no"} parameter ${listText(names)}`,
  );
}

/** One of the parameters points to another site than `servedHosts`. */
export function offsiteIs(names: readonly string[], servedHosts: ReadonlySet<string>): Condition {
  return {
    holds: (facts) => facts.query !== "" && offsiteParameter(facts.query, names, servedHosts) !== null,
    because: (facts) => {
      const name = offsiteParameter(facts.query, names, servedHosts);
      return name === null
        ? `no parameter ${listText(names)} points off-site`
        : `parameter ${name} points off-site`;
    },
  };
}

export function contentTypeIs(types: readonly string[]): Condition {
  return simple(
    (facts) => types.includes(facts.contentType),
    (facts, held) =>
      `content type ${facts.contentType === "" ? "(none)" : facts.contentType} is ${held ? "" : "not "}${listText(types)}`,
  );
}

/** Only so much of a User-Agent is looked at, in characters. */
const agentCharsMax = 512;

/** What the program calls itself holds one of the texts, in capitals or not. No field is an empty name, which holds none. */
export function userAgentHas(texts: readonly string[]): Condition {
  const wanted = texts.map((text) => text.toLowerCase());
  return simple(
    (facts) => {
      const name = (firstField(facts.fields, "user-agent") ?? "").slice(0, agentCharsMax).toLowerCase();
      return wanted.some((text) => name.includes(text));
    },
    (_facts, held) => `the User-Agent holds ${held ? "one" : "none"} of ${listText(texts)}`,
  );
}

export function upgradeIs(protocol: "websocket"): Condition {
  return simple(
    (facts) => facts.upgrade === protocol,
    (_facts, held) => `${held ? "a" : "no"} ${protocol} upgrade is asked for`,
  );
}

export function sessionIs(state: "present" | "known" | "none"): Condition {
  switch (state) {
    case "present":
      return simple(
        (facts) => facts.sessionId !== null,
        (_facts, held) => `a session cookie is ${held ? "present" : "absent"}`,
      );
    case "known":
      return simple(
        (facts, extra) => facts.sessionId !== null && extra.knownSession,
        (_facts, held) => `the session is ${held ? "" : "not "}one that was seen to log in`,
      );
    case "none":
      return simple(
        (facts) => facts.sessionId === null,
        (_facts, held) => `a session cookie is ${held ? "absent" : "present"}`,
      );
    default:
      return unreachable(state);
  }
}

export function schemeIs(scheme: "http" | "https"): Condition {
  const secure = scheme === "https";
  return simple(
    (facts) => facts.secure === secure,
    (facts) => `scheme is ${facts.secure ? "https" : "http"}`,
  );
}

/** Holds when the inner match does not hold as a whole. */
export function notAll(inner: readonly Condition[]): Condition {
  return {
    holds: (facts, extra) => !allHold(inner, facts, extra),
    because: (facts, extra) => {
      const failed = inner.find((condition) => !condition.holds(facts, extra));
      return failed === undefined
        ? `excepted: ${inner.map((condition) => condition.because(facts, extra)).join(" and ")}`
        : failed.because(facts, extra);
    },
  };
}

function simple(
  holds: (facts: RequestFacts, extra: DecideExtra) => boolean,
  words: (facts: RequestFacts, held: boolean) => string,
): Condition {
  return { holds, because: (facts, extra) => words(facts, holds(facts, extra)) };
}

/** How many entries of a list a message names. */
const namedMax = 3;

function listText(texts: readonly string[]): string {
  if (texts.length <= namedMax) {
    return texts.join(" or ");
  }
  return `${texts.slice(0, namedMax).join(", ")} (or ${texts.length - namedMax} more)`;
}
