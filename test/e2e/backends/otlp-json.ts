/** OTLP/JSON as backends answer with it, read with protobufjs, and items without what nobody said. */
import { encode, type Item, itemsOf } from '../../support/otlp-proto.ts'

const snake = (name: string) => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)

/** Names as in the .proto, ids and bytes as bytes. */
function named(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(named)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (typeof inner === 'string' && /^(?:trace|span|parentSpan)Id$/.test(key)) {
        return [snake(key), Buffer.from(inner, 'hex')]
      }
      if (typeof inner === 'string' && key === 'bytesValue') return [snake(key), Buffer.from(inner, 'base64')]
      return [snake(key), named(inner)]
    }),
  )
}

/** The spans of groups of resources. */
export const spansOfJson = (groups: readonly unknown[]): Item[] =>
  itemsOf('traces', encode('traces', { resource_spans: named(groups) }))

/** Items without values that are the default, as if they had not been said. */
export const said = (items: readonly Item[]): Item[] => JSON.parse(JSON.stringify(items), withoutDefaults) as Item[]

function withoutDefaults(this: unknown, key: string, value: unknown): unknown {
  if (key.endsWith('_value')) return value
  if (value === '' || value === 0 || value === '0' || value === '0x' || value === false) return undefined
  if (Array.isArray(value) && value.length === 0 && key !== 'values') return undefined
  if (['value', 'status', 'scope', 'body'].includes(key) && isEmpty(value)) return undefined
  return value
}

const isEmpty = (value: unknown) =>
  typeof value === 'object' && value !== null && Object.values(value).every(one => one === undefined)
