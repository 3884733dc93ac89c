import t from "tap";
import { once } from "../../src/base/once.ts";

t.test("what is done once is not done again, nor when it calls itself", (t) => {
  const seen: number[] = [];
  const act: (value: number) => void = once((value) => {
    seen.push(value);
    act(value + 1);
  });
  act(1);
  act(2);
  t.same(seen, [1]);
  t.end();
});
