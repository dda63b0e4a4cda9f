/** What is mutated: valid requests of all signals in many writings, and some that are broken inside an item. */
import * as fc from 'fast-check'
import { protobufToJson } from '../../proto/json-write.ts'
import { allSignals, type Signal, signals } from '../../proto/signals.ts'
import { brokenItems, healthyItem, requestOfItems } from '../support/broken.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { encode, Random, randomMessage, requests } from '../support/otlp.ts'

/** One request before it is mutated. */
export interface Seed {
  readonly signal: Signal
  readonly body: Buffer
}

const most = 6000

/** Requests as protobuf: from the generators of the property tests, broken items, and such as senders write. */
export function protobufCorpus(): Seed[] {
  const random = fc.sample(requests(), { numRuns: 500, seed: 7 }).filter(({ body }) => body.length < most)
  const broken = allSignals.flatMap(signal =>
    brokenItems(signal).map(({ bytes }) => ({
      signal,
      body: requestOfItems('shop', [healthyItem(signal, 'a'), bytes, healthyItem(signal, 'b')]),
    })),
  )
  return [
    ...random.map(({ signal, body }) => ({ signal, body })),
    ...broken,
    ...allSignals.map(usual),
    { signal: 'traces', body: tracesRequest([{ namespace: 'kube-system', spans: ['a'] }, { spans: names('s', 20) }]) },
    // Large enough for the memory that is used again.
    { signal: 'traces', body: tracesRequest([{ namespace: 'shop', spans: names('n', 5000) }]) },
    { signal: 'logs', body: Buffer.alloc(0) },
  ]
}

const attributes = (...keys: string[]) => keys.map((key, i) => ({ key, value: { string_value: `v${i % 3}` } }))

/** What a sender writes: two resources with attributes that processors look for. */
function usual(signal: Signal): Seed {
  const { request, resourceGroup, scopeGroup } = signals[signal]
  const item = {
    traces: { trace_id: Buffer.alloc(16, 7), span_id: Buffer.alloc(8, 3), name: 'get', trace_state: 'ot=th:8' },
    logs: { body: { string_value: 'card 4111111111111111' }, severity_number: 9 },
    metrics: { name: 'm', gauge: { data_points: [{ as_int: '3', attributes: attributes('host.name', 'token') }] } },
  }[signal]
  const items = ['host.name', 'password'].map(key =>
    signal === 'metrics' ? item : { ...item, attributes: attributes(key, 'a', 'http.route') },
  )
  const list = { traces: 'spans', logs: 'log_records', metrics: 'metrics' }[signal]
  const group = (namespace: string) => ({
    resource: { attributes: attributes('service.name', 'host.name', 'k8s.namespace.name').with(2, text(namespace)) },
    [scopeGroup.replace(/\B[A-Z]/g, c => `_${c}`).toLowerCase()]: [
      { scope: { name: 'lib', version: '1' }, [list]: items },
    ],
  })
  const top = resourceGroup.replace(/\B[A-Z]/g, c => `_${c}`).toLowerCase()
  return { signal, body: encode(request, { [top]: [group('shop'), group('kube-system')] }) }
}

const text = (namespace: string) => ({ key: 'k8s.namespace.name', value: { string_value: namespace } })

/** Requests as JSON: as Kymo writes them, with white space, with names in snake_case, with escapes only. */
export function jsonCorpus(): Seed[] {
  const texts: Seed[] = []
  const random = new Random(11)
  while (texts.length < 400) {
    const signal = random.pick(allSignals)
    const { request } = signals[signal]
    const plain = texts.length % 20 === 0 ? undefined : randomMessage(random, request, 9)
    const body = plain === undefined ? usual(signal).body : encode(request, plain)
    // Ids of any length are written, but not read.
    const compact = protobufToJson(request, body)
      .toString()
      .replace(/"(traceId|spanId|parentSpanId)":"([^"]*)"/g, (_, name: string, id: string) => {
        const length = id === '' || random.chance(4) ? 0 : name === 'traceId' ? 32 : 16
        return `"${name}":"${id.padEnd(32, 'a').slice(0, length)}"`
      })
    if (compact.length < most) texts.push({ signal, body: Buffer.from(rewritten(random, compact)) })
  }
  return texts
}

function rewritten(random: Random, compact: string): string {
  switch (random.next(5)) {
    case 0:
      return JSON.stringify(JSON.parse(compact), null, 2)
    case 1:
      return compact.replace(/"([a-z]+[A-Z]\w*)":/g, (_, key: string) => {
        return `"${key.replace(/[A-Z]/g, c => `_${c.toLowerCase()}`)}":`
      })
    case 2:
      return compact.replace(/"stringValue":"([a-z. -]*)"/g, (_, value: string) => {
        const escapes = Array.from(value, c => `\\u00${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
        return `"stringValue":"${escapes.join('')}"`
      })
    default:
      return compact
  }
}
