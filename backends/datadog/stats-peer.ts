/** Tags of the peer that a span talks to, as stats tell peers apart. */
import { isIPv6 } from 'node:net'
import { concepts, type KeyTable, peerTags } from './traces-keys.ts'
import type { SpanFacts } from './traces-names.ts'
import { CLIENT, CONSUMER, PRODUCER } from './traces-span.ts'

const baseService = '_dd.base_service'

/** Addresses that say nothing of anybody: of the machine itself, and where clouds tell machines about themselves. */
const harmless = new Set(['127.0.0.1', '::1', '169.254.169.254', 'fd00:ec2::254', '169.254.170.2'])

/** Which tags are asked for: Datadog's and `more`, each by its number in `table`. */
export class PeerTags {
  readonly #keys: readonly { readonly name: string; readonly number: readonly [number] }[]

  constructor(more: readonly string[], table: KeyTable) {
    this.#keys = [...new Set([...peerTags, ...more])]
      .toSorted((a, b) => (a < b ? -1 : 1))
      .map(name => ({ name, number: [table.names.indexOf(name)] }))
  }

  /** The tags of the span that was read, `key:value`, by key. */
  of(facts: SpanFacts): readonly string[] {
    const { kind } = facts.span
    if (kind !== CLIENT && kind !== PRODUCER && kind !== CONSUMER) {
      // A service of its own inside of another: its work is told apart.
      return kind <= 1 && facts.look(concepts.baseService) ? [`${baseService}:${withoutAddresses(facts.found)}`] : []
    }
    const tags: string[] = []
    for (const { name, number } of this.#keys) {
      if (facts.look(number)) tags.push(`${name}:${withoutAddresses(facts.found)}`)
    }
    return tags
  }
}

const address =
  /^(?<scheme>[a-z]+:\/\/)?(?<ip>ip-)?\d{1,3}(?<separator>[.\-_])\d{1,3}\k<separator>\d{1,3}\k<separator>\d{1,3}(?<rest>$|[:.].*$)/

/** Addresses of machines come and go: each would be a peer of its own. */
export function withoutAddresses(value: string): string {
  // Most names have nothing of an address in them.
  if (!/\d[.\-_:]\d|:/.test(value)) return value
  const parts = value.split(',').map(part => blocked(part.trim()))
  return [...new Set(parts)].join(',')
}

function blocked(part: string): string {
  if (harmless.has(part)) return part
  const bare = part.replace(/^\[(.*)\](?::\d+)?$/, '$1')
  if (isIPv6(bare)) return harmless.has(bare) ? part : `blocked-ip-address${/\]:\d+$/.exec(part)?.[0].slice(1) ?? ''}`
  const found = address.exec(part)
  if (found?.groups === undefined) return part
  const { scheme = '', rest } = found.groups
  const isHarmless = harmless.has(part.slice(scheme.length, part.length - rest.length))
  return isHarmless ? part : `${scheme}blocked-ip-address${/^:\d+/.exec(rest)?.[0] ?? ''}`
}
