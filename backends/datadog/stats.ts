/**
 * APM stats between the connector that makes them and the exporter that sends them: protobuf in an attribute of a metric,
 * as in the Collector, and MessagePack on the way to Datadog.
 */
import { MsgpackWriter } from './msgpack-write.ts'
import { encodeField, encodeKeyValue, readVarint64, signed } from '../../proto/values.ts'
import { Cursor, LENGTH, VARINT } from '../../proto/wire.ts'

/** Name of the metric and of its point's bytes attribute with which the connector hands APM stats on. */
export const statsMetric = 'dd.internal.stats.payload'

/** Stands for the host of who sends it: the connector does not know it. */
export const unsetHostname = '__unset__'

type Kind = 'text' | 'bytes' | 'boolean' | 'unsigned' | 'signed' | 'texts' | 'messages'

interface Field {
  readonly number: number
  readonly key: Buffer
  readonly kind: Kind
  readonly of: readonly Field[]
}

const field = (number: number, key: string, kind: Kind, of: readonly Field[] = []): Field => ({
  number,
  key: Buffer.from(key),
  kind,
  of,
})

/** The messages with their field numbers in protobuf and their keys in MessagePack. */
const group: readonly Field[] = [
  field(1, 'Service', 'text'),
  field(2, 'Name', 'text'),
  field(3, 'Resource', 'text'),
  field(4, 'HTTPStatusCode', 'unsigned'),
  field(5, 'Type', 'text'),
  field(6, 'DBType', 'text'),
  field(7, 'Hits', 'unsigned'),
  field(8, 'Errors', 'unsigned'),
  field(9, 'Duration', 'unsigned'),
  field(10, 'OkSummary', 'bytes'),
  field(11, 'ErrorSummary', 'bytes'),
  field(12, 'Synthetics', 'boolean'),
  field(13, 'TopLevelHits', 'unsigned'),
  field(15, 'SpanKind', 'text'),
  field(16, 'PeerTags', 'texts'),
  field(17, 'IsTraceRoot', 'signed'),
  field(18, 'GRPCStatusCode', 'text'),
  field(19, 'HTTPMethod', 'text'),
  field(20, 'HTTPEndpoint', 'text'),
  field(21, 'srv_src', 'text'),
  field(22, 'SpanDerivedPrimaryTags', 'texts'),
  field(23, 'AdditionalMetricTags', 'texts'),
]
const bucket: readonly Field[] = [
  field(1, 'Start', 'unsigned'),
  field(2, 'Duration', 'unsigned'),
  field(3, 'Stats', 'messages', group),
  field(4, 'AgentTimeShift', 'signed'),
]
const client: readonly Field[] = [
  field(1, 'Hostname', 'text'),
  field(2, 'Env', 'text'),
  field(3, 'Version', 'text'),
  field(4, 'Stats', 'messages', bucket),
  field(5, 'Lang', 'text'),
  field(6, 'TracerVersion', 'text'),
  field(7, 'RuntimeID', 'text'),
  field(8, 'Sequence', 'unsigned'),
  field(9, 'AgentAggregation', 'text'),
  field(10, 'Service', 'text'),
  field(11, 'ContainerID', 'text'),
  field(12, 'Tags', 'texts'),
  field(13, 'GitCommitSha', 'text'),
  field(14, 'ImageTag', 'text'),
  field(15, 'ProcessTagsHash', 'unsigned'),
  field(16, 'ProcessTags', 'text'),
]
const payload: readonly Field[] = [
  field(1, 'AgentHostname', 'text'),
  field(2, 'AgentEnv', 'text'),
  field(3, 'Stats', 'messages', client),
  field(4, 'AgentVersion', 'text'),
  field(5, 'ClientComputed', 'boolean'),
  field(6, 'SplitPayload', 'boolean'),
]

/** By field number: the contents that stand in a message, in order. */
type Contents = Map<number, Uint8Array[]>

