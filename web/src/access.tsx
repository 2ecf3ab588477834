import { type FormEvent, useState } from "react";
import type { Access } from "./fetcher";
import { isKey, storeKey } from "./session";

/** Shown while the gateway has no key from us, or refused the one it has. */
export function AccessBar({ access }: { access: Exclude<Access, "accepted"> }) {
  const [wrong, setWrong] = useState(false);

  const use = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault(); // the policy's form-action 'none' would refuse it anyway
    const key = String(new FormData(event.currentTarget).get("key")).trim();
    setWrong(!isKey(key));
    if (!isKey(key)) return;
    storeKey(key);
    location.reload();
  };

  return (
    <form className="sluicegate-access" onSubmit={use} role="alert">
      <span>
        {access === "missing" ? "This gateway wants an API key." : "The gateway refused this API key."} Make one where it
        runs with <code>sluicegate keys create</code>, then open the link that it prints, or paste the key:
      </span>
      <input
        name="key"
        type="password"
        placeholder="sg_…"
        aria-label="API key"
        aria-invalid={wrong}
        autoComplete="off"
        spellCheck={false}
        required
      />
      <button type="submit">Use key</button>
      {wrong && <strong>That is no API key.</strong>}
    </form>
  );
}
