/** Requests of remote write as protobufjs reads them, by the messages that the specifications of 1.0 and 2.0 publish. */
import protobuf from 'protobufjs'

// Doubles are declared as fixed64, which is the same on the wire: so that the bits of a NaN can be told.
const histogram = `
  enum ResetHint { UNKNOWN = 0; YES = 1; NO = 2; GAUGE = 3; }
  oneof count { uint64 count_int = 1; fixed64 count_float = 2; }
  fixed64 sum = 3;
  sint32 schema = 4;
  double zero_threshold = 5;
  oneof zero_count { uint64 zero_count_int = 6; fixed64 zero_count_float = 7; }
  repeated BucketSpan negative_spans = 8;
  repeated sint64 negative_deltas = 9;
  repeated double negative_counts = 10;
  repeated BucketSpan positive_spans = 11;
  repeated sint64 positive_deltas = 12;
  repeated double positive_counts = 13;
  ResetHint reset_hint = 14;
  int64 timestamp = 15;
  repeated double custom_values = 16;`
const span = 'message BucketSpan { sint32 offset = 1; uint32 length = 2; }'

const version1 = `syntax = "proto3";
message WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
message MetricMetadata {
  enum MetricType { UNKNOWN = 0; COUNTER = 1; GAUGE = 2; HISTOGRAM = 3; GAUGEHISTOGRAM = 4; SUMMARY = 5; INFO = 6; STATESET = 7; }
  MetricType type = 1; string metric_family_name = 2; string help = 4; string unit = 5;
}
message TimeSeries {
  repeated Label labels = 1; repeated Sample samples = 2; repeated Exemplar exemplars = 3; repeated Histogram histograms = 4;
}
message Label { string name = 1; string value = 2; }
message Sample { fixed64 value = 1; int64 timestamp = 2; }
message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
message Histogram { ${histogram} }
${span}`

const version2 = `syntax = "proto3";
message Request { repeated string symbols = 4; repeated TimeSeries timeseries = 5; }
message TimeSeries {
  repeated uint32 labels_refs = 1; repeated Sample samples = 2; repeated Histogram histograms = 3;
  repeated Exemplar exemplars = 4; Metadata metadata = 5;
}
message Exemplar { repeated uint32 labels_refs = 1; double value = 2; int64 timestamp = 3; }
message Sample { fixed64 value = 1; int64 timestamp = 2; int64 start_timestamp = 3; }
message Metadata {
  enum MetricType { UNSPECIFIED = 0; COUNTER = 1; GAUGE = 2; HISTOGRAM = 3; GAUGEHISTOGRAM = 4; SUMMARY = 5; INFO = 6; STATESET = 7; }
  MetricType type = 1; uint32 help_ref = 3; uint32 unit_ref = 4;
}
message Histogram { ${histogram}
  int64 start_timestamp = 17; }
${span}`

const request1 = protobuf.parse(version1, { keepCase: true }).root.lookupType('WriteRequest')
const request2 = protobuf.parse(version2, { keepCase: true }).root.lookupType('Request')

type Label = readonly [name: string, value: string]

/** A native histogram: its counts by bucket. */
export interface DecodedHistogram {
  readonly count: string
  /** Bits of the double, in hex. */
  readonly sum: string
  readonly schema: number
  readonly zeroThreshold: number
  readonly zeroCount: string
  readonly positive: Readonly<Record<number, number>>
  readonly negative: Readonly<Record<number, number>>
  readonly hint: number
  readonly time: number
  readonly startTime: number
  readonly bounds: readonly number[]
}

/** A series, whichever version it came in. */
export interface DecodedSeries {
  readonly labels: readonly Label[]
  /** Bits of the value in hex, time, start time. */
  readonly samples: readonly (readonly [value: string, time: number, startTime: number])[]
  readonly histograms: readonly DecodedHistogram[]
  readonly exemplars: readonly { labels: readonly Label[]; value: number; time: number }[]
  /** Only in 2.0. */
  readonly metadata: { type: number; help: string; unit: string } | undefined
}

