import { err, ok, type Result } from "../base/result.ts";

/**
 * A path pattern, read once. Segments are compared whole; `*` is exactly one segment, `x*` one segment
 * that begins with `x`, and a last `**` the path itself and everything below it.
 */
export interface PathPattern {
  /** As the operator wrote it. */
  readonly text: string;
  readonly segments: readonly PathSegment[];
  /** Ends in `/**`. */
  readonly below: boolean;
}

export type PathSegment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "prefix"; readonly text: string };

/** Longest pattern, in characters, and most segments in it. */
export const patternCharsMax = 512;
export const patternSegmentsMax = 32;

/**
 * Reads a pattern. The error says what the text must be, to stand behind its quotation: `must begin with "/"`.
 * Operators write no regular expressions: nothing here can be slow or match by surprise.
 */
export function parsePathPattern(text: string): Result<PathPattern, string> {
  if (text.length > patternCharsMax) {
    return err(`must not be longer than ${patternCharsMax} characters`);
  }
  if (!text.startsWith("/")) {
    return err('must begin with "/"');
  }
  if (text === "/") {
    return ok({ text, segments: [], below: false });
  }
  const parts = text.slice(1).split("/");
  const below = parts.at(-1) === "**";
  if (below) {
    parts.pop();
  }
  if (parts.length > patternSegmentsMax) {
    return err(`must not have more than ${patternSegmentsMax} segments`);
  }
  const segments: PathSegment[] = [];
  for (const [index, part] of parts.entries()) {
    if (part === "") {
      return index === parts.length - 1
        ? err('must not end in "/" (a trailing slash is already the same path; "/**" takes everything below)')
        : err('must not have an empty segment ("//")');
    }
    if (part === "." || part === "..") {
      return err(`must not have the segment "${part}" (no request with one is let through)`);
    }
    const bad = forbiddenCharacter(part);
    if (bad !== null) {
      return err(`must not contain ${bad}`);
    }
    const star = part.indexOf("*");
    if (star === -1) {
      segments.push({ kind: "literal", text: part });
    } else if (star === part.length - 1) {
      segments.push({ kind: "prefix", text: part.slice(0, -1) });
    } else {
      return err(
        part.includes("**")
          ? 'may have "**" only as its last segment'
          : 'may have "*" only at the end of a segment',
      );
    }
  }
  return ok({ text, segments, below });
}

function forbiddenCharacter(part: string): string | null {
  if (/%[0-9a-f]{2}/i.test(part)) {
    return "a percent escape: write the character itself, rules see the decoded path";
  }
  if (/[?#]/.test(part)) {
    return '"?" or "#": rules see the path alone; for the query there are "query" and "offsite"';
  }
  if (/[\u0000-\u0020\u007f\\]/.test(part)) {
    return "white space, control characters or a backslash";
  }
  return null;
}

/** The same pattern in lower case, for rules that compare without case. */
export function lowerPattern(pattern: PathPattern): PathPattern {
  return {
    ...pattern,
    segments: pattern.segments.map((segment) => ({ ...segment, text: segment.text.toLowerCase() })),
  };
}

/** A compiled pattern: answers without allocating. */
export type PathTest = (path: string) => boolean;

/**
 * Compiles a pattern to plain comparisons on a canonical path (one leading slash, none doubled, none
 * trailing).
 */
export function compilePath(pattern: PathPattern): PathTest {
  const { segments, below } = pattern;
  const firstOpen = segments.findIndex((segment) => segment.kind === "prefix");
  if (firstOpen === -1) {
    const literal = `/${segments.map((segment) => segment.text).join("/")}`;
    if (!below) {
      return (path) => path === literal;
    }
    if (segments.length === 0) {
      return () => true;
    }
    const length = literal.length;
    return (path) =>
      path.startsWith(literal) && (path.length === length || path.charCodeAt(length) === slash);
  }
  return (path) => matchSegments(segments, below, path);
}

const slash = 47;

function matchSegments(segments: readonly PathSegment[], below: boolean, path: string): boolean {
  let at = 0;
  for (const segment of segments) {
    // `at` stands on the slash before the segment; "/" alone has no segment.
    if (at + 1 >= path.length) {
      return false;
    }
    const start = at + 1;
    const next = path.indexOf("/", start);
    const end = next === -1 ? path.length : next;
    if (!path.startsWith(segment.text, start)) {
      return false;
    }
    if (
      segment.kind === "literal" ? end - start !== segment.text.length : end - start < segment.text.length
    ) {
      return false;
    }
    at = end;
  }
  return at === path.length || below;
}

/** Does every path that `narrow` matches match `wide` too? May answer false when it cannot tell. */
export function patternCovers(wide: PathPattern, narrow: PathPattern): boolean {
  if (wide.segments.length > narrow.segments.length) {
    return false;
  }
  if (wide.segments.length < narrow.segments.length && !wide.below) {
    return false;
  }
  if (narrow.below && !wide.below) {
    return false;
  }
  return wide.segments.every((segment, index) => {
    const other = narrow.segments[index];
    if (other === undefined) {
      return false;
    }
    return segment.kind === "literal"
      ? other.kind === "literal" && other.text === segment.text
      : other.text.startsWith(segment.text);
  });
}
