const named: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** XML 1.0 §4.1 and §4.6: the five entities every parser knows, and characters by number; null for any other. */
export function withoutReferences(text: string): string | null {
  let broken = false;
  const plain = text.replace(/&([^;]{0,10})(;?)/g, (_whole, name: string, end: string) => {
    const number = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name);
    const code =
      number === null
        ? null
        : Number.parseInt(number[1] ?? number[2] ?? "", number[1] === undefined ? 10 : 16);
    const character =
      code === null ? named[name] : code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
    if (end === "" || character === undefined) broken = true;
    return character ?? "";
  });
  return broken ? null : plain;
}
