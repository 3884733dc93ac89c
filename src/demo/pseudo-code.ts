/**
 * Text that looks, weighs and compresses like Odoo's bundles: the same bytes on every machine, valid script and
 * valid style, and without effect. Odoo 19's web client, 6.0 MB of script and two style sheets of 1.0 MB, comes to
 * 5.2 : 1 with gzip 6, 5.9 : 1 with brotli 5 and 7.0 : 1 with brotli 11; so does this, within 5 %
 * (test/demo/pseudo-code.test.ts). The percentages below were tuned for that and mean nothing else.
 */

const WORDS =
  "account action activity address amount archive arch attachment avatar balance batch button calendar campaign cancel category channel client column company component config contact content context control count country create currency customer data date delivery dialog discount document domain draft edit email employee env error event field file filter form graph group handler header hook id image index input invoice item journal kanban label lang lead line link list load location lot mail menu message method mode model module move name note number offer option order owner page param parent partner payment phone pivot point price product project property quant query quote reason record ref relation render report request result role route rule sale search section select sequence service session setting state status step stock store tag task tax team template term text timer title token total tour type unit update user value variant vendor view visible warehouse widget wizard".split(
    " ",
  );

/** A number from 0 to `below` − 1. */
type Pick = (below: number) => number;

/** Numerical Recipes' generator: small, fixed, good enough for filler. */
function createRandom(seed: number): Pick {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 4_294_967_296) * below);
  };
}

function from(list: readonly string[], at: number): string {
  return list[at] ?? "x";
}

