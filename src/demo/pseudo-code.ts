/**
 * Text that looks, weighs and compresses like Odoo's bundles (gzip -6 about 5.5 : 1): the same bytes on every
 * machine, valid script and valid style, and without effect.
 */

const WORDS =
  "account action activity address amount archive arch attachment avatar balance batch button calendar campaign cancel category channel client column company component config contact content context control count country create currency customer data date delivery dialog discount document domain draft edit email employee env error event field file filter form graph group handler header hook id image index input invoice item journal kanban label lang lead line link list load location lot mail menu message method mode model module move name note number offer option order owner page param parent partner payment phone pivot point price product project property quant query quote reason record ref relation render report request result role route rule sale search section select sequence service session setting state status step stock store tag task tax team template term text timer title token total tour type unit update user value variant vendor view visible warehouse widget wizard".split(
    " ",
  );

/** Numerical Recipes' generator: small, fixed, good enough for filler. */
function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 4_294_967_296) * below);
  };
}

type Pick = (below: number) => number;

function word(pick: Pick): string {
  return WORDS[pick(WORDS.length)] ?? "x";
}

function camel(pick: Pick): string {
  const second = word(pick);
  return word(pick) + second.charAt(0).toUpperCase() + second.slice(1);
}

function scriptStatement(pick: Pick, serial: number): string {
  const [a, b, c, d] = [camel(pick), word(pick), word(pick), camel(pick)];
  switch (pick(6)) {
    case 0:
      return `odooDefine("@web/${b}/${c}/${a}",["@web/core/utils/hooks","@web/${c}/${b}"],function(require){"use strict";let __exports={};const{${d}}=require("@web/${c}/${b}");__exports.${a}=${d};return __exports;});\n`;
    case 1:
      return `function ${a}${serial}(${b},props){if(!this.${c}||props.${b}Id===${pick(999)}){return this.env.services.orm.call("${b}.${c}","${d}",[props.${b}Id]);}return this.env.${a}(...arguments);}\n`;
    case 2:
      return `function ${d}${serial}(app,bdom,helpers){let{text,createBlock,list,multi}=bdom;let block1=createBlock(\`<div class="o_${b}_${c} d-flex" block-attribute-0="${a}"><block-child-0/></div>\`);return block1;}\n`;
    case 3:
      return `const ${a}${serial}={type:"object",shape:{${b}:{type:String,optional:true},${c}:{type:Number},${d}:Function},${b}Count:${pick(5000)}};\n`;
    case 4:
      return `function set${serial}(${c}){this.state.${a}=this.props.record.data.${b}_id||${pick(90)};this.${d}=useService("${c}");onWillStart(async()=>{await this.model.load({${c}});});}\n`;
    default:
      return `const t${serial}=_t("${word(pick)} ${word(pick)} ${word(pick)}: %s ${word(pick)} ${word(pick)}");\n`;
  }
}

function styleRule(pick: Pick): string {
  const [a, b, c] = [word(pick), word(pick), word(pick)];
  const size = pick(64);
  switch (pick(4)) {
    case 0:
      return `.o_${a}_${b} .o_${c}{display:flex;flex-flow:row nowrap;padding:${size}px ${pick(32)}px;margin-bottom:${pick(9)}rem;border-color:#${hex(pick)};}\n`;
    case 1:
      return `.o_web_client .o_${a}_view .o_${b}_${c}:hover{color:var(--o-${b}-color,#${hex(pick)});background-color:rgba(${pick(256)},${pick(256)},${pick(256)},0.${pick(99)});}\n`;
    case 2:
      return `@media (min-width:${500 + size * 8}px){.o_${a}-${b}{flex:0 0 auto;width:${pick(100)}.${pick(9999)}%;max-width:${pick(1200)}px;}}\n`;
    default:
      return `.o_${b}_${a}::before{content:"\\f${pick(900) + 100}";font-family:'FontAwesome';font-size:${size}px;line-height:1.${pick(9)};}\n`;
  }
}

function hex(pick: Pick): string {
  return pick(16_777_216).toString(16).padStart(6, "0");
}

function fill(head: string, bytes: number, piece: (serial: number) => string, tail: string): Buffer {
  const parts = [head];
  let size = Buffer.byteLength(head) + Buffer.byteLength(tail);
  for (let serial = 0; ; serial += 1) {
    const text = piece(serial);
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

/** A script of exactly `bytes` bytes (at least head and tail); `head` and `tail` really run. */
export function pseudoScript(seed: number, bytes: number, head = "", tail = ""): Buffer {
  const pick = createRandom(seed);
  // Never called: the browser parses the filler and runs nothing of it.
  const open = `${head}(function(){return function(){\n`;
  return fill(open, bytes, (serial) => scriptStatement(pick, serial), `}})();\n${tail}`);
}

/** A style sheet of exactly `bytes` bytes; `head` holds the rules that matter. */
export function pseudoStyle(seed: number, bytes: number, head = ""): Buffer {
  const pick = createRandom(seed);
  return fill(head, bytes, () => styleRule(pick), "");
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
