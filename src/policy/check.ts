import { isDeepStrictEqual } from "node:util";
import { nearestName } from "../base/nearest.ts";
import type { Problem } from "../base/problem.ts";
import type { Settings } from "../settings/settings.ts";
import { excludedBecause, patternsOf } from "./compile.ts";
import type { Located, LocatedLimit } from "./decode.ts";
import { lowerPattern, type PathPattern, patternCovers } from "./path-pattern.ts";
import { type ConditionsDocument, listOf, type MatchDocument, type RuleDocument } from "./rule-document.ts";

/**
 * What needs more than one rule or file to be seen. All problems, in the order of the rules. `settings`: null when they are wrong themselves;
 * which rules they leave is not known then. `isWhole`: every rule and limit of every file could be read; what is missing is
 * not said otherwise, since it may be among those.
 */
export function checkPolicy(
  rules: readonly Located<RuleDocument>[],
  limits: readonly LocatedLimit[],
  settings: Settings | null,
  isWhole: boolean,
): readonly Problem[] {
  const running =
    settings === null ? [] : rules.filter((rule) => excludedBecause(rule.document.when, settings) === null);
  return [
    ...repeatedLimits(limits),
    ...repeatedIds(rules),
    ...(isWhole ? unknownLimits(rules, limits) : []),
    ...misplacedStores(rules),
    ...unreachableRules(running),
    ...(isWhole ? missingLastRule(running) : []),
  ];
}

function repeatedLimits(limits: readonly LocatedLimit[]): readonly Problem[] {
  const first = new Map<string, LocatedLimit>();
  return limits.flatMap((limit) => {
    const earlier = first.get(limit.name);
    if (earlier === undefined) {
      first.set(limit.name, limit);
      return [];
    }
    return [
      {
        place: limit.placeOf([]),
        thing: `limits.${limit.name} is already at ${earlier.file}:${earlier.line}`,
        remedy: "limits are shared by all files: give each name once",
      },
    ];
  });
}

function repeatedIds(rules: readonly Located<RuleDocument>[]): readonly Problem[] {
  const first = new Map<string, Located<RuleDocument>>();
  return rules.flatMap((rule) => {
    const earlier = first.get(rule.document.id);
    if (earlier === undefined) {
      first.set(rule.document.id, rule);
      return [];
    }
    return [
      {
        place: rule.placeOf(["id"]),
        thing: `id ${JSON.stringify(rule.document.id)} is already at ${earlier.file}:${earlier.line}`,
        remedy: "logs and metrics name rules by their id: give each its own",
      },
    ];
  });
}

function unknownLimits(
  rules: readonly Located<RuleDocument>[],
  limits: readonly LocatedLimit[],
): readonly Problem[] {
  const known = [...new Set(limits.map((limit) => limit.name))];
  return rules.flatMap((rule) =>
    (rule.document.limits ?? []).flatMap((name, index) => {
      if (known.includes(name)) {
        return [];
      }
      const nearest = nearestName(name, known);
      return [
        {
          place: rule.placeOf(["limits", index]),
          thing: `limits ${JSON.stringify(name)} is no limit of any file`,
          remedy: nearest === null ? 'define it under "limits"' : `did you mean ${JSON.stringify(nearest)}?`,
        },
      ];
    }),
  );
}

/** Where Odoo has public files and nothing else. Everywhere else an answer may be somebody's own. */
const publicFolders = ["/web/assets/**", "/*/static/**"];

function misplacedStores(rules: readonly Located<RuleDocument>[]): readonly Problem[] {
  const folders = patternsOf(publicFolders);
  return rules.flatMap((rule) => {
    const wrong = listOf(rule.document.store).filter(
      (text) => !patternsOf(text).every((one) => folders.some((folder) => patternCovers(folder, one))),
    );
    return wrong.map((text) => ({
      place: rule.placeOf(["store"]),
      thing: `rule ${rule.document.id} would keep answers of ${text}, which may be somebody's own`,
      remedy: `keep files below ${publicFolders.join(" and ")} only`,
    }));
  });
}

