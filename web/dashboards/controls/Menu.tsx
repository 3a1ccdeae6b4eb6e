/** A button that opens a panel below it. Escape and a click elsewhere close the panel. */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { Icon, type IconName } from "./Icon";

interface Properties {
  /** Name for people who don't see the button. */
  name: string;
  /** Text of the button; without one it shows its icon only. */
  text?: string;
  icon?: IconName;
  side?: "left" | "right";
  class?: string;
  /** Event of `window` that opens the panel, for keys. */
  opener?: string;
  children: (close: () => void) => ComponentChildren;
}

export function Menu({ name, text, icon, side = "left", class: kind = "", opener, children }: Properties): JSX.Element {
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = (): void => {
    setOpen(false);
    button.current?.focus();
  };
  useEffect(() => {
    const open = (): void => setOpen(true);
    if (opener) {
      addEventListener(opener, open);
    }
    return () => opener && removeEventListener(opener, open);
  }, [opener]);
  useEffect(() => {
    if (!isOpen) {
      return undefined;
    }
    const leave = (event: Event): void => {
      if (!box.current?.contains(event.target as Node)) {
        setOpen(false);
      }
    };
    addEventListener("pointerdown", leave);
    return () => removeEventListener("pointerdown", leave);
  }, [isOpen]);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Escape" && isOpen) {
      event.stopPropagation();
      close();
    }
  };
  return (
    <div class={`menu ${kind}`} ref={box} onKeyDown={onKeyDown}>
      <button
        type="button"
        class={text === undefined ? "button bare" : "button"}
        ref={button}
        aria-label={text === undefined ? name : `${name}: ${text}`}
        title={text === undefined ? name : undefined}
        aria-expanded={isOpen}
        aria-haspopup="dialog"
        onClick={() => setOpen(!isOpen)}
      >
        {icon && <Icon name={icon} />}
        {text !== undefined && <span class="text">{text}</span>}
        {text !== undefined && <Icon name="chevron" />}
      </button>
      {isOpen && (
        <div class={`sheet ${side}`} role="dialog" aria-label={name}>
          {children(close)}
        </div>
      )}
    </div>
  );
}
