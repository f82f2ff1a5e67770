import { type FormEvent, useEffect, useRef, useState } from "react";
import { changeKey } from "../state/session";
import { getKey } from "../wire/key";

/** The page without a key, or with a wrong one. */
export function KeyForm({ detail }: { detail: string }) {
  const [key, setKey] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const had = getKey() !== "";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim()) changeKey(key);
  };
  return (
    <main className="gate" data-state="refused">
      <form className="card" onSubmit={submit}>
        <h1>{had ? "This key was refused" : "An access key, please"}</h1>
        <p>
          {had
            ? "The server does not know the access key of this tab. It may be mistyped, or have changed."
            : "Headwater shows readings only to those who hold its access key."}{" "}
          <code>make up</code> prints the full address, with the key in it.
        </p>
        <label htmlFor="key">Access key</label>
        <div className="row">
          <input
            ref={field}
            id="key"
            name="key"
            type="password"
            autoComplete="current-password"
            spellCheck={false}
            value={key}
            onChange={(event) => setKey(event.target.value)}
            aria-describedby="key-detail"
          />
          <button type="submit" className="button primary" disabled={!key.trim()}>
            Open
          </button>
        </div>
        <p id="key-detail" className="fine">
          {had && detail
            ? `The server said: ${detail}`
            : "The key stays in this tab and is gone when you close it."}
        </p>
      </form>
    </main>
  );
}
