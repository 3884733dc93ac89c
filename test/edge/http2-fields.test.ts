import t from "tap";
import { answerFields } from "../../src/edge/http2-fields.ts";

t.test("an answer's list that is known again is written anew for each status and length", async (t) => {
  const fields = Object.freeze(["Content-Type", "text/html", "ETag", "a", "etag", "b"]);
  const head = ["content-type", "text/html", "etag", "a"];
  t.same(answerFields(200, fields, 5), [":status", "200", ...head, "content-length", "5"]);
  t.same(answerFields(200, fields, 6), [":status", "200", ...head, "content-length", "6"]);
  answerFields(200, fields, null).push("date", "now");
  t.same(answerFields(200, fields, null), [":status", "200", ...head], "what Node adds is not kept");
  t.same(answerFields(304, fields, null), [":status", "304", ...head]);
  t.same(answerFields(200, ["Content-Length", "7"], 9), [":status", "200", "content-length", "7"]);
});
