interface Props {
  text: string;
  title?: string;
  isOn: boolean;
  onChange: (isOn: boolean) => void;
}

export function Switch({ text, title, isOn, onChange }: Props) {
  return (
    <label class="switch" title={title}>
      <input type="checkbox" role="switch" checked={isOn} onChange={(event) => onChange(event.currentTarget.checked)} />
      <span>{text}</span>
    </label>
  );
}
