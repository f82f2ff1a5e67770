import type { AnchorHTMLAttributes, MouseEvent } from "react";
import { navigate } from "../state/router";

type Props = AnchorHTMLAttributes<HTMLAnchorElement> & { to: string };

/** An anchor that stays on the page; with a modifier key it is an anchor like any other. */
export function Link({ to, onClick, ...rest }: Props) {
  const go = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (
      event.defaultPrevented ||
      event.button ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    event.preventDefault();
    navigate(to);
  };
  return <a href={to} onClick={go} {...rest} />;
}
