/** The choices of the time range: named ranges, days from a calendar, and the time zone. */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { change, HOME_ZONE, view } from "../model/address";
import { PRESETS } from "../model/ranges";
import { data } from "../model/state";
import { Choices } from "./Choices";

const OPTIONS = Object.entries(PRESETS).map(([name, { title, key }]) => ({ name, title, key }));

/** Return the first and last day of the range on screen, as a calendar gives them. */
function shownDays(zone: string): [string, string] {
  const range = data.value?.trend.meta.range;
  const day = (time: number): string => new Intl.DateTimeFormat("en-CA", { timeZone: zone }).format(time);
  return range ? [day(Date.parse(range.from)), day(Date.parse(range.to) - 1)] : [day(Date.now()), day(Date.now())];
}

function Days({ onChoose }: { onChoose: (range: string) => void }): JSX.Element {
  const { zone } = view.value;
  const [[first, last], setDays] = useState(() => shownDays(zone));
  const submit = (event: Event): void => {
    event.preventDefault();
    onChoose(first <= last ? `${first}..${last}` : `${last}..${first}`);
  };
  return (
    <form class="days" onSubmit={submit}>
      <label>
        From
        <input type="date" required value={first} onInput={(event) => setDays([event.currentTarget.value, last])} />
      </label>
      <label>
        To
        <input type="date" required value={last} onInput={(event) => setDays([first, event.currentTarget.value])} />
      </label>
      <button type="submit" class="button main">
        Apply
      </button>
    </form>
  );
}

function Zones(): JSX.Element {
  const { zone } = view.value;
  const all = [...new Set([HOME_ZONE, "UTC", zone, ...Intl.supportedValuesOf("timeZone")])];
  return (
    <label class="zones">
      Time zone
      <select value={zone} onChange={(event) => change({ zone: event.currentTarget.value })}>
        {all.map((name) => (
          <option key={name} value={name}>
            {name.replaceAll("_", " ")}
          </option>
        ))}
      </select>
    </label>
  );
}

export function RangeSheet({ close }: { close: () => void }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.querySelector<HTMLElement>("[aria-pressed=true], input")?.focus(), []);
  const choose = (name: string): void => {
    change({ range: name, granularity: "AUTO" });
    close();
  };
  return (
    <div ref={box}>
      <Choices options={OPTIONS} chosen={view.value.range} onChoose={choose} />
      <Days key={data.value?.trend.meta.range.from} onChoose={choose} />
      <Zones />
    </div>
  );
}