/** What is compared of a rule, made once: each is compared with every one before it. */
interface Reach {
  readonly rule: Located<RuleDocument>;
  readonly takesEverything: boolean;
  readonly refuses: boolean;
  /** Null: any path. */
  readonly paths: readonly PathPattern[] | null;
  readonly lowerPaths: readonly PathPattern[];
}

function reachOf(rule: Located<RuleDocument>): Reach {
  const path = rule.document.match?.path;
  const paths = path === undefined ? null : patternsOf(path);
  return {
    rule,
    takesEverything: takesEverything(rule.document),
    refuses: refuses(rule.document),
    paths,
    lowerPaths: (paths ?? []).map(lowerPattern),
  };
}

/**
 * A rule behind one that takes all its requests never decides anything; its author believes otherwise.
 * Only sure cases are named (the same conditions, or fewer, in an earlier rule).
 */
function unreachableRules(rules: readonly Located<RuleDocument>[]): readonly Problem[] {
  const reaches = rules.map(reachOf);
  return reaches.flatMap((reach, index) => {
    const { rule } = reach;
    const earlier = reaches.slice(0, index).find((other) => ruleCovers(other, reach))?.rule;
    if (earlier === undefined) {
      return [];
    }
    return [
      {
        place: rule.placeOf([]),
        thing: `rule ${rule.document.id} can never match: ${earlier.document.id} at ${earlier.file}:${earlier.line} takes all its requests`,
        remedy: "move it before that rule, or remove it",
      },
    ];
  });
}

function missingLastRule(rules: readonly Located<RuleDocument>[]): readonly Problem[] {
  const last = rules.at(-1);
  if (last === undefined || takesEverything(last.document)) {
    return [];
  }
  return [
    {
      place: last.placeOf([]),
      thing: `the last rule, ${last.document.id}, does not take every request`,
      remedy: "end the last file with a rule without match, so that what happens to the rest is written down",
    },
  ];
}

function takesEverything(rule: RuleDocument): boolean {
  const match = rule.match ?? {};
  return Object.entries(match).every(
    ([key, value]) =>
      value === undefined || (key === "path" && listOf(match.path).some((text) => text === "/**")),
  );
}

function ruleCovers(wide: Reach, narrow: Reach): boolean {
  if (wide.takesEverything) {
    return true;
  }
  if (!pathsCover(wide, narrow)) {
    return false;
  }
  const one: MatchDocument = wide.rule.document.match ?? {};
  const two: MatchDocument = narrow.rule.document.match ?? {};
  return (
    listKeys.every((key) => listCovers(widened(key, one), widened(key, two))) &&
    wordKeys.every((key) => one[key] === undefined || one[key] === two[key]) &&
    (one.not === undefined || isDeepStrictEqual(one.not, two.not))
  );
}

const listKeys = ["method", "from", "host", "query", "offsite", "content_type", "user_agent"] as const;
const wordKeys = ["upgrade", "session", "scheme"] as const;

function widened(key: (typeof listKeys)[number], match: ConditionsDocument): readonly string[] {
  const values = listOf(match[key]);
  return key === "method" && values.includes("GET") ? [...values, "HEAD"] : values;
}

function listCovers(wide: readonly string[], narrow: readonly string[]): boolean {
  return wide.length === 0 || (narrow.length > 0 && narrow.every((value) => wide.includes(value)));
}

function pathsCover(wide: Reach, narrow: Reach): boolean {
  if (wide.paths === null) {
    return true;
  }
  if (narrow.paths === null) {
    return false;
  }
  if (narrow.refuses && !wide.refuses) {
    // The later rule sees spellings in capitals that the earlier one lets pass.
    return false;
  }
  const others = wide.refuses ? wide.lowerPaths : wide.paths;
  const patterns = wide.refuses ? narrow.lowerPaths : narrow.paths;
  return patterns.every((pattern) => others.some((other) => patternCovers(other, pattern)));
}

function refuses(rule: RuleDocument): boolean {
  return rule.deny !== undefined || rule.drop !== undefined;
}