function word(pick: Pick): string {
  return from(WORDS, pick(WORDS.length));
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Names are not used equally often: the low ones more, as in real code. */
function often(pick: Pick, list: readonly string[]): string {
  return from(list, Math.min(pick(list.length), pick(list.length)));
}

function sentence(pick: Pick, words: number): string {
  return capital(Array.from({ length: words }, () => word(pick)).join(" "));
}

const PREFIXES = ["", "", "on", "get"];

function vocabulary(pick: Pick, size: number): readonly string[] {
  return Array.from({ length: size }, () => {
    const prefix = from(PREFIXES, pick(PREFIXES.length));
    const parts = [word(pick), ...Array.from({ length: 1 + pick(2) }, () => capital(word(pick)))];
    return prefix === "" ? parts.join("") : prefix + parts.map(capital).join("");
  });
}

/** What one module of the script draws from: its own few names, mostly, and everybody's. */
interface Scope {
  readonly pick: Pick;
  name(): string;
}

const OPERATORS = ["===", "&&", "||", "+", "!==", ">"];

function literal(pick: Pick): string {
  const kind = pick(10);
  if (kind === 0) return `"${hex(pick)}${hex(pick)}"`;
  return `${kind < 6 ? pick(10) : pick(100_000)}`;
}

function expression(scope: Scope, depth: number): string {
  const { pick, name } = scope;
  const inner = (): string => expression(scope, depth - 1);
  switch (pick(depth > 0 ? 9 : 5)) {
    case 0:
      return `this.${name()}`;
    case 1:
      return name();
    case 2:
      return `props.${name()}.${word(pick)}`;
    case 3:
      return pick(3) > 0 ? `"${pick(2) > 0 ? name() : word(pick)}"` : literal(pick);
    case 4:
      return `this.env.services.${word(pick)}`;
    case 5:
      return `${name()}(${inner()},${inner()})`;
    case 6:
      return `${inner()}${from(OPERATORS, pick(OPERATORS.length))}${inner()}`;
    case 7:
      return `this.${name()}(${inner()})`;
    default:
      return `{${name()}:${inner()},${name()}:${inner()}}`;
  }
}

/** `var` throughout: a name drawn twice in one function is no mistake then. */
function statement(scope: Scope, depth: number): string {
  const { pick, name } = scope;
  switch (pick(depth > 0 ? 9 : 5)) {
    case 0:
      return `var ${name()}=${expression(scope, 2)};`;
    case 1:
      return `this.${name()}=${expression(scope, 2)};`;
    case 2:
      return `return ${expression(scope, 2)};`;
    case 3:
      return `${name()}.${word(pick)}(${expression(scope, 1)});`;
    case 4:
      return `this.state.${word(pick)}=${expression(scope, 1)};`;
    case 5:
      return `if(${expression(scope, 2)}){${statement(scope, depth - 1)}${statement(scope, depth - 1)}}`;
    case 6:
      return `if(!${expression(scope, 1)}){return;}`;
    case 7:
      return `for(var ${name()} of ${expression(scope, 1)}){${statement(scope, depth - 1)}}`;
    default:
      return `var ${name()}=(${name()})=>{${statement(scope, depth - 1)}};`;
  }
}

/** One member of a class: a template, packed data (an icon's path), a text to translate, or (mostly) a method. */
function member(scope: Scope, owner: string): string {
  const { pick, name } = scope;
  const kind = pick(100);
  if (kind < 15) {
    const box = `<div class="o_${word(pick)}_${word(pick)} d-flex ${word(pick)}-${word(pick)}" t-att-class="{'o_${word(pick)}':props.${name()}}">`;
    const text = `<t t-if="${name()}.${word(pick)}"><span class="o_${word(pick)} text-${word(pick)}" t-esc="${name()}"/></t>`;
    const button = `<button class="btn btn-${word(pick)}" t-on-click="${name()}">${sentence(pick, 1 + pick(4))}</button>`;
    return `static ${name()}={"${word(pick)}.${owner}":\`${box}${text}${button}</div>\`};`;
  }
  if (kind < 18) return `static ${name()}="${Array.from({ length: 40 }, () => hex(pick)).join("")}";`;
  if (kind < 28) return `get ${name()}(){return _t("${sentence(pick, 3 + pick(8))}.");}`;
  const body = Array.from({ length: 2 + pick(6) }, () => statement(scope, 2)).join("");
  return `${pick(4) === 0 ? "async " : ""}${name()}(${name()}){${body}}`;
}

const NAMES = 5_000;
const OWN_NAMES = 9;
const OWN_NAME_PERCENT = 93;
/** How much is said again: what share of a text's pieces, and among how many of the latest. */
interface Repetition {
  readonly percent: number;
  readonly among: number;
}

/** A little from far away: what a large window finds and gzip's 32 KiB do not. */
const CODE: Repetition = { percent: 7, among: 4_096 };
/** A long list of like entries, such as the emoji. */
const LIST: Repetition = { percent: 75, among: 40 };

/** Modules as Odoo bundles them, one call at a time. */
function createModules(pick: Pick, repetition: Repetition): () => string {
  const names = vocabulary(pick, NAMES);
  const earlier: string[] = [];
  let made = 0;
  return () => {
    const own = Array.from({ length: OWN_NAMES }, () => often(pick, names));
    const scope: Scope = { pick, name: () => often(pick, pick(100) < OWN_NAME_PERCENT ? own : names) };
    const { name } = scope;
    const owner = capital(name());
    const [first, second] = [`@web/core/${word(pick)}`, `@${word(pick)}/${word(pick)}`];
    const uses = `var{${name()},${name()}}=require('${first}');var{${name()}}=require('${second}');`;
    const props = `static props={${name()}:{type:Object,optional:true},${name()}:{type:Function},"*":true};`;
    const members = Array.from({ length: 3 + pick(14) }, () => {
      if (earlier.length >= 30 && pick(100) < repetition.percent) return from(earlier, pick(earlier.length));
      const one = member(scope, owner);
      earlier[made % repetition.among] = one;
      made += 1;
      return one;
    }).join("");
    const head = `odoo.define('@${word(pick)}/${word(pick)}/${word(pick)}/${name()}',['${first}','${second}'],function(require){'use strict';let __exports={};${uses}`;
    const body = `class ${owner} extends Component{static template="${word(pick)}.${owner}";${props}${members}}`;
    return `${head}${body}\n__exports.${owner}=${owner};return __exports;});\n;\n`;
  };
}

/** Declaration blocks repeated under another selector, from anywhere before and from just before. */
const REPEATED_FAR_PERCENT = 31;
const REPEATED_NEAR_PERCENT = 46;
const NEAR = 40;
const RULES_REMEMBERED = 4_096;

function declarations(pick: Pick): string {
  const size = pick(64);
  switch (pick(4)) {
    case 0:
      return `{display:flex;flex-flow:row nowrap;padding:${size}px ${pick(32)}px;margin-bottom:${pick(9)}rem;border-color:#${hex(pick)};}`;
    case 1:
      return `{color:var(--o-${word(pick)}-color,#${hex(pick)});background-color:rgba(${pick(256)},${pick(256)},${pick(256)},0.${pick(99)});}`;
    case 2:
      return `{flex:0 0 auto;width:${pick(100)}.${pick(9999)}%;max-width:${pick(1200)}px;}`;
    default:
      return `{content:"\\f${pick(900) + 100}";font-family:'FontAwesome';font-size:${size}px;line-height:1.${pick(9)};}`;
  }
}

function selector(pick: Pick): string {
  const [a, b, c] = [word(pick), word(pick), word(pick)];
  switch (pick(4)) {
    case 0:
      return `.o_${a}_${b} .o_${c}`;
    case 1:
      return `.o_web_client .o_${a}_view .o_${b}:hover`;
    case 2:
      return `.o-${a}-${b}`;
    default:
      return `.o_${b}_${a}::before`;
  }
}

function createRules(pick: Pick): () => string {
  const earlier: string[] = [];
  let made = 0;
  return () => {
    const kind = pick(100);
    if (earlier.length > NEAR && kind < REPEATED_FAR_PERCENT)
      return `${selector(pick)}${from(earlier, pick(earlier.length))}\n`;
    if (earlier.length > NEAR && kind < REPEATED_FAR_PERCENT + REPEATED_NEAR_PERCENT)
      return `${selector(pick)}${from(earlier, (made - 1 - pick(NEAR)) % RULES_REMEMBERED)}\n`;
    const one = declarations(pick);
    earlier[made % RULES_REMEMBERED] = one;
    made += 1;
    return `${selector(pick)}${one}\n`;
  };
}

function hex(pick: Pick): string {
  return pick(16_777_216).toString(16).padStart(6, "0");
}

function fill(head: string, bytes: number, piece: () => string, tail: string): Buffer {
  const parts = [head];
  let size = Buffer.byteLength(head) + Buffer.byteLength(tail);
  for (;;) {
    const text = piece();
    // All pieces are ASCII. Four bytes stay free so that the rest is always a whole comment.
    if (size + text.length > bytes - 4) break;
    parts.push(text);
    size += text.length;
  }
  const rest = bytes - size;
  if (rest >= 4) parts.push(`/*${"-".repeat(rest - 4)}*/`);
  parts.push(tail);
  return Buffer.from(parts.join(""));
}

/**
 * A script of exactly `bytes` bytes (at least head and tail); `head` and `tail` really run. `list`: a long list of
 * like entries, which compresses better.
 */
export function pseudoScript(seed: number, bytes: number, head = "", tail = "", list = false): Buffer {
  // Never called: the browser parses the filler and runs nothing of it.
  const open = `${head}(function(){return function(){\n`;
  return fill(open, bytes, createModules(createRandom(seed), list ? LIST : CODE), `}})();\n${tail}`);
}

/** A style sheet of exactly `bytes` bytes; `head` holds the rules that matter. */
export function pseudoStyle(seed: number, bytes: number, head = ""): Buffer {
  return fill(head, bytes, createRules(createRandom(seed)), "");
}

/** Bytes that do not compress, as fonts and pictures. */
export function pseudoBinary(seed: number, bytes: number, head: Buffer): Buffer {
  const pick = createRandom(seed);
  const out = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 1) out.writeUInt8(pick(256), at);
  head.copy(out);
  return out;
}

/** Words for JSON filler. */
export function pseudoText(seed: number, bytes: number): string {
  const pick = createRandom(seed);
  let text = "";
  while (text.length < bytes) text += `${word(pick)} `;
  return text.slice(0, Math.max(0, bytes));
}
