let second = 0;
let text = "";

/** Now, as a Date field has it (RFC 9110 §5.6.7); written once a second. */
export function httpDate(): string {
  const nowMs = Date.now();
  const nowSecond = Math.floor(nowMs / 1000);
  if (nowSecond !== second) {
    second = nowSecond;
    text = new Date(nowMs).toUTCString();
  }
  return text;
}
