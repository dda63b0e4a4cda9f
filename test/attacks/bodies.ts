/** Bodies that cost more than they weigh: of each signal, in protobuf and in JSON, a few bytes repeated. */
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { compressFramed, compressSnappy } from '../../net/snappy.ts'
import type { Signal } from '../../proto/signals.ts'

/** A varint. */
export function varint(n: number): Buffer {
  const bytes: number[] = []
  let left = n
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128)
  return Buffer.from([...bytes, left])
}

type Content = Uint8Array | string | readonly number[]
const bytesOf = (content: Content): Buffer =>
  typeof content === 'string' ? Buffer.from(content) : Buffer.from(content)

/** A field of bytes. */
export const field = (number: number, content: Content): Buffer => {
  const bytes = bytesOf(content)
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes])
}

/** `unit` until there are so many bytes. */
export function repeated(unit: Content, bytes: number): Buffer {
  const one = bytesOf(unit)
  return Buffer.alloc(bytes - (bytes % one.length), one)
}

/** An attribute with a text. */
export const attribute = (key: Content, value: Content): Buffer =>
  Buffer.concat([field(1, key), field(2, field(1, value))])

/** The fields of an item that have attributes. */
const attributesOf = { traces: 9, logs: 6, metrics: 7 } as const

/** A request with `inside` in its only scope group. */
export const inScope = (inside: Uint8Array): Buffer => field(1, field(2, inside))

/** A request with one item that has these attributes; of metrics, one point. */
export function itemWith(signal: Signal, attributes: readonly Buffer[]): Buffer {
  const own = Buffer.concat(attributes.map(one => field(attributesOf[signal], one)))
  if (signal !== 'metrics') return inScope(field(2, own))
  return inScope(field(2, Buffer.concat([field(1, 'm'), field(5, field(1, own))])))
}

/** Bytes of a body, most of them. */
const large = 60_000_000

/** A kind of body in both forms. */
export interface Shape {
  readonly what: string
  protobuf(signal: Signal, bytes?: number): Buffer
  /** Where it can be said in JSON. */
  json?(signal: Signal, bytes?: number): Buffer
}

const jsonNames = {
  traces: ['resourceSpans', 'scopeSpans', 'spans'],
  metrics: ['resourceMetrics', 'scopeMetrics', 'metrics'],
  logs: ['resourceLogs', 'scopeLogs', 'logRecords'],
} as const

/** JSON of `before`, `unit` separated by commas, and `after`. */
function jsonList(before: string, unit: string, after: string, bytes: number): Buffer {
  const room = bytes - before.length - after.length - unit.length
  return Buffer.concat([Buffer.from(before), repeated(`${unit},`, room), Buffer.from(unit + after)])
}

/** JSON with units at a depth: 0 groups, 1 scopes, 2 items, 3 points of a metric. */
export function jsonAt(depth: number, signal: Signal, unit: string, bytes: number): Buffer {
  const names = jsonNames[signal].slice(0, depth + 1)
  let before = names.map(name => `{"${name}":[`).join('')
  let after = names.map(() => ']}').join('')
  if (depth === 3) {
    before += '{"name":"m","gauge":{"dataPoints":['
    after = `]}}${after}`
  }
  return jsonList(before, unit, after, bytes)
}

const emptyAt = (depth: number, content: Uint8Array): Buffer => {
  let inside = content
  for (let i = 0; i < depth; i++) inside = field(i === depth - 1 ? 1 : 2, inside)
  return Buffer.from(inside)
}

/** A request in which one singular field stands twice, deep inside, with a large rest that is as it should be. */
function twice(signal: Signal, bytes: number): Buffer {
  const ordinary =
    signal === 'metrics' ? Buffer.concat([field(1, 'm'), field(5, field(1, ''))]) : field(signal === 'logs' ? 6 : 9, '')
  const doubled = field(1, Buffer.concat([field(1, ''), field(1, field(1, attribute('a', 'b')))]))
  return Buffer.concat([doubled, inScope(repeated(field(2, ordinary), bytes))])
}

