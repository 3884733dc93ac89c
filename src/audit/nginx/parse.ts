/** Reads nginx configuration into a tree (src/core/ngx_conf_file.c, `ngx_conf_read_token`). Pure; includes come from `readIncluded`. */
import type { Place } from "../../report/finding.ts";
import { byteOrderMark, markTrouble } from "../mark.ts";

export interface Directive {
  readonly name: string;
  readonly args: readonly string[];
  readonly place: Place;
  /** null: a simple directive. */
  readonly block: readonly Directive[] | null;
}

export interface NginxTrouble {
  readonly place: Place;
  readonly thing: string;
}

/** Files an `include` names, in name order; null when there are none or they cannot be read. */
export type ReadIncluded = (
  name: string,
) => readonly { readonly file: string; readonly text: string }[] | null;

export interface NginxFile {
  readonly file: string;
  readonly directives: readonly Directive[];
  readonly mistakes: readonly NginxTrouble[];
  /** Includes that were not looked at. */
  readonly unread: readonly NginxTrouble[];
}

/** As deep as blocks and includes may nest, and most files and directives that are read. */
export const depthMax = 20;
export const includedFilesMax = 200;
export const directivesMax = 50_000;

/** Directives that often follow one whose semicolon was forgotten. */
const beginsLine: ReadonlySet<string> = new Set(
  (
    "access_log add_header allow auth_basic client_body_timeout client_max_body_size deny error_log error_page expires gzip " +
    "gzip_types include keepalive_timeout limit_req limit_req_status listen location log_format map proxy_buffering proxy_cache " +
    "proxy_connect_timeout proxy_cookie_flags proxy_http_version proxy_pass proxy_read_timeout proxy_redirect " +
    "proxy_send_timeout proxy_set_header resolver return rewrite root server_name server_tokens ssl_certificate " +
    "ssl_certificate_key ssl_ciphers ssl_protocols ssl_session_cache ssl_session_timeout ssl_stapling try_files upstream"
  ).split(" "),
);

interface Token {
  /** `;`, `{` and `}` outside quotes have this kind. */
  readonly kind: "word" | ";" | "{" | "}";
  readonly text: string;
  readonly line: number;
}

export function readNginx(file: string, text: string, readIncluded: ReadIncluded): NginxFile {
  const reader = new Reader(readIncluded);
  const directives = reader.read(file, text, 0);
  return { file, directives, mistakes: reader.mistakes, unread: reader.unread };
}

class Reader {
  readonly mistakes: NginxTrouble[] = [];
  readonly unread: NginxTrouble[] = [];
  readonly #readIncluded: ReadIncluded;
  #files = 0;
  #directives = 0;

  constructor(readIncluded: ReadIncluded) {
    this.#readIncluded = readIncluded;
  }

  read(file: string, text: string, depth: number): readonly Directive[] {
    if (text.startsWith(byteOrderMark)) this.mistakes.push({ place: { file, line: 1 }, thing: markTrouble });
    const { tokens, mistake } = tokensOf(text);
    if (mistake !== null) this.mistakes.push({ place: { file, line: mistake.line }, thing: mistake.thing });
    const cursor = { tokens, at: 0, file };
    const directives = this.#block(cursor, depth, true);
    return directives;
  }

