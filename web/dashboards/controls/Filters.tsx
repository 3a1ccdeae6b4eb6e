/** The filters of the view as chips, and the form that adds one. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { change, view } from "../model/address";
import { type Chip, CHOICES, fieldTitle, isSame, type Operator, OPERATORS, opposite, propertyField } from "../model/filters";
import { groupName } from "../model/format";
import { propertyKeys } from "../model/lists";
import { catalogue } from "../model/state";
import { Icon } from "./Icon";
import { Menu } from "./Menu";

export function addFilter(chip: Chip): void {
  const { filters } = view.value;
  if (!filters.some((present) => isSame(present, chip))) {
    change({ filters: [...filters, chip] });
  }
}

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

function FilterForm({ close }: { close: () => void }): JSX.Element {
  const keys = propertyKeys(catalogue.value?.eventTypes ?? []);
  const fields = ["name", "userId", "sessionId", ...keys.map(propertyField)];
  const [chip, setChip] = useState<Chip>({ field: fields[0]!, operator: "is", value: "" });
  const { needsValue } = OPERATORS[chip.operator];
  const names = chip.field === "name" ? (catalogue.value?.eventTypes ?? []).map(({ name }) => name) : [];
  const submit = (event: Event): void => {
    event.preventDefault();
    addFilter(needsValue ? chip : { ...chip, value: "" });
    close();
  };
  return (
    <form class="filter-form" onSubmit={submit}>
      <label>
        Field
        <select autofocus value={chip.field} onChange={(event) => setChip({ ...chip, field: event.currentTarget.value })}>
          {fields.map((field) => (
            <option key={field} value={field}>
              {fieldTitle(field)}
            </option>
          ))}
        </select>
      </label>
      <label>
        Test
        <select value={chip.operator} onChange={(event) => setChip({ ...chip, operator: event.currentTarget.value as Operator })}>
          {CHOICES.map((name) => (
            <option key={name} value={name}>
              {OPERATORS[name].words}
            </option>
          ))}
        </select>
      </label>
      {needsValue && (
        <label>
          Value
          <input
            required
            maxLength={1000}
            list="filter-values"
            autocomplete="off"
            value={chip.value}
            onInput={(event) => setChip({ ...chip, value: event.currentTarget.value })}
          />
        </label>
      )}
      <datalist id="filter-values">
        {names.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <button type="submit" class="button main">
        Add filter
      </button>
    </form>
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