/** All kinds. */
export const shapes: readonly Shape[] = [
  {
    what: 'empty groups',
    protobuf: (_, bytes = large) => repeated([0x0a, 0], bytes),
    json: (signal, bytes = large) => jsonAt(0, signal, '{}', bytes),
  },
  {
    what: 'empty scopes',
    protobuf: (_, bytes = large) => emptyAt(1, repeated([0x12, 0], bytes)),
    json: (signal, bytes = large) => jsonAt(1, signal, '{}', bytes),
  },
  {
    what: 'empty items',
    protobuf: (_, bytes = large) => emptyAt(2, repeated([0x12, 0], bytes)),
    json: (signal, bytes = large) => jsonAt(2, signal, '{}', bytes),
  },
  {
    what: 'groups of one empty item',
    protobuf: (_, bytes = large) => repeated(field(1, field(2, field(2, ''))), bytes),
    json: (signal, bytes = large) =>
      jsonAt(0, signal, `{"${jsonNames[signal][1]}":[{"${jsonNames[signal][2]}":[{}]}]}`, bytes),
  },
  {
    what: 'scopes of one empty item',
    protobuf: (_, bytes = large) => field(1, repeated(field(2, field(2, '')), bytes)),
    json: (signal, bytes = large) => jsonAt(1, signal, `{"${jsonNames[signal][2]}":[{}]}`, bytes),
  },
  {
    what: 'groups with an attribute and an item',
    protobuf: (_, bytes = large) =>
      repeated(field(1, Buffer.concat([field(1, field(1, attribute('a', 'b'))), field(2, field(2, ''))])), bytes),
  },
  {
    what: 'attributes of a resource',
    protobuf: (_, bytes = large) =>
      field(1, Buffer.concat([field(1, repeated(field(1, ''), bytes)), field(2, field(2, ''))])),
  },
  {
    what: 'a singular field that stands again and again',
    protobuf: (_, bytes = large) => field(1, Buffer.concat([repeated([0x0a, 0], bytes), field(2, field(2, ''))])),
    json: (signal, bytes = large) =>
      jsonList('{"resourceLogs":[{'.replace('resourceLogs', jsonNames[signal][0]), '"resource":{}', '}]}', bytes),
  },
  {
    what: 'a singular field that stands twice beside many items',
    protobuf: (signal, bytes = large) => twice(signal, bytes),
  },
  {
    what: 'items with a singular field twice',
    protobuf: (signal, bytes = large) =>
      inScope(
        repeated(field(2, signal === 'metrics' ? [0x2a, 0, 0x2a, 0] : [0x2a, 0, 0x2a, 0, 0x7a, 0, 0x7a, 0]), bytes),
      ),
  },
  {
    what: 'pieces of a scope',
    protobuf: (_, bytes = large) =>
      field(1, field(2, Buffer.concat([repeated(field(1, field(1, 'a')), bytes), field(2, '')]))),
  },
  {
    what: 'fields that nobody knows',
    protobuf: (_, bytes = large) => Buffer.concat([inScope(field(2, '')), repeated([0xf8, 0x07, 1], bytes)]),
    json: (signal, bytes = large) => jsonList('{"a":[', '{"b":1}', `],"${jsonNames[signal][0]}":[]}`, bytes),
  },
  {
    what: 'varints of ten bytes',
    protobuf: (_, bytes = large) =>
      inScope(field(2, repeated([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], bytes))),
    json: (signal, bytes = large) => jsonAt(2, signal, '{"timeUnixNano":"18446744073709551615"}', bytes),
  },
]

/** Shapes of metrics alone: points of a metric. */
export const pointShapes: readonly Shape[] = [
  {
    what: 'empty points',
    protobuf: (_, bytes = large) => inScope(field(2, field(5, repeated([0x0a, 0], bytes)))),
    json: (signal, bytes = large) => jsonAt(3, signal, '{}', bytes),
  },
  {
    what: 'metrics of one empty point',
    protobuf: (_, bytes = large) => inScope(repeated(field(2, field(5, field(1, ''))), bytes)),
    json: (signal, bytes = large) => jsonAt(2, signal, '{"gauge":{"dataPoints":[{}]}}', bytes),
  },
  {
    what: 'metrics in which a member of the oneof stands again and again',
    protobuf: (_, bytes = large) => inScope(field(2, repeated([0x2a, 0, 0x3a, 0], bytes))),
  },
]

/** Compressions by the name that both protocols have for them. */
export const compressors = {
  gzip: (body: Buffer) => gzipSync(body),
  deflate: (body: Buffer) => deflateSync(body),
  zstd: (body: Buffer) => zstdCompressSync(body),
  snappy: compressSnappy,
  'x-snappy-framed': compressFramed,
} satisfies Record<string, (body: Buffer) => Buffer>

/** Name of a compression. */
export type Encoding = keyof typeof compressors
