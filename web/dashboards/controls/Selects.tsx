/** The comparison and the interval of the chart. */

import type { JSX } from "preact";

import { view } from "../model/address";
import { COMPARISONS, INTERVALS } from "../model/ranges";
import { data } from "../model/state";
import { CompareSheet, IntervalSheet } from "../views/lazy";
import { Menu } from "./Menu";

export function ComparePicker(): JSX.Element {
  const { compare } = view.value;
  return (
    <Menu name="Comparison" text={COMPARISONS[compare]?.title ?? compare} side="right" class="compare">
      {(close) => <CompareSheet close={close} />}
    </Menu>
  );
}

export function IntervalPicker(): JSX.Element {
  const { granularity } = view.value;
  const range = data.value?.trend.meta.range;
  const name = granularity === "AUTO" && range ? range.granularity : granularity;
  return (
    <Menu name="Interval" text={INTERVALS[name]?.title ?? "Interval"} side="right" class="interval">
      {(close) => <IntervalSheet close={close} />}
    </Menu>
  );
}
