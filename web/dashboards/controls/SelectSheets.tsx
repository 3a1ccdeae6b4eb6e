/** The choices of the comparison and of the interval. */

import type { JSX } from "preact";

import { change, view } from "../model/address";
import { COMPARISONS, INTERVALS } from "../model/ranges";
import type { TimeRange } from "../model/results";
import { data } from "../model/state";
import { Choices } from "./Choices";

/** Length of the range before there is an answer: a week. */
const DEFAULT_SECONDS = 7 * 86_400;

const COMPARE_OPTIONS = Object.entries(COMPARISONS).map(([name, { title }]) => ({ name, title }));

/** Number of buckets beyond which an interval is not offered: a screen has no more points. */
const MOST_BUCKETS = 1000;

/** Return the intervals that suit a range. */
function intervalsFor(range: TimeRange | null): string[] {
  const seconds = range ? (Date.parse(range.to) - Date.parse(range.from)) / 1000 : DEFAULT_SECONDS;
  return Object.entries(INTERVALS)
    .filter(([, interval]) => seconds / interval.seconds <= MOST_BUCKETS && interval.seconds < seconds)
    .map(([name]) => name);
}

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
