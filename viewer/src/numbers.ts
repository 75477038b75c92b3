// Numbers as text: one rule of precision everywhere.

const SUPERSCRIPT = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** `value` with `digits` significant digits, zeros at the end left out. */
export function significant(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || Number.isNaN(value)) return 'none';
  if (value === Infinity) return '∞';
  if (value === -Infinity) return '−∞';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) {
    const exponent = Math.floor(Math.log10(size) + 1e-12);
    const mantissa = trimmed((value / 10 ** exponent).toPrecision(Math.max(1, digits - 1)));
    const power = String(Math.abs(exponent)).replace(/\d/g, (d) => SUPERSCRIPT[Number(d)]!);
    const times = `10${exponent < 0 ? '⁻' : ''}${power}`;
    return minus(mantissa === '1' ? times : `${mantissa} × ${times}`);
  }
  return minus(thousands(trimmed(value.toPrecision(digits))));
}

function trimmed(text: string): string {
  const plain = text.includes('e') ? String(Number(text)) : text;
  return plain.includes('.') ? plain.replace(/\.?0+$/, '') : plain;
}

function minus(text: string): string {
  return text.replace(/^-/, '−');
}

/** Commas between thousands of the whole part. */
export function thousands(text: string): string {
  const [whole, fraction] = text.split('.');
  const grouped = whole!.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** A share in percent. */
export function percent(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return 'none';
  return `${significant(100 * value, digits)} %`;
}

/** A value of a quantity, in its unit. */
export function valueText(key: string, value: number, digits = 4): string {
  return isShare(key) ? percent(value, digits) : significant(value, digits);
}

/** Whether a quantity is a share, shown in percent. */
export function isShare(key: string): boolean {
  return /accuracy$|error$|^relative_se$/.test(key);
}

/** The first letter large. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
