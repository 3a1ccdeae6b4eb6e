/** The comparison and the interval of the chart. */

import type { JSX } from "preact";

import { change, view } from "../model/address";
import { COMPARISONS, INTERVALS, intervalsFor } from "../model/ranges";
import { data } from "../model/state";
import { Choices, Menu } from "./Menu";

export function ComparePicker(): JSX.Element {
  const options = Object.entries(COMPARISONS).map(([name, { title }]) => ({ name, title }));
  const { compare } = view.value;
  return (
    <Menu name="Comparison" text={COMPARISONS[compare]?.title ?? compare} side="right" class="compare">
      {(close) => (
        <Choices
          options={options}
          chosen={compare}
          onChoose={(name) => {
            change({ compare: name });
            close();
          }}
        />
      )}
    </Menu>
  );
}

export function IntervalPicker(): JSX.Element {
  const { granularity } = view.value;
  const range = data.value?.trend.meta.range ?? null;
  const automatic = granularity === "AUTO" && range ? INTERVALS[range.granularity]?.title : undefined;
  const options = [
    { name: "AUTO", title: "Automatic" },
    ...intervalsFor(range).map((name) => ({ name, title: INTERVALS[name]!.title })),
  ];
  return (
    <Menu name="Interval" text={automatic ?? INTERVALS[granularity]?.title ?? "Interval"} side="right" class="interval">
      {(close) => (
        <Choices
          options={options}
          chosen={granularity}
          onChoose={(name) => {
            change({ granularity: name });
            close();
          }}
        />
      )}
    </Menu>
  );
}