/** One request. */
export interface DecodedRequest {
  readonly series: readonly DecodedSeries[]
  /** Only in 1.0. */
  readonly metadata: readonly { type: number; name: string; help: string; unit: string }[]
  /** Only in 2.0. */
  readonly symbols: readonly string[]
}

interface Raw {
  [key: string]: unknown
}

const text = (value: unknown, missing = ''): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : missing
const bits = (value: unknown): string => BigInt(text(value, '0')).toString(16).padStart(16, '0')

/** The bits of a double in hex. */
export function doubleBits(n: number): string {
  const out = Buffer.alloc(8)
  out.writeDoubleBE(n)
  return out.toString('hex')
}

/** The bits that say that a series has ended. */
export const stale = '7ff0000000000002'

function buckets(spans: readonly Raw[], deltas: readonly unknown[]): Record<number, number> {
  const counts: Record<number, number> = {}
  let index = 0
  let count = 0
  let at = 0
  for (const { offset, length } of spans) {
    index += Number(offset ?? 0)
    for (let i = 0; i < Number(length ?? 0); i++, index++) {
      count += Number(deltas[at++])
      if (count !== 0) counts[index] = count
    }
  }
  if (at !== deltas.length) throw new Error(`${deltas.length} deltas for ${at} buckets`)
  return counts
}

function histogramOf(raw: Raw): DecodedHistogram {
  const list = <T>(name: string): T[] => (raw[name] as T[] | undefined) ?? []
  return {
    count: text(raw['count_int'], '0'),
    sum: bits(raw['sum']),
    schema: Number(raw['schema'] ?? 0),
    zeroThreshold: Number(raw['zero_threshold'] ?? 0),
    zeroCount: text(raw['zero_count_int'], '0'),
    positive: buckets(list<Raw>('positive_spans'), list('positive_deltas')),
    negative: buckets(list<Raw>('negative_spans'), list('negative_deltas')),
    hint: Number(raw['reset_hint'] ?? 0),
    time: Number(raw['timestamp'] ?? 0),
    startTime: Number(raw['start_timestamp'] ?? 0),
    bounds: list<number>('custom_values'),
  }
}

/** What protobufjs reads of a request. */
export function decodeRequest(version: 1 | 2, body: Uint8Array): DecodedRequest {
  const type = version === 1 ? request1 : request2
  const raw: Raw = type.toObject(type.decode(body), { longs: String })
  const symbols = (raw['symbols'] as string[] | undefined) ?? []
  const referred = (refs: readonly number[]): Label[] =>
    Array.from({ length: refs.length / 2 }, (_, i) => [symbols[refs[2 * i]], symbols[refs[2 * i + 1]]] as const)
  const labelsOf = (from: Raw): Label[] =>
    version === 2
      ? referred((from['labels_refs'] as number[] | undefined) ?? [])
      : ((from['labels'] as Raw[] | undefined) ?? []).map(l => [text(l['name']), text(l['value'])])
  const list = (from: Raw, name: string): Raw[] => (from[name] as Raw[] | undefined) ?? []
  const series = list(raw, 'timeseries').map(from => {
    const metadata = from['metadata'] as Raw | undefined
    return {
      labels: labelsOf(from),
      samples: list(from, 'samples').map(
        s => [bits(s['value']), Number(s['timestamp'] ?? 0), Number(s['start_timestamp'] ?? 0)] as const,
      ),
      histograms: list(from, 'histograms').map(histogramOf),
      exemplars: list(from, 'exemplars').map(e => ({
        labels: labelsOf(e),
        value: Number(e['value'] ?? 0),
        time: Number(e['timestamp'] ?? 0),
      })),
      metadata: metadata && {
        type: Number(metadata['type'] ?? 0),
        help: symbols[Number(metadata['help_ref'] ?? 0)],
        unit: symbols[Number(metadata['unit_ref'] ?? 0)],
      },
    }
  })
  const metadata = list(raw, 'metadata').map(m => ({
    type: Number(m['type'] ?? 0),
    name: text(m['metric_family_name']),
    help: text(m['help']),
    unit: text(m['unit']),
  }))
  return { series, metadata, symbols }
}
