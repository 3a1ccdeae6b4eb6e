/** The choices of the comparison and of the interval. */

import type { JSX } from "preact";

import { change, view } from "../model/address";
import { COMPARISONS, INTERVALS, intervalsFor } from "../model/ranges";
import { data } from "../model/state";
import { Choices } from "./Choices";

const COMPARE_OPTIONS = Object.entries(COMPARISONS).map(([name, { title }]) => ({ name, title }));

export function CompareSheet({ close }: { close: () => void }): JSX.Element {
  const choose = (compare: string): void => {
    change({ compare });
    close();
  };
  return <Choices options={COMPARE_OPTIONS} chosen={view.value.compare} onChoose={choose} />;
}

export function IntervalSheet({ close }: { close: () => void }): JSX.Element {
  const names = intervalsFor(data.value?.trend.meta.range ?? null);
  const options = [{ name: "AUTO", title: "Automatic" }, ...names.map((name) => ({ name, title: INTERVALS[name]!.title }))];
  const choose = (granularity: string): void => {
    change({ granularity });
    close();
  };
  return <Choices options={options} chosen={view.value.granularity} onChoose={choose} />;
}
