/** The time range on screen, and the button to choose another. */

import type { JSX } from "preact";

import { view } from "../model/address";
import { rangeName } from "../model/format";
import { endsOf, isZoomed, PRESETS } from "../model/ranges";
import { RangeSheet } from "../views/lazy";
import { Menu } from "./Menu";

function rangeTitle(range: string, zone: string): string {
  const ends = endsOf(range);
  if (!ends) {
    return (PRESETS[range] ?? PRESETS["7d"]!).title;
  }
  const [from, to] = ends;
  return isZoomed(range) ? rangeName(from, to, zone) : rangeName(from, `${to}T23:59:59Z`, "UTC");
}

export function RangePicker(): JSX.Element {
  const { range, zone } = view.value;
  return (
    <Menu name="Time range" text={rangeTitle(range, zone)} icon="calendar" side="right" class="range" opener="open-range">
      {(close) => <RangeSheet close={close} />}
    </Menu>
  );
}
