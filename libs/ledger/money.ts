/** Money is in whole nano-units of the book's currency: 1 is 10⁻⁹ of it. There is no other form of it than `bigint`, and no way here from a double. */
export const NANO = 1_000_000_000n;
/** Decimals of one unit. */
const PLACES = 9;

const DECIMAL = /^(0|[1-9]\d{0,17})(?:\.(\d{1,9}))?$/;

/** The amount that a decimal text such as `0.001` says, exactly; undefined for anything else, negative or finer than a nano-unit. */
export function nanoOf(text: string): bigint | undefined {
  const [, whole, fraction = ''] = DECIMAL.exec(text) ?? [];
  return whole === undefined ? undefined : BigInt(whole) * NANO + BigInt(fraction.padEnd(PLACES, '0'));
}

/** As decimal text, with at least `decimals` places and no more than are needed beyond. */
export function amountText(nano: bigint, decimals = 0): string {
  const size = nano < 0n ? -nano : nano;
  const all = (size % NANO).toString().padStart(PLACES, '0');
  const fraction = all.slice(0, decimals) + all.slice(decimals).replace(/0+$/, '');
  return `${nano < 0n ? '-' : ''}${size / NANO}${fraction === '' ? '' : `.${fraction}`}`;
}

/** `numerator / denominator` to the nearest whole number, a half to the even one; the denominator is > 0. */
export function halfEven(numerator: bigint, denominator: bigint): bigint {
  let quotient = numerator / denominator;
  let rest = numerator % denominator;
  if (rest === 0n) return quotient;
  if (rest < 0n) { quotient -= 1n; rest += denominator; }
  const twice = rest * 2n;
  return twice > denominator || (twice === denominator && (quotient & 1n) === 1n) ? quotient + 1n : quotient;
}

/** To `decimals` places (0 to 9), half to even. */
export function rounded(nano: bigint, decimals: number): bigint {
  const unit = 10n ** BigInt(PLACES - decimals);
  return halfEven(nano, unit) * unit;
}
