import type { X509Certificate } from "node:crypto";

/** PEM blocks with exactly this label, in order (RFC 7468); text around them is allowed and left out. */
export function splitPem(text: string, label: string): string[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const blocks: string[] = [];
  let from = text.indexOf(begin);
  while (from >= 0) {
    const to = text.indexOf(end, from);
    if (to < 0) {
      // A begin without an end: the file is torn. The block is handed on so that its reader fails on it.
      blocks.push(text.slice(from));
      break;
    }
    blocks.push(text.slice(from, to + end.length));
    from = text.indexOf(begin, to + end.length);
  }
  return blocks;
}

/** When a certificate is valid, milliseconds since 1970. Node 20 has no `validFromDate`; its text is what Date reads. */
export function validity(certificate: X509Certificate): {
  readonly fromMs: number;
  readonly untilMs: number;
} {
  return { fromMs: Date.parse(certificate.validFrom), untilMs: Date.parse(certificate.validTo) };
}
