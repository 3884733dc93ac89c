import { http } from "../base/node-http.ts";
import { err, ok, type Result } from "../base/result.ts";

/** A response with a responder's certificate is two or three KiB. */
const answerBytesMax = 65_536;
const timeoutMs = 10_000;

/**
 * Sends a question to a responder (RFC 6960 Appendix A, POST) and answers the response's bytes, unchecked. Plain HTTP: the response is
 * signed, and HTTPS would need a certificate that is checked by the same means. No redirects. An error is a sentence.
 */
export function askResponder(
  url: string,
  question: Buffer,
  signal: AbortSignal,
): Promise<Result<Buffer, string>> {
  return new Promise((resolve) => {
    const fail = (why: string) => resolve(err(why));
    const ends = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const headers = { "Content-Type": "application/ocsp-request", "Content-Length": question.length };
    const request = http.request(url, { method: "POST", agent: false, signal: ends, headers }, (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on("error", () => fail("cut its answer"));
      response.on("data", (part: Buffer) => {
        bytes += part.length;
        if (bytes <= answerBytesMax) return void parts.push(part);
        fail(`answered more than ${answerBytesMax} bytes`);
        response.destroy();
      });
      response.on("end", () => {
        if (response.statusCode !== 200) return fail(`answered with status ${response.statusCode}`);
        resolve(ok(Buffer.concat(parts)));
      });
    });
    request.on("error", (error: NodeJS.ErrnoException) =>
      fail(ends.aborted ? "did not answer in time" : `cannot be asked: ${error.code ?? error.message}`),
    );
    request.end(question);
  });
}
