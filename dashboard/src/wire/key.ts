const SLOT = "headwater.key";

/**
 * The access key of this tab. It comes once in the address, as Jupyter does it, and leaves it at once, so that it
 * stays out of bookmarks, screenshots and the history.
 */
export function takeKeyFromAddress(): void {
  const address = new URL(window.location.href);
  const key = address.searchParams.get("key");
  if (key === null) return;
  address.searchParams.delete("key");
  window.history.replaceState(window.history.state, "", address);
  setKey(key);
}

export function getKey(): string {
  return sessionStorage.getItem(SLOT) ?? "";
}

export function setKey(key: string): void {
  if (key) sessionStorage.setItem(SLOT, key);
  else sessionStorage.removeItem(SLOT);
}
