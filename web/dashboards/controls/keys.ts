/** Keys rest while a person types; the first one that does not fetches the script of the shortcuts. */

import { withParts } from "../views/lazy";

const TYPING = "input, select, textarea, dialog, [role=dialog], .scroll";

export function keepShortcuts(): () => void {
  const press = (event: KeyboardEvent): void => {
    const isTyping = event.target instanceof Element && event.target.closest(TYPING) !== null;
    if (!isTyping && !event.ctrlKey && !event.metaKey && !event.altKey && !event.defaultPrevented) {
      withParts((parts) => parts.press(event));
    }
  };
  addEventListener("keydown", press);
  return () => removeEventListener("keydown", press);
}
