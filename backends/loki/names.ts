/**
 * Names and label texts of Loki. Names are made of OpenTelemetry's as Loki's own OTLP endpoint makes them (Prometheus'
 * otlptranslator 1.0 with its defaults), so that data looks alike however it came.
 */

/** One label, or one entry of structured metadata. */
export interface Label {
  readonly name: string
  readonly value: string
}

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39

/** The name that `key` becomes. Loki refuses a whole request for a name without a letter or digit; here it becomes `key_`. */
export function lokiName(key: string): string {
  const reserved = key.length >= 4 && key.startsWith('__') && key.endsWith('__')
  const inner = reserved ? key.slice(2, -2) : key
  const clean = inner.replace(/[^a-zA-Z0-9]+/g, '_')
  const name = reserved ? `__${clean}__` : clean
  if (!/[^_]/.test(name)) return 'key_'
  return isDigit(name.charCodeAt(0)) ? `key_${name}` : name
}

/** Characters that a label's value cannot have as they are between quotes. */
// oxlint-disable-next-line no-control-regex -- they are what this is about
const unsafe = /["\\\u0000-\u001f\u007f]/g
const escapes: Readonly<Record<string, string>> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

const quoted = (value: string): string =>
  `"${value.replace(unsafe, one => escapes[one] ?? `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`

/** Labels as a stream is named by: sorted, `{a="b", c="d"}`. */
export function labelsText(labels: readonly Label[]): string {
  return `{${labels.map(({ name, value }) => `${name}=${quoted(value)}`).join(', ')}}`
}

/** The order in which labels stand, which is that of Loki. */
export const byName = (a: Label, b: Label): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
