/** A list of choices in the panel of a menu. */

import type { JSX } from "preact";

import { Icon } from "./Icon";

export function Choices({
  options,
  chosen,
  onChoose,
}: {
  options: readonly { name: string; title: string; key?: string | undefined }[];
  chosen: string;
  onChoose: (name: string) => void;
}): JSX.Element {
  return (
    <ul class="choices">
      {options.map(({ name, title, key }) => (
        <li key={name}>
          <button type="button" aria-pressed={name === chosen} onClick={() => onChoose(name)}>
            <span class="tick">{name === chosen && <Icon name="check" />}</span>
            <span class="text">{title}</span>
            {key && <kbd>{key.toUpperCase()}</kbd>}
          </button>
        </li>
      ))}
    </ul>
  );
}
