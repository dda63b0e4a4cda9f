/** Values as Loki's OTLP endpoint writes them where text is wanted. */
import { readValue, valueText } from '../../proto/values.ts'

/** Escapes that the Collector adds to JSON for HTML, which Loki does not; a backslash by itself is passed over. */
const htmlEscapes = /\\(?:\\|u003c|u003e|u0026)/g

/** The AnyValue between `start` and `end` as text: lists and maps as JSON, bytes in base64. @throws WireError */
export function lokiText(bytes: Uint8Array, start: number, end: number): string {
  const value = readValue(bytes, start, end)
  const text = valueText(value)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || !text.includes('\\u00')) return text
  return text.replace(htmlEscapes, found =>
    found === '\\\\' ? found : String.fromCharCode(Number.parseInt(found.slice(2), 16)),
  )
}
