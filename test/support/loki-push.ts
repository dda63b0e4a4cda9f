/**
 * Loki's push request as protobufjs reads it, from message definitions written out here (push.proto of Loki, with the
 * names that it has on the wire), and what Loki makes of OTLP, told plainly and slowly from its documentation.
 */
import protobuf from 'protobufjs'
import type { FlatItem, Plain } from './otlp.ts'

const definitions = `
syntax = "proto3";
message PushRequest { repeated Stream streams = 1; string format = 2; }
message Stream { string labels = 1; repeated Entry entries = 2; uint64 hash = 3; }
message Entry { Timestamp timestamp = 1; string line = 2; repeated LabelPair structuredMetadata = 3; }
message LabelPair { string name = 1; string value = 2; }
message Timestamp { int64 seconds = 1; int32 nanos = 2; }
`
const root = protobuf.parse(definitions, { keepCase: true }).root

/** One line as Loki has it. */
export interface Line {
  readonly time: bigint
  readonly line: string
  /** Names and values, in order. */
  readonly metadata: readonly (readonly [string, string])[]
}

/** Lines by the labels of their stream, as JSON with sorted names. */
export type Streams = Readonly<Record<string, readonly Line[]>>

interface Decoded {
  readonly streams?: readonly {
    readonly labels?: string
    readonly entries?: readonly {
      readonly timestamp?: { readonly seconds?: string; readonly nanos?: number }
      readonly line?: string
      readonly structuredMetadata?: readonly { readonly name?: string; readonly value?: string }[]
    }[]
  }[]
}

const keyOf = (labels: Readonly<Record<string, string>>): string =>
  JSON.stringify(Object.fromEntries(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))))

/** The labels of `{a="b", c="d"}`; throws where that is not how it is written. */
export function parseLabels(text: string): Record<string, string> {
  if (!text.startsWith('{') || !text.endsWith('}')) throw new Error(`no labels: ${text}`)
  const labels: Record<string, string> = {}
  let rest = text.slice(1, -1)
  for (let first = true; rest !== ''; first = false) {
    const found = (first ? /^([a-zA-Z_]\w*)=("(?:[^"\\\n]|\\.)*")/ : /^, ([a-zA-Z_]\w*)=("(?:[^"\\\n]|\\.)*")/).exec(
      rest,
    )
    if (found === null) throw new Error(`no label: ${rest}`)
    labels[found[1]] = JSON.parse(found[2].replaceAll(/\\x/g, '\\u00')) as string
    rest = rest.slice(found[0].length)
  }
  return labels
}

/** A push request in protobuf. */
export function readPush(body: Uint8Array): Streams {
  const type = root.lookupType('PushRequest')
  const decoded = type.toObject(type.decode(body), { longs: String }) as Decoded
  const streams: Record<string, Line[]> = {}
  for (const { labels = '', entries = [] } of decoded.streams ?? []) {
    const key = keyOf(parseLabels(labels))
    if (streams[key] !== undefined) throw new Error(`${labels} stands twice`)
    streams[key] = entries.map(({ timestamp, line = '', structuredMetadata = [] }) => ({
      time: BigInt(timestamp?.seconds ?? 0) * 1_000_000_000n + BigInt(timestamp?.nanos ?? 0),
      line,
      metadata: structuredMetadata.map(({ name = '', value = '' }) => [name, value] as const),
    }))
  }
  return streams
}

interface JsonPush {
  readonly streams: readonly {
    readonly stream: Readonly<Record<string, string>>
    readonly values: readonly (readonly [time: string, line: string, metadata?: Readonly<Record<string, string>>])[]
  }[]
}

/** A push request in JSON. Of names that stand twice JSON.parse keeps the last. */
export function readPushJson(body: Buffer): Streams {
  const { streams } = JSON.parse(body.toString()) as JsonPush
  return Object.fromEntries(
    streams.map(({ stream, values }) => [
      keyOf(stream),
      values.map(([time, line, metadata = {}]) => ({ time: BigInt(time), line, metadata: Object.entries(metadata) })),
    ]),
  )
}

