import type { LookupAddress } from "node:dns";
import t from "tap";
import { createLookup, lookupsMax } from "../../src/alert/lookup.ts";

type Heard = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

t.test("a resolver that hangs holds two threads and no more, whatever is asked", async (t) => {
  const asked: { readonly host: string; readonly heard: Heard }[] = [];
  const lookup = createLookup((host, _options, heard) => asked.push({ host, heard }));
  const answers: string[] = [];
  const ask = (host: string, all = false) =>
    new Promise<void>((resolve) => {
      lookup(host, { all }, (error, address, family) => {
        const found = typeof address === "string" ? `${address} ${family}` : JSON.stringify(address);
        answers.push(`${host} ${error === null ? found : error.code}`);
        resolve();
      });
    });
  t.equal(lookupsMax, 2);
  const waiting = [ask("a.example"), ask("a.example", true), ask("b.example")];
  await ask("c.example");
  t.same(answers, ["c.example EAI_AGAIN"]);
  t.same(
    asked.map(({ host }) => host),
    ["a.example", "b.example"],
  );
  asked[0]?.heard(null, [{ address: "192.0.2.1", family: 4 }]);
  asked[1]?.heard(Object.assign(new Error(""), { code: "ENOTFOUND" }), []);
  await Promise.all(waiting);
  t.same(answers.slice(1), [
    "a.example 192.0.2.1 4",
    'a.example [{"address":"192.0.2.1","family":4}]',
    "b.example ENOTFOUND",
  ]);
  const again = ask("c.example");
  asked[2]?.heard(null, []);
  await again;
  t.equal(answers.at(-1), "c.example ENOTFOUND", "a name without an address is none");
});