/** Takes a message apart. @throws WireError */
function contentsOf(bytes: Uint8Array, fields: readonly Field[]): Contents {
  const contents: Contents = new Map()
  const cursor = new Cursor(bytes)
  while (cursor.at < bytes.length) {
    const tag = cursor.tag()
    const declared = fields.find(({ number }) => number === tag >>> 3)
    if (declared === undefined) {
      cursor.skip(tag)
      continue
    }
    cursor.expect(tag, isLengthDelimited(declared.kind) ? LENGTH : VARINT, `field ${declared.number} of APM stats`)
    let from = cursor.at
    if ((tag & 7) === LENGTH) {
      const length = cursor.length()
      from = cursor.at
      cursor.at = from + length
    } else cursor.skip(tag)
    const list = contents.get(declared.number)
    if (list === undefined) contents.set(declared.number, [bytes.subarray(from, cursor.at)])
    else list.push(bytes.subarray(from, cursor.at))
  }
  return contents
}

const isLengthDelimited = (kind: Kind): boolean => kind !== 'boolean' && kind !== 'unsigned' && kind !== 'signed'

/**
 * Body of a request to Datadog's intake for stats, before it is compressed: one payload of all these, which are the
 * contents of the attributes.
 * @param agent the sender: its host takes the place of what is not known, its environment comes first
 * @throws WireError where one of them cannot be read
 */
export function statsBody(
  payloads: readonly Uint8Array[],
  agent: { readonly hostname: string; readonly env: string; readonly version: string },
): Buffer {
  const all = payloads.map(bytes => contentsOf(bytes, payload))
  const env = agent.env === '' ? all.flatMap(contents => contents.get(2) ?? [])[0] : Buffer.from(agent.env)
  const merged: Contents = new Map([
    [1, [Buffer.from(agent.hostname)]],
    [2, [env ?? Buffer.from('none')]],
    [3, all.flatMap(contents => contents.get(3) ?? [])],
    [4, [Buffer.from(agent.version)]],
    [5, all.flatMap(contents => contents.get(5) ?? []).filter(isTrue)],
    [6, all.flatMap(contents => contents.get(6) ?? []).filter(isTrue)],
  ])
  const size = payloads.reduce((sum, { length }) => sum + length, 0)
  const out = new MsgpackWriter(size * 2 + 256, undefined)
  put(out, merged, payload, Buffer.from(agent.hostname))
  return out.done()
}

const isTrue = (bytes: Uint8Array): boolean => readVarint64(bytes, 0, bytes.length) !== 0

/** Appends a message. `hostname` takes the place of the one that is not known. */
function put(out: MsgpackWriter, contents: Contents, fields: readonly Field[], hostname: Buffer): void {
  out.map(fields.length)
  for (const declared of fields) {
    out.text(declared.key)
    putField(out, contents.get(declared.number) ?? [], declared, hostname)
  }
}

function putField(out: MsgpackWriter, list: readonly Uint8Array[], { kind, of }: Field, hostname: Buffer): void {
  const last = list.at(-1) ?? Buffer.alloc(0)
  switch (kind) {
    case 'text':
      out.text(Buffer.from(last).toString('latin1') === unsetHostname ? hostname : last)
      return
    case 'bytes':
      out.binary(last)
      return
    case 'boolean':
      out.boolean(last.length > 0 && isTrue(last))
      return
    case 'unsigned':
      out.integer(last.length === 0 ? 0 : readVarint64(last, 0, last.length))
      return
    case 'signed':
      out.integer(last.length === 0 ? 0 : signed(readVarint64(last, 0, last.length)))
      return
    case 'texts':
      out.list(list.length)
      for (const text of list) out.text(text)
      return
    case 'messages':
      out.list(list.length)
      for (const message of list) put(out, contentsOf(message, of), of, hostname)
  }
}

/** A metrics request that hands these payloads on, at `now` in milliseconds since the epoch. */
export function statsRequest(payloads: readonly Uint8Array[], now: number): Buffer {
  const name = Buffer.from(statsMetric)
  const time = Buffer.alloc(9)
  time[0] = 0x19
  time.writeBigUInt64LE(BigInt(Math.trunc(now)) * 1_000_000n, 1)
  const points = payloads.map(bytes =>
    encodeField(0x0a, Buffer.concat([encodeKeyValue(0x3a, name, encodeField(0x3a, bytes)), time])),
  )
  // A sum whose temporality is not told: it is none.
  const metric = Buffer.concat([encodeField(0x0a, name), encodeField(0x3a, Buffer.concat(points))])
  const scope = encodeField(0x0a, encodeField(0x0a, Buffer.from('kymo/connectors/datadog')))
  return encodeField(0x0a, encodeField(0x12, Buffer.concat([scope, encodeField(0x12, metric)])))
}