/** Of names that stand twice only the last, at the place of the first. */
export const lastOfEach = (streams: Streams): Streams =>
  Object.fromEntries(
    Object.entries(streams).map(([key, lines]) => [
      key,
      lines.map(line => ({ ...line, metadata: Object.entries(Object.fromEntries(line.metadata)) })),
    ]),
  )

/** How records become lines. */
export interface Choices {
  readonly resourceAttributes: readonly string[]
  readonly attributes?: readonly string[]
  readonly severity?: boolean
  readonly fixed?: Readonly<Record<string, string>>
  /** The time of what has none. */
  readonly now: bigint
}

/** What Loki is to get of these records. */
export function expectedStreams(items: readonly FlatItem[], choices: Choices): Streams {
  const streams: Record<string, Line[]> = {}
  for (const one of items) {
    const [labels, line] = expected(one, choices)
    const key = keyOf(labels)
    const lines = (streams[key] ??= [])
    lines.push(line)
  }
  return Object.fromEntries(
    Object.entries(streams).map(([key, lines]) => [
      key,
      lines.toSorted((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)),
    ]),
  )
}

type Pair = [name: string, value: string]

const nameOf = (key: string): string => {
  const reserved = /^__(.*)__$/s.exec(key)
  let name = (reserved?.[1] ?? key).replaceAll(/[^a-zA-Z0-9]+/g, '_')
  if (reserved) name = `__${name}__`
  if (/^_*$/.test(name)) return 'key_'
  return /^\d/.test(name) ? `key_${name}` : name
}

type KeyValue = { readonly key?: string; readonly value?: Plain }

const attributesOf = (holder: unknown): KeyValue[] =>
  (holder as { attributes?: KeyValue[] } | undefined)?.attributes ?? []

const memberOf = (value: Plain | undefined): [kind: string, content: unknown] =>
  Object.entries(value ?? {}).find(([kind]) => kind !== 'string_value_strindex') ?? ['', '']

/** A single value of a message as text; nothing where it is not set. */
const word = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''

/** A value as text. */
function textOf(value: Plain | undefined, inside = false): string {
  const [kind, content] = memberOf(value)
  switch (kind) {
    case 'array_value': {
      const values = ((content as { values?: Plain[] }).values ?? []).map(one => textOf(one, true))
      return `[${values.join(',')}]`
    }
    case 'kvlist_value': {
      const members = new Map<string, string>()
      for (const { key = '', value: inner } of (content as { values?: KeyValue[] }).values ?? []) {
        if (!members.has(key)) members.set(key, textOf(inner, true))
      }
      const sorted = [...members].toSorted(([a], [b]) => (a < b ? -1 : 1))
      return `{${sorted.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(',')}}`
    }
    case 'string_value':
      return inside ? JSON.stringify(content) : word(content)
    case 'bytes_value': {
      const text = Buffer.from(word(content).slice(2), 'hex').toString('base64')
      return inside ? JSON.stringify(text) : text
    }
    case 'double_value': {
      const text = Object.is(content, -0) ? '-0' : word(content)
      return inside && !Number.isFinite(content) ? JSON.stringify(text) : text
    }
    case '':
      return inside ? 'null' : ''
    default:
      return word(content)
  }
}

function flattened(name: string, value: Plain | undefined): Pair[] {
  const [kind, content] = memberOf(value)
  if (kind !== 'kvlist_value') return [[name, textOf(value)]]
  return ((content as { values?: KeyValue[] }).values ?? []).flatMap(({ key = '', value: inner }) =>
    flattened(nameOf(`${name}_${key}`), inner),
  )
}

const pairsOf = (attributes: readonly KeyValue[]): Pair[] =>
  attributes.flatMap(({ key = '', value }) => flattened(nameOf(key), value))

