import t from "tap";
import { Turns } from "../../src/cache/turns.ts";

/** Says who works, in order; each works until it is told to stop. */
function workshop(atOnce: number) {
  const turns = new Turns(atOnce);
  const atWork = new Map<string, () => void>();
  const began: string[] = [];
  return {
    turns,
    began,
    take: (name: string, order = turns.enter(3)) =>
      turns.take(order, (over) => {
        began.push(name);
        atWork.set(name, over);
      }),
    stop: (name: string) => atWork.get(name)?.(),
  };
}

t.test("the more urgent file's next piece goes first, then the file that was begun first", async (t) => {
  const { turns, began, take, stop } = workshop(1);
  const print = turns.enter(4);
  const sheet = turns.enter(3);
  const script = turns.enter(1);
  const other = turns.enter(3);
  take("print", print);
  t.same(began, ["print"], "alone it waits for nobody");
  take("other", other);
  take("sheet", sheet);
  take("script", script);
  stop("print");
  take("print again", print);
  stop("script");
  stop("sheet");
  stop("other");
  t.same(began, ["print", "script", "sheet", "other", "print again"]);
});

t.test("as many work as may, and a turn ends once however often it is ended", async (t) => {
  const { began, take, stop } = workshop(2);
  for (const name of ["a", "b", "c", "d", "e"]) take(name);
  t.same(began, ["a", "b"]);
  stop("a");
  stop("a");
  t.same(began, ["a", "b", "c"]);
  stop("c");
  stop("b");
  t.same(began, ["a", "b", "c", "d", "e"]);
});

t.test("on a machine with one processor there is a turn still", async (t) => {
  const { began, take } = workshop(0);
  take("a");
  t.same(began, ["a"]);
});
