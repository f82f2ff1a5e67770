interface Props {
  name: string;
  value: string;
  /** Value and text of each choice, in order. */
  options: [value: string, text: string][];
  /** What stands for no choice; it is the first. Without it there always is one, and the name is shown before it. */
  none?: string;
  choose(value: string): void;
}

/** A choice of one among some; it stands out once something is chosen. */
export function Select({ name, value, options, none, choose }: Props) {
  // What an address asks for may be of a past that is gone: it is shown all the same.
  const lost = value && !options.some(([one]) => one === value);
  return (
    <span className="select" data-on={none !== undefined && value !== ""}>
      {none === undefined && <span aria-hidden="true">{name}</span>}
      <select aria-label={name} value={value} onChange={(event) => choose(event.target.value)}>
        {none !== undefined && <option value="">{none}</option>}
        {lost && <option value={value}>{value}</option>}
        {options.map(([one, text]) => (
          <option key={one} value={one}>
            {text}
          </option>
        ))}
      </select>
    </span>
  );
}
