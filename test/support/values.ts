/** Values of both sides in one form, so that they can be compared: bytes as `0x...`, maps with the first of each key. */
import type { Value } from '../../proto/values.ts'
import type { Plain } from './otlp.ts'

/** What `readValue` gave. */
export function comparable(value: Value): unknown {
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return value.map(comparable)
  if (value instanceof Map) return new Map([...value].map(([key, inner]) => [key, comparable(inner)]))
  return value
}

/** What the oracle reads of an AnyValue. */
export function expectedValue(plain: unknown): unknown {
  const value = (plain ?? {}) as Plain
  const list = (name: string): Plain[] => ((value[name] as Plain | undefined)?.['values'] as Plain[] | undefined) ?? []
  if ('int_value' in value) {
    const n = BigInt(value['int_value'] as string)
    return n <= 2n ** 53n - 1n && n >= -(2n ** 53n - 1n) ? Number(n) : n
  }
  if ('array_value' in value) return list('array_value').map(expectedValue)
  if ('kvlist_value' in value) {
    const map = new Map<string, unknown>()
    for (const { key, value: inner } of list('kvlist_value')) {
      if (!map.has((key as string | undefined) ?? '')) map.set((key as string | undefined) ?? '', expectedValue(inner))
    }
    return map
  }
  for (const name of ['string_value', 'bool_value', 'double_value', 'bytes_value'])
    if (name in value) return value[name]
  return null
}

/** The first attribute of that name in the oracle's list. */
export function attributeOf(list: unknown, key: string): Plain | undefined {
  return ((list ?? []) as Plain[]).find(attribute => (attribute['key'] ?? '') === key)
}
