/** The filters of the view as chips, and the button to add one. */

import type { JSX } from "preact";

import { change, view } from "../model/address";
import { type Chip, fieldTitle, isSame, OPERATORS, opposite } from "../model/filters";
import { groupName } from "../model/format";
import { FilterForm } from "../views/lazy";
import { Icon } from "./Icon";
import { Menu } from "./Menu";

function FilterChip({ chip }: { chip: Chip }): JSX.Element {
  const { words, needsValue } = OPERATORS[chip.operator];
  const rest = view.value.filters.filter((present) => !isSame(present, chip));
  const title = fieldTitle(chip.field);
  const value = needsValue ? groupName(chip.value, title) : "";
  const turn = (): void =>
    change({ filters: view.value.filters.map((present) => (isSame(present, chip) ? opposite(chip) : present)) });
  return (
    <li class="chip">
      <button type="button" class="turn" onClick={turn} title={`${title} ${words} ${value}. Turn it around.`}>
        <span class="field">{title}</span> {words} {needsValue && <b>{value}</b>}
      </button>
      <button type="button" class="remove" aria-label={`Remove the filter ${title} ${words} ${value}`} onClick={() => change({ filters: rest })}>
        <Icon name="close" />
      </button>
    </li>
  );
}

export function Filters(): JSX.Element {
  const { filters } = view.value;
  return (
    <div class="filters">
      <Menu name="Add a filter" text="Filter" icon="filter" class="add" opener="open-filter">
        {(close) => <FilterForm close={close} />}
      </Menu>
      {filters.length > 0 && (
        <ul class="chips" aria-label="Filters">
          {filters.map((chip) => (
            <FilterChip key={`${chip.operator}${chip.field}${chip.value}`} chip={chip} />
          ))}
        </ul>
      )}
      {filters.length > 1 && (
        <button type="button" class="button bare clear" onClick={() => change({ filters: [] })}>
          Clear all
        </button>
      )}
    </div>
  );
}
