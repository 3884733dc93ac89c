import type { Line } from "./line.ts";

const paint = { debug: "\u001b[2m", info: "", warn: "\u001b[33m", error: "\u001b[31m" } as const;
const plain = "\u001b[0m";

/**
 * A line for a person: `05:41:12.345 info  access GET /web 200 12.5ms client=… rule=…`.
 * Values with a space, quote or equals sign are quoted, so that no value can pose as another field.
 */
export function textLine(line: Line, wallMs: number, suppressed: number, colours: boolean): string {
  const time = new Date(wallMs).toISOString().slice(11, 23);
  const parts: string[] = [`${time} ${line.level.padEnd(5)} ${line.fields.event}`];
  for (const [name, value] of Object.entries(line.fields)) {
    // The event stands in front; its stream follows from it.
    if (value === null || name === "event" || name === "stream") continue;
    const text = typeof value === "object" ? value.join("; ") : String(value);
    if (text !== "") parts.push(`${name}=${quoted(text)}`);
  }
  if (suppressed > 0) parts.push(`suppressed=${suppressed}`);
  const whole = parts.join(" ");
  const colour = colours ? paint[line.level] : "";
  return colour === "" ? `${whole}\n` : `${colour}${whole}${plain}\n`;
}

function quoted(text: string): string {
  return /[\s"'=]/.test(text) ? JSON.stringify(text) : text;
}
