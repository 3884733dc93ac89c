import fc from "fast-check";
import t from "tap";
import { filledFields, isFileNamed, namedPart, readNamedFile } from "../../src/upstream/named-file.ts";

const sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
const good = `/web/filestore/prod/da/${sha1}`;
const redirect = (value: string) => ["X-Accel-Redirect", value];

t.test("the files that Odoo 16 to 19 names are read, whatever the database is called", async (t) => {
  for (const database of ["prod", "a", "my-db", "my.db", "My_DB.2026-12", "a..b", "7", "x".repeat(63)]) {
    const read = readNamedFile(redirect(`/web/filestore/${database}/da/${sha1}`), null);
    t.same(read, { ok: true, value: { database, path: `${database}/da/${sha1}` } });
  }
  // Of a database that began with OpenERP 7.
  const old = readNamedFile(redirect(`/web/filestore/prod/da3/${sha1}`), null);
  t.match(old, { ok: true, value: { path: `prod/da3/${sha1}` } });
  const both = ["x-sendfile", `/var/lib/odoo/filestore/prod/da/${sha1}`, "x-accel-redirect", good];
  t.ok(readNamedFile(both, "prod").ok);
});

t.test("everything else has no meaning", async (t) => {
  for (const value of [
    "",
    "/",
    sha1,
    `/var/lib/odoo/filestore/prod/da/${sha1}`,
    `web/filestore/prod/da/${sha1}`,
    `//web/filestore/prod/da/${sha1}`,
    `/web/filestore//da/${sha1}`,
    `/web/filestore/../da/${sha1}`,
    `/web/filestore/./da/${sha1}`,
    `/web/filestore/.prod/da/${sha1}`,
    `/web/filestore/prod/../da/${sha1}`,
    `/web/filestore/prod/../../da/${sha1}`,
    `/web/filestore/prod/checklist/da/${sha1}`,
    `/web/filestore/prod/da/../da/${sha1}`,
    `/web/filestore/prod/db/${sha1}`,
    `/web/filestore/prod/d/${sha1}`,
    `/web/filestore/prod/da39/${sha1}`,
    `/web/filestore/prod/DA/${sha1.toUpperCase()}`,
    `/web/filestore/prod/da/${sha1}0`,
    `/web/filestore/prod/da/${sha1.slice(1)}`,
    `/web/filestore/prod/da/${sha1}/`,
    `/web/filestore/prod/da/${sha1}?x`,
    `/web/filestore/prod/da/${sha1}\n`,
    `/web/filestore/prod/da/${sha1}\0`,
    `/web/filestore/pr\0od/da/${sha1}`,
    `/web/filestore/pr%2fod/da/${sha1}`,
    `/web/filestore/%2e%2e/da/${sha1}`,
    `/web/filestore/my%20db/da/${sha1}`,
    `/web/filestore/my db/da/${sha1}`,
    `/web/filestore/pr\\od/da/${sha1}`,
    `/web/filestore/prod\\da\\${sha1}`,
    `/web/filestore/pr\u00f6d/da/${sha1}`,
    `/web/filestore/-prod/da/${sha1}`,
    `/web/filestore/${"x".repeat(64)}/da/${sha1}`,
    `/web/static/prod/da/${sha1}`,
    `${good}, ${good}`,
  ])
    t.match(
      readNamedFile(redirect(value), null),
      { ok: false, error: /nothing else is sent/ },
      JSON.stringify(value),
    );
  t.match(readNamedFile([...redirect(good), ...redirect(good)], null), { ok: false, error: /twice/ });
  t.match(readNamedFile(["X-Sendfile", `/srv/prod/da/${sha1}`], null), {
    ok: false,
    error: /without X-Accel/,
  });
  t.match(readNamedFile([...redirect(good), "X-Sendfile", "/etc/passwd"], null), {
    ok: false,
    error: /two files/,
  });
  t.match(readNamedFile([...redirect(good), "X-Sendfile", `/srv/other/da/${sha1}`], null), { ok: false });
  t.match(readNamedFile(redirect(good), "staging"), { ok: false, error: /"prod" is named, .* "staging"/ });
});

t.test("no text whatever names anything outside, or what is hidden", async () => {
  const piece = fc.constantFrom(
    "/web/filestore/",
    "..",
    "/",
    ".",
    "%2e",
    "\\",
    "prod",
    "da",
    sha1,
    "\0",
    "checklist",
    " ",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece).map((all) => all.join("")),
      ),
      (value) => {
        const read = readNamedFile(redirect(value), null);
        if (!read.ok) return;
        const parts = read.value.path.split("/");
        if (parts.length !== 3 || parts.some((one) => one.startsWith(".") || /[^\w.-]/.test(one)))
          throw new Error(read.value.path);
      },
    ),
    { numRuns: 2_000 },
  );
});

t.test("a file is named by an answer without a body alone", async (t) => {
  const fields = ["Content-Length", "0", ...redirect(good)];
  for (const status of [200, 206]) t.ok(isFileNamed(status, fields));
  for (const status of [201, 204, 301, 304, 403, 404, 500])
    t.notOk(isFileNamed(status, fields), String(status));
  t.notOk(isFileNamed(200, ["Content-Length", "5", ...redirect(good)]));
  t.notOk(isFileNamed(200, redirect(good)));
  t.notOk(isFileNamed(200, ["Content-Length", "0"]));
});

t.test("the part is what Odoo says, of a file as long as Odoo says", async (t) => {
  const part = (value: string, bytes = 100) => namedPart(206, ["Content-Range", value], bytes);
  t.same(namedPart(200, [], 100), { first: 0, last: 99 });
  t.same(namedPart(200, [], 0), { first: 0, last: -1 });
  t.same(part("bytes 0-99/100"), { first: 0, last: 99 });
  t.same(part("bytes 7-7/100"), { first: 7, last: 7 });
  for (const value of [
    "bytes 0-100/100",
    "bytes 9-8/100",
    "bytes 100-100/100",
    "bytes 0-9/101",
    "bytes 0-9/*",
    "bytes */100",
    "bytes -5/100",
    "pages 0-9/100",
    "bytes 0-9/100, bytes 20-29/100",
    "",
  ])
    t.type(part(value), "string", value);
  t.type(namedPart(206, [], 100), "string");
  t.type(namedPart(206, ["Content-Range", "bytes 0-9/100", "content-range", "bytes 0-9/100"], 100), "string");
  t.type(namedPart(200, ["Content-Range", "bytes 0-9/100"], 100), "string");
});

t.test("what named the file is not in its answer", async (t) => {
  const fields = ["ETag", '"x"', "x-SENDFILE", "/x", "content-length", "0", ...redirect(good), "Date", "now"];
  t.same(filledFields(fields, 12), ["ETag", '"x"', "Date", "now", "Content-Length", "12"]);
});
