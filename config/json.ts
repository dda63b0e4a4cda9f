/** Values of a configuration as JSON. */

/** Not among the types of this TypeScript: a piece of JSON as it is to be written. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): object }

/** The JSON of a value, in which whole numbers of 64 bits have all their digits. `indent`: spaces of each level. */
export function jsonOf(value: unknown, indent?: number): string {
  // Undefined has no JSON, and is what a missing value is called.
  return JSON.stringify(value, (_key, inner: unknown) => exact(inner), indent) ?? 'undefined'
}

function exact(value: unknown): unknown {
  if (typeof value === 'bigint') return rawJSON(String(value))
  // With all its digits a double would be read as a whole number.
  const isLarge = typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)
  return isLarge ? rawJSON(value.toExponential()) : value
}
