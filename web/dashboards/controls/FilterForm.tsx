/** The form that adds a filter. */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { addFilter } from "../model/address";
import { type Chip, CHOICES, fieldTitle, type Operator, OPERATORS, propertyField } from "../model/filters";
import { propertyKeys } from "../model/lists";
import { catalogue } from "../model/state";

export function FilterForm({ close }: { close: () => void }): JSX.Element {
  const keys = propertyKeys(catalogue.value?.eventTypes ?? []);
  const fields = ["name", "userId", "sessionId", ...keys.map(propertyField)];
  const [chip, setChip] = useState<Chip>({ field: fields[0]!, operator: "is", value: "" });
  const first = useRef<HTMLSelectElement>(null);
  useEffect(() => first.current?.focus(), []);
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
        <select ref={first} value={chip.field} onChange={(event) => setChip({ ...chip, field: event.currentTarget.value })}>
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
