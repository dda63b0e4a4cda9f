/**
 * Items that are broken somewhere inside: their bytes are framed, so that a receiver takes them, and no decoder reads
 * them. Each is put together from valid parts by hand.
 */
import type { Signal } from '../../proto/signals.ts'
import { decode, encode } from './otlp-proto.ts'

const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)])
const field = (number: number, body: Uint8Array) =>
  Buffer.concat([Buffer.from([...varint((number << 3) | 2), ...varint(body.length)]), body])

/** Bytes that end inside a field: a length of 100 with one byte behind it. */
const cutOff = Buffer.from([0x0a, 100, 65])
const notUtf8 = (number: number) => field(number, Buffer.from([0xff, 0xfe, 65]))
/** Field 1 as a group that never ends. */
const group = Buffer.from([0x0b])
const longVarint = Buffer.from([0x30, ...Buffer.alloc(11, 0x80), 1])

/** An attribute whose value is `value`, at field `number` of an item. */
const attribute = (number: number, value: Buffer) =>
  field(number, Buffer.concat([field(1, Buffer.from('k')), field(2, value)]))
/** `leaf` inside so many maps. */
const nested = (depth: number, leaf: Buffer): Buffer =>
  depth === 0
    ? leaf
    : field(6, field(1, Buffer.concat([field(1, Buffer.from('k')), field(2, nested(depth - 1, leaf))])))

/** Breaks what holds attributes at field `number`. */
const brokenAttributes = (number: number): [string, Buffer][] => [
  ['in an attribute', field(number, cutOff)],
  ['in the key of an attribute', field(number, notUtf8(1))],
  ['in the value of an attribute', attribute(number, cutOff)],
  ['in the text of an attribute', attribute(number, notUtf8(1))],
  ['in a list', attribute(number, field(5, cutOff))],
  ['in a map', attribute(number, field(6, cutOff))],
  ['ten maps deep', attribute(number, nested(10, cutOff))],
  ['thirty maps deep', attribute(number, nested(30, notUtf8(1)))],
]

const spans: [string, Buffer][] = [
  ['at its end', cutOff],
  ['with a group', group],
  ['in its name', notUtf8(5)],
  ['in a number', longVarint],
  ...brokenAttributes(9),
  ['in an event', field(11, cutOff)],
  ['in the name of an event', field(11, notUtf8(2))],
  ...brokenAttributes(3).map(([where, bytes]): [string, Buffer] => [`${where} of an event`, field(11, bytes)]),
  ['in a link', field(13, cutOff)],
  ['in an attribute of a link', field(13, attribute(4, cutOff))],
  ['in the status', field(15, cutOff)],
  ['in the text of the status', field(15, notUtf8(2))],
]
const records: [string, Buffer][] = [
  ['at its end', cutOff],
  ['with a group', group],
  ['in the text of its severity', notUtf8(3)],
  ['in its body', field(5, cutOff)],
  ['in the text of its body', field(5, notUtf8(1))],
  ['deep in its body', field(5, nested(20, cutOff))],
  ...brokenAttributes(6),
]
/** Inside a data point of a gauge: the receiver looks no deeper than the point. */
const metrics: [string, Buffer][] = [
  ['in a point', cutOff],
  ['with a group in a point', group],
  ...brokenAttributes(7),
  ['in an exemplar', field(5, cutOff)],
  ['in an attribute of an exemplar', field(5, attribute(7, nested(3, cutOff)))],
].map(([where, bytes]) => [String(where), field(5, field(1, bytes as Buffer))])

const items = { traces: spans, metrics, logs: records }
const message = { traces: 'Span', metrics: 'Metric', logs: 'LogRecord' } as const

/** Broken items of `signal` by where they are broken. */
export function brokenItems(signal: Signal): { where: string; bytes: Buffer }[] {
  return items[signal].map(([where, bytes]) => ({ where, bytes }))
}

/** Whether a decoder reads the item. */
export function decodes(signal: Signal, item: Buffer): boolean {
  try {
    decode(message[signal], item)
    return true
  } catch {
    return false
  }
}

/** A healthy item that carries a name: a span, a gauge of one point, a log record. */
export function healthyItem(signal: Signal, name: string): Buffer {
  const attributes = [{ key: 'name', value: { string_value: name } }]
  if (signal === 'traces') return encode('Span', { name, attributes })
  if (signal === 'logs') return encode('LogRecord', { body: { string_value: name }, attributes })
  return encode('Metric', { name, gauge: { data_points: [{ as_int: '1', attributes }] } })
}

/** A request of these items, with a resource of its own. */
export function requestOfItems(service: string, encoded: readonly Buffer[]): Buffer {
  const resource = encode('Resource', { attributes: [{ key: 'service.name', value: { string_value: service } }] })
  const scope = Buffer.concat(encoded.map(one => field(2, one)))
  return field(1, Buffer.concat([field(1, resource), field(2, scope)]))
}