  #block(
    cursor: { tokens: readonly Token[]; at: number; file: string },
    depth: number,
    isTop: boolean,
  ): readonly Directive[] {
    const found: Directive[] = [];
    let words: string[] = [];
    let line = 0;
    let last = 0;
    for (; cursor.at < cursor.tokens.length; cursor.at += 1) {
      const token = cursor.tokens[cursor.at];
      if (token === undefined) break;
      const place = { file: cursor.file, line: words.length === 0 ? token.line : line };
      if (token.kind === "word") {
        // nginx would take the next line for arguments; the name that begins it says what was forgotten.
        if (words.length > 0 && token.line > last && beginsLine.has(token.text)) {
          this.mistakes.push({ place, thing: `${words[0] ?? ""} has no ";" behind it` });
          words = [];
        }
        if (words.length === 0) line = token.line;
        last = token.line;
        words.push(token.text);
        continue;
      }
      const [name, ...args] = words;
      words = [];
      if (token.kind === "}") {
        if (name !== undefined) this.mistakes.push({ place, thing: `${name} has no ";" behind it` });
        if (!isTop) return found;
        this.mistakes.push({ place, thing: 'a "}" closes nothing' });
        continue;
      }
      this.#directives += 1;
      if (name === undefined) {
        this.mistakes.push({ place, thing: `a "${token.kind}" stands without a directive` });
        if (token.kind === "{" && depth < depthMax) {
          cursor.at += 1;
          this.#block(cursor, depth + 1, false);
        }
        continue;
      }
      if (this.#directives > directivesMax || depth >= depthMax) {
        this.mistakes.push({ place, thing: "the configuration is too large or too deep to be read" });
        cursor.at = cursor.tokens.length;
        return found;
      }
      if (token.kind === "{") {
        cursor.at += 1;
        const block = this.#block(cursor, depth + 1, false);
        if (cursor.at >= cursor.tokens.length)
          this.mistakes.push({ place, thing: `the block of ${name} is not closed` });
        found.push({ name, args, place, block });
      } else if (name === "include") found.push(...this.#include(args[0] ?? "", place, depth));
      else found.push({ name, args, place, block: null });
    }
    const [name] = words;
    if (name !== undefined)
      this.mistakes.push({ place: { file: cursor.file, line }, thing: `${name} has no ";" behind it` });
    return found;
  }

  #include(name: string, place: Place, depth: number): readonly Directive[] {
    // Only names for types; they say nothing about who gets in.
    if (/(?:^|\/)mime\.types$/.test(name)) return [];
    const files = this.#files < includedFilesMax ? this.#readIncluded(name) : null;
    if (files === null) {
      // A pattern may fit nothing, as in nginx.
      if (!/[*?]/.test(name)) this.unread.push({ place, thing: `include ${name} was not found here` });
      return [];
    }
    this.#files += files.length;
    return files.flatMap(({ file, text }) => this.read(file, text, depth + 1));
  }
}

function tokensOf(text: string): {
  readonly tokens: readonly Token[];
  readonly mistake: { readonly line: number; readonly thing: string } | null;
} {
  const tokens: Token[] = [];
  let line = 1;
  let at = 0;
  while (at < text.length) {
    const unit = text[at] ?? "";
    if (unit === "\n") line += 1;
    if (/\s/.test(unit)) {
      at += 1;
    } else if (unit === "#") {
      while (at < text.length && text[at] !== "\n") at += 1;
    } else if (unit === "{" && /_by_lua_block$/.test(tokens.at(-1)?.text ?? "")) {
      // Another language up to the brace that closes the block (OpenResty).
      const end = closingBrace(text, at);
      tokens.push({ kind: ";", text: ";", line });
      line += text.slice(at, end).split("\n").length - 1;
      at = end;
    } else if (unit === ";" || unit === "{" || unit === "}") {
      tokens.push({ kind: unit, text: unit, line });
      at += 1;
    } else if (unit === '"' || unit === "'") {
      const end = closingQuote(text, at);
      if (end === -1) return { tokens, mistake: { line, thing: "a quote is not closed" } };
      const inner = text.slice(at + 1, end);
      tokens.push({ kind: "word", text: unescaped(inner), line });
      line += inner.split("\n").length - 1;
      at = end + 1;
    } else {
      const end = wordEnd(text, at);
      tokens.push({ kind: "word", text: unescaped(text.slice(at, end)), line });
      at = end;
    }
  }
  return { tokens, mistake: null };
}

/** Behind the brace that closes the one at `start`; the end of the text when none does. */
function closingBrace(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    if (text[at] === "{") depth += 1;
    else if (text[at] === "}") depth -= 1;
    if (depth === 0) return at + 1;
  }
  return text.length;
}

function closingQuote(text: string, start: number): number {
  const quote = text[start];
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === quote) return at;
  }
  return -1;
}

/** A bare word ends at a blank, `;` or `{`; `${name}` belongs to it. */
function wordEnd(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at += 1) {
    const unit = text[at] ?? "";
    if (unit === "\\") at += 1;
    else if (unit === "$" && text[at + 1] === "{") at += 1;
    else if (/[\s;{]/.test(unit)) break;
  }
  return Math.min(at, text.length);
}

/** nginx takes the backslash away before quotes and backslashes only; elsewhere it belongs to a regular expression. */
function unescaped(text: string): string {
  return text.includes("\\") ? text.replaceAll(/\\(["'\\])/g, "$1") : text;
}
