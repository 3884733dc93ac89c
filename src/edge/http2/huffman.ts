/**
 * The Huffman code of field strings (RFC 7541 §5.2, Appendix B). The code is canonical: of each length the symbols stand in order, and their codes
 * follow one another. So the lengths say all.
 */

/** Symbols by the bits of their code; ranges are [first, last]. 256 is the end of string, whose code only pads. */
const symbolsByBits: readonly (readonly [
  bits: number,
  symbols: string | readonly (number | readonly [number, number])[],
])[] = [
  [5, "012aceiost"],
  [6, " %-./3456789=A_bdfghlmnpru"],
  [7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"],
  [8, "&*,;XZ"],
  [10, '!"()?'],
  [11, "'+|"],
  [12, "#>"],
  [13, "\0$@[]~"],
  [14, "^}"],
  [15, "<`{"],
  [19, "\\\xc3\xd0"],
  [20, [128, 130, 131, 162, 184, 194, 224, 226]],
  [21, [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]],
  [
    22,
    [
      129,
      [132, 134],
      136,
      146,
      154,
      156,
      160,
      163,
      164,
      169,
      170,
      173,
      178,
      181,
      [185, 187],
      189,
      190,
      196,
      198,
      228,
      232,
      233,
    ],
  ],
  [
    23,
    [
      1,
      135,
      [137, 141],
      143,
      147,
      [149, 152],
      155,
      157,
      158,
      165,
      166,
      168,
      174,
      175,
      180,
      182,
      183,
      188,
      191,
      197,
      231,
      239,
    ],
  ],
  [24, [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]],
  [25, [199, 207, 234, 235]],
  [26, [192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]],
  [27, [203, 204, 211, 212, 214, 221, 222, 223, 241, [244, 248], [250, 254]]],
  [28, [[2, 8], 11, 12, [14, 21], [23, 31], 127, 220, 249]],
  [30, [10, 13, 22, 256]],
];

const endOfString = 256;
/** Code and its bits for each byte. */
const codes = new Uint32Array(257);
const codeBits = new Uint8Array(257);

/**
 * The decoder reads four bits at a time; no code is shorter than five, so that a step gives one symbol at most. A state is a node of the code's tree; an entry
 * is the next state, with `emits` and the symbol where one ends in the step.
 */
const emits = 1 << 16;
const failed = 0xffff;
const steps: number[] = [];
/** May the string end in this state: fewer than eight bits of the last symbol are open, and all of them are 1 (RFC 7541 §5.2). */
const mayEnd: boolean[] = [];

makeTables();

function symbolsOf(group: string | readonly (number | readonly [number, number])[]): number[] {
  if (typeof group === "string") return [...Buffer.from(group, "latin1")];
  return group.flatMap((part) =>
    typeof part === "number" ? [part] : Array.from({ length: part[1] - part[0] + 1 }, (_, i) => part[0] + i),
  );
}

interface Node {
  readonly id: number;
  readonly next: (Node | number | null)[];
}

function makeTables(): void {
  const nodes: Node[] = [];
  const node = (): Node => {
    const made = { id: nodes.length, next: [null, null] };
    nodes.push(made);
    return made;
  };
  const root = node();
  let code = 0;
  let bitsBefore = 0;
  for (const [bits, group] of symbolsByBits) {
    code *= 2 ** (bits - bitsBefore);
    bitsBefore = bits;
    for (const symbol of symbolsOf(group)) {
      codes[symbol] = code;
      codeBits[symbol] = bits;
      let at = root;
      for (let bit = bits - 1; bit >= 0; bit -= 1) {
        const side = Math.floor(code / 2 ** bit) % 2;
        const next = at.next[side] ?? null;
        if (bit === 0) at.next[side] = symbol;
        else if (next === null || typeof next === "number") {
          const made = node();
          at.next[side] = made;
          at = made;
        } else at = next;
      }
      code += 1;
    }
  }
  for (const one of nodes) {
    mayEnd.push(isPadding(root, one));
    for (let four = 0; four < 16; four += 1) steps.push(step(root, one, four));
  }
}

/** Is this node reached from the root by fewer than eight bits, all of them 1. */
function isPadding(root: Node, wanted: Node): boolean {
  let at: Node | number | null = root;
  for (let bits = 0; bits < 8 && at !== null && typeof at !== "number"; bits += 1) {
    if (at === wanted) return true;
    at = at.next[1] ?? null;
  }
  return false;
}

function step(root: Node, from: Node, four: number): number {
  let at = from;
  let symbol = -1;
  for (let bit = 3; bit >= 0; bit -= 1) {
    const next: Node | number | null = at.next[(four >> bit) & 1] ?? null;
    if (next === null || next === endOfString) return failed;
    if (typeof next === "number") {
      symbol = next;
      at = root;
    } else at = next;
  }
  return symbol < 0 ? at.id : at.id | emits | (symbol << 17);
}

const stepTable = Uint32Array.from(steps);

/** Most bytes a string of so many coded bytes can have: no code is shorter than five bits. */
export function decodedBytesMax(codedBytes: number): number {
  return Math.floor((codedBytes * 8) / 5);
}

/** Decodes `input` from `start` to `end` into `out`, which has room for `decodedBytesMax`; the bytes written, or -1 for a string that is none. */
export function decodeHuffman(input: Buffer, start: number, end: number, out: Buffer): number {
  let state = 0;
  let length = 0;
  for (let at = start; at < end; at += 1) {
    const byte = input[at] ?? 0;
    const high = stepTable[state * 16 + (byte >> 4)] ?? failed;
    if (high === failed) return -1;
    if ((high & emits) !== 0) {
      out[length] = high >>> 17;
      length += 1;
    }
    const low = stepTable[(high & 0xffff) * 16 + (byte & 15)] ?? failed;
    if (low === failed) return -1;
    if ((low & emits) !== 0) {
      out[length] = low >>> 17;
      length += 1;
    }
    state = low & 0xffff;
  }
  return mayEnd[state] === true ? length : -1;
}

/** Bytes that Latin-1 text takes in the code. */
export function huffmanBytes(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i += 1) bits += codeBits[text.charCodeAt(i) & 0xff] ?? 0;
  return (bits + 7) >> 3;
}

/** Writes Latin-1 text in the code; where it ends. */
export function encodeHuffman(text: string, out: Buffer, start: number): number {
  let at = start;
  // At most seven bits wait, and the longest code of a byte has 30: together they fit a double's 53.
  let held = 0;
  let heldBits = 0;
  for (let i = 0; i < text.length; i += 1) {
    const symbol = text.charCodeAt(i) & 0xff;
    const bits = codeBits[symbol] ?? 0;
    held = held * 2 ** bits + (codes[symbol] ?? 0);
    heldBits += bits;
    while (heldBits >= 8) {
      heldBits -= 8;
      const unit = 2 ** heldBits;
      const byte = Math.floor(held / unit);
      out[at] = byte;
      at += 1;
      held -= byte * unit;
    }
  }
  if (heldBits > 0) {
    // Padded with the first bits of the end of string, all 1.
    const open = 8 - heldBits;
    out[at] = held * 2 ** open + 2 ** open - 1;
    at += 1;
  }
  return at;
}