const serviceNames =
  'service app application app_name name app_kubernetes_io_name container container_name k8s_container_name component workload job k8s_job_name'.split(
    ' ',
  )

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']

function expected({ resource, scope, item }: FlatItem, choices: Choices): [Record<string, string>, Line] {
  const names = [...choices.resourceAttributes, 'service.name']
  const isLabel = ({ key = '' }: KeyValue) => names.includes(key)
  const found = pairsOf(attributesOf(resource).filter(isLabel)).filter(([, value]) => value !== '')
  const labels: Record<string, string> = Object.fromEntries(found)
  labels['service_name'] ??= found.find(([name]) => serviceNames.includes(name))?.[1] ?? 'unknown_service'
  Object.assign(labels, choices.fixed)
  const own: KeyValue[] = []
  // Of a key that is given twice the first decides, as wherever an attribute is asked for by its name.
  const chosen = new Map<string, boolean>()
  for (const attribute of attributesOf(item)) {
    const { key = '', value } = attribute
    const [kind] = memberOf(value)
    const wanted = choices.attributes?.includes(key) === true
    const text = ['kvlist_value', 'array_value', ''].includes(kind) ? '' : textOf(value)
    if (wanted && !chosen.has(key)) {
      chosen.set(key, text !== '')
      if (text !== '') labels[nameOf(key)] = text
    }
    if (chosen.get(key) !== true) own.push(attribute)
  }
  if (choices.severity === true) {
    const number = Number(item['severity_number'] ?? 0)
    const level = number > 0 && number < 25 ? levels[Math.floor((number - 1) / 4)] : undefined
    if (level !== undefined) labels['level'] = level
  }
  return [labels, lineOf(resource, scope, item, own, isLabel, choices.now)]
}

function lineOf(
  resource: unknown,
  scope: unknown,
  item: Plain,
  own: readonly KeyValue[],
  isLabel: (attribute: KeyValue) => boolean,
  now: bigint,
): Line {
  const time = BigInt(word(item['time_unix_nano']))
  const observed = BigInt(word(item['observed_time_unix_nano']))
  const event = word(item['event_name'])
  const fields: [string, string | number | bigint][] = [
    ['observed_timestamp', time === 0n ? 0n : observed],
    ['severity_number', Number(item['severity_number'] ?? 0)],
    ['severity_text', word(item['severity_text'])],
    ['dropped_attributes_count', Number(item['dropped_attributes_count'] ?? 0)],
    ['flags', Number(item['flags'] ?? 0)],
    ['trace_id', hexOf(item['trace_id'])],
    ['span_id', hexOf(item['span_id'])],
    ['event_name', event],
  ]
  const of = (holder: unknown, name: string) => (holder as Plain | undefined)?.[name]
  const scopeFields: [string, unknown][] = [
    ['scope_name', of(scope, 'name') ?? ''],
    ['scope_version', of(scope, 'version') ?? ''],
    ['scope_dropped_attributes_count', of(scope, 'dropped_attributes_count') ?? 0],
  ]
  const set = (pairs: readonly (readonly [string, unknown])[]): Pair[] =>
    pairs
      .filter(([, value]) => value !== '' && value !== 0 && value !== 0n)
      .map(([name, value]) => [name, word(value) || String(value as bigint)])
  return {
    time: time || observed || now,
    line: textOf(item['body'] as Plain | undefined),
    metadata: [
      ...pairsOf(own.filter(({ key }) => key !== 'event_name' || event === '')),
      ...set(fields),
      ...pairsOf(attributesOf(resource).filter(attribute => !isLabel(attribute))),
      ...pairsOf(attributesOf(scope)),
      ...set(scopeFields),
    ],
  }
}

/** An id in hex; nothing where all of it is 0. */
function hexOf(bytes: unknown): string {
  const hex = word(bytes).replace(/^0x/, '')
  return /^0*$/.test(hex) ? '' : hex
}
