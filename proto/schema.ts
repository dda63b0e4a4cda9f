/**
 * The OTLP schema (opentelemetry-proto 1.10), declared once. Views, rewriting, JSON, the debug exporter's text and the
 * oracle of the tests all come from this table.
 */
import { FIXED32, FIXED64, LENGTH, VARINT } from './wire.ts'

/** Protobuf's types of single values that OTLP uses. */
export type Scalar =
  | 'string'
  | 'bytes'
  | 'bool'
  | 'double'
  | 'fixed32'
  | 'fixed64'
  | 'sfixed64'
  | 'int32'
  | 'int64'
  | 'uint32'
  | 'uint64'
  | 'sint32'

/** One field of a message. */
export interface Field {
  readonly number: number
  /** As in the .proto file: `trace_id`. */
  readonly name: string
  /** As in OTLP/JSON: `traceId`. */
  readonly jsonName: string
  readonly type: Scalar | 'enum' | 'message'
  /** Name of the message or enum, for those types. */
  readonly of: string
  readonly repeated: boolean
  /** Whether presence is told apart from the zero value (`optional`, oneof members and messages). */
  readonly optional: boolean
  /** Name of the oneof this belongs to. */
  readonly oneof: string | undefined
  /** Wire type of a single value; a repeated number usually stands packed, in one length-delimited field. */
  readonly wire: number
  /** Bytes that OTLP/JSON writes as hex: trace and span ids. */
  readonly hex: boolean
}

/** One message: its fields in order, by number and by name. */
export interface Message {
  readonly name: string
  readonly fields: readonly Field[]
  /** Sparse: undefined where the schema has no such field. */
  readonly byNumber: readonly (Field | undefined)[]
  readonly byName: ReadonlyMap<string, Field>
}

/** Values of the enums, by name. */
export const enums = {
  SpanKind: {
    SPAN_KIND_UNSPECIFIED: 0,
    SPAN_KIND_INTERNAL: 1,
    SPAN_KIND_SERVER: 2,
    SPAN_KIND_CLIENT: 3,
    SPAN_KIND_PRODUCER: 4,
    SPAN_KIND_CONSUMER: 5,
  },
  StatusCode: { STATUS_CODE_UNSET: 0, STATUS_CODE_OK: 1, STATUS_CODE_ERROR: 2 },
  SpanFlags: {
    SPAN_FLAGS_DO_NOT_USE: 0,
    SPAN_FLAGS_TRACE_FLAGS_MASK: 0xff,
    SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK: 0x100,
    SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK: 0x200,
  },
  SeverityNumber: {
    SEVERITY_NUMBER_UNSPECIFIED: 0,
    SEVERITY_NUMBER_TRACE: 1,
    SEVERITY_NUMBER_TRACE2: 2,
    SEVERITY_NUMBER_TRACE3: 3,
    SEVERITY_NUMBER_TRACE4: 4,
    SEVERITY_NUMBER_DEBUG: 5,
    SEVERITY_NUMBER_DEBUG2: 6,
    SEVERITY_NUMBER_DEBUG3: 7,
    SEVERITY_NUMBER_DEBUG4: 8,
    SEVERITY_NUMBER_INFO: 9,
    SEVERITY_NUMBER_INFO2: 10,
    SEVERITY_NUMBER_INFO3: 11,
    SEVERITY_NUMBER_INFO4: 12,
    SEVERITY_NUMBER_WARN: 13,
    SEVERITY_NUMBER_WARN2: 14,
    SEVERITY_NUMBER_WARN3: 15,
    SEVERITY_NUMBER_WARN4: 16,
    SEVERITY_NUMBER_ERROR: 17,
    SEVERITY_NUMBER_ERROR2: 18,
    SEVERITY_NUMBER_ERROR3: 19,
    SEVERITY_NUMBER_ERROR4: 20,
    SEVERITY_NUMBER_FATAL: 21,
    SEVERITY_NUMBER_FATAL2: 22,
    SEVERITY_NUMBER_FATAL3: 23,
    SEVERITY_NUMBER_FATAL4: 24,
  },
  LogRecordFlags: { LOG_RECORD_FLAGS_DO_NOT_USE: 0, LOG_RECORD_FLAGS_TRACE_FLAGS_MASK: 0xff },
  AggregationTemporality: {
    AGGREGATION_TEMPORALITY_UNSPECIFIED: 0,
    AGGREGATION_TEMPORALITY_DELTA: 1,
    AGGREGATION_TEMPORALITY_CUMULATIVE: 2,
  },
  DataPointFlags: { DATA_POINT_FLAGS_DO_NOT_USE: 0, DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK: 1 },
} as const satisfies Record<string, Readonly<Record<string, number>>>

/** `[number, type]`; the type ends in `[]` when repeated and in `?` when `optional`. A third part names the oneof. */
type Declaration = readonly [number: number, type: string, oneof?: string]

const point = { start_time_unix_nano: [2, 'fixed64'], time_unix_nano: [3, 'fixed64'] } as const

/** A resource group and its scope group, which have the same shape for each signal. */
const groups = (resourceGroup: string, scopeGroup: string, list: string, items: string, item: string) => ({
  [resourceGroup]: {
    resource: [1, 'Resource'],
    [list]: [2, `${scopeGroup}[]`],
    schema_url: [3, 'string'],
  } satisfies Record<string, Declaration>,
  [scopeGroup]: {
    scope: [1, 'InstrumentationScope'],
    [items]: [2, `${item}[]`],
    schema_url: [3, 'string'],
  } satisfies Record<string, Declaration>,
})

/** Request and response of one service. */
const service = (name: string, list: string, resourceGroup: string, rejected: string) => ({
  [`Export${name}ServiceRequest`]: { [list]: [1, `${resourceGroup}[]`] } satisfies Record<string, Declaration>,
  [`Export${name}ServiceResponse`]: {
    partial_success: [1, `Export${name}PartialSuccess`],
  } satisfies Record<string, Declaration>,
  [`Export${name}PartialSuccess`]: {
    [rejected]: [1, 'int64'],
    error_message: [2, 'string'],
  } satisfies Record<string, Declaration>,
})

const declared: Readonly<Record<string, Readonly<Record<string, Declaration>>>> = {
  AnyValue: {
    string_value: [1, 'string', 'value'],
    bool_value: [2, 'bool', 'value'],
    int_value: [3, 'int64', 'value'],
    double_value: [4, 'double', 'value'],
    array_value: [5, 'ArrayValue', 'value'],
    kvlist_value: [6, 'KeyValueList', 'value'],
    bytes_value: [7, 'bytes', 'value'],
    string_value_strindex: [8, 'int32', 'value'],
  },
  ArrayValue: { values: [1, 'AnyValue[]'] },
  KeyValueList: { values: [1, 'KeyValue[]'] },
  KeyValue: { key: [1, 'string'], value: [2, 'AnyValue'], key_strindex: [3, 'int32'] },
  InstrumentationScope: {
    name: [1, 'string'],
    version: [2, 'string'],
    attributes: [3, 'KeyValue[]'],
    dropped_attributes_count: [4, 'uint32'],
  },
  EntityRef: {
    schema_url: [1, 'string'],
    type: [2, 'string'],
    id_keys: [3, 'string[]'],
    description_keys: [4, 'string[]'],
  },
  Resource: {
    attributes: [1, 'KeyValue[]'],
    dropped_attributes_count: [2, 'uint32'],
    entity_refs: [3, 'EntityRef[]'],
  },

  ...groups('ResourceSpans', 'ScopeSpans', 'scope_spans', 'spans', 'Span'),
  Span: {
    trace_id: [1, 'bytes'],
    span_id: [2, 'bytes'],
    trace_state: [3, 'string'],
    parent_span_id: [4, 'bytes'],
    flags: [16, 'fixed32'],
    name: [5, 'string'],
    kind: [6, 'SpanKind'],
    start_time_unix_nano: [7, 'fixed64'],
    end_time_unix_nano: [8, 'fixed64'],
    attributes: [9, 'KeyValue[]'],
    dropped_attributes_count: [10, 'uint32'],
    events: [11, 'Event[]'],
    dropped_events_count: [12, 'uint32'],
    links: [13, 'Link[]'],
    dropped_links_count: [14, 'uint32'],
    status: [15, 'Status'],
  },
  Event: {
    time_unix_nano: [1, 'fixed64'],
    name: [2, 'string'],
    attributes: [3, 'KeyValue[]'],
    dropped_attributes_count: [4, 'uint32'],
  },
  Link: {
    trace_id: [1, 'bytes'],
    span_id: [2, 'bytes'],
    trace_state: [3, 'string'],
    attributes: [4, 'KeyValue[]'],
    dropped_attributes_count: [5, 'uint32'],
    flags: [6, 'fixed32'],
  },
  Status: { message: [2, 'string'], code: [3, 'StatusCode'] },

  ...groups('ResourceLogs', 'ScopeLogs', 'scope_logs', 'log_records', 'LogRecord'),
  LogRecord: {
    time_unix_nano: [1, 'fixed64'],
    observed_time_unix_nano: [11, 'fixed64'],
    severity_number: [2, 'SeverityNumber'],
    severity_text: [3, 'string'],
    body: [5, 'AnyValue'],
    attributes: [6, 'KeyValue[]'],
    dropped_attributes_count: [7, 'uint32'],
    flags: [8, 'fixed32'],
    trace_id: [9, 'bytes'],
    span_id: [10, 'bytes'],
    event_name: [12, 'string'],
  },

  ...groups('ResourceMetrics', 'ScopeMetrics', 'scope_metrics', 'metrics', 'Metric'),
  Metric: {
    name: [1, 'string'],
    description: [2, 'string'],
    unit: [3, 'string'],
    gauge: [5, 'Gauge', 'data'],
    sum: [7, 'Sum', 'data'],
    histogram: [9, 'Histogram', 'data'],
    exponential_histogram: [10, 'ExponentialHistogram', 'data'],
    summary: [11, 'Summary', 'data'],
    metadata: [12, 'KeyValue[]'],
  },
  Gauge: { data_points: [1, 'NumberDataPoint[]'] },
  Sum: {
    data_points: [1, 'NumberDataPoint[]'],
    aggregation_temporality: [2, 'AggregationTemporality'],
    is_monotonic: [3, 'bool'],
  },
  Histogram: {
    data_points: [1, 'HistogramDataPoint[]'],
    aggregation_temporality: [2, 'AggregationTemporality'],
  },
  ExponentialHistogram: {
    data_points: [1, 'ExponentialHistogramDataPoint[]'],
    aggregation_temporality: [2, 'AggregationTemporality'],
  },
  Summary: { data_points: [1, 'SummaryDataPoint[]'] },
  NumberDataPoint: {
    attributes: [7, 'KeyValue[]'],
    ...point,
    as_double: [4, 'double', 'value'],
    as_int: [6, 'sfixed64', 'value'],
    exemplars: [5, 'Exemplar[]'],
    flags: [8, 'uint32'],
  },
  HistogramDataPoint: {
    attributes: [9, 'KeyValue[]'],
    ...point,
    count: [4, 'fixed64'],
    sum: [5, 'double?'],
    bucket_counts: [6, 'fixed64[]'],
    explicit_bounds: [7, 'double[]'],
    exemplars: [8, 'Exemplar[]'],
    flags: [10, 'uint32'],
    min: [11, 'double?'],
    max: [12, 'double?'],
  },
  ExponentialHistogramDataPoint: {
    attributes: [1, 'KeyValue[]'],
    ...point,
    count: [4, 'fixed64'],
    sum: [5, 'double?'],
    scale: [6, 'sint32'],
    zero_count: [7, 'fixed64'],
    positive: [8, 'Buckets'],
    negative: [9, 'Buckets'],
    flags: [10, 'uint32'],
    exemplars: [11, 'Exemplar[]'],
    min: [12, 'double?'],
    max: [13, 'double?'],
    zero_threshold: [14, 'double'],
  },
  Buckets: { offset: [1, 'sint32'], bucket_counts: [2, 'uint64[]'] },
  SummaryDataPoint: {
    attributes: [7, 'KeyValue[]'],
    ...point,
    count: [4, 'fixed64'],
    sum: [5, 'double'],
    quantile_values: [6, 'ValueAtQuantile[]'],
    flags: [8, 'uint32'],
  },
  ValueAtQuantile: { quantile: [1, 'double'], value: [2, 'double'] },
  Exemplar: {
    filtered_attributes: [7, 'KeyValue[]'],
    time_unix_nano: [2, 'fixed64'],
    as_double: [3, 'double', 'value'],
    as_int: [6, 'sfixed64', 'value'],
    span_id: [4, 'bytes'],
    trace_id: [5, 'bytes'],
  },

  ...service('Trace', 'resource_spans', 'ResourceSpans', 'rejected_spans'),
  ...service('Metrics', 'resource_metrics', 'ResourceMetrics', 'rejected_data_points'),
  ...service('Logs', 'resource_logs', 'ResourceLogs', 'rejected_log_records'),
}

const wires: Readonly<Record<Scalar | 'enum' | 'message', number>> = {
  string: LENGTH,
  bytes: LENGTH,
  message: LENGTH,
  bool: VARINT,
  enum: VARINT,
  int32: VARINT,
  int64: VARINT,
  uint32: VARINT,
  uint64: VARINT,
  sint32: VARINT,
  double: FIXED64,
  fixed64: FIXED64,
  sfixed64: FIXED64,
  fixed32: FIXED32,
}

const isScalar = (type: string): type is Scalar => type in wires && type !== 'enum' && type !== 'message'

function field(name: string, [number, declaredType, oneof]: Declaration): Field {
  const repeated = declaredType.endsWith('[]')
  const base = declaredType.replace(/\[\]$|\?$/, '')
  const type = isScalar(base) ? base : base in enums ? 'enum' : 'message'
  return {
    number,
    name,
    jsonName: name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    type,
    of: isScalar(base) ? '' : base,
    repeated,
    optional: !repeated && (declaredType.endsWith('?') || oneof !== undefined || type === 'message'),
    oneof,
    wire: wires[type],
    hex: type === 'bytes' && name.endsWith('_id'),
  }
}

function message(name: string): Message {
  const fields = Object.entries(declared[name]).map(([fieldName, declaration]) => field(fieldName, declaration))
  const byNumber: (Field | undefined)[] = []
  for (const f of fields) byNumber[f.number] = f
  return { name, fields, byNumber, byName: new Map(fields.map(f => [f.name, f])) }
}

/** Every message of OTLP, by name. */
export const messages: ReadonlyMap<string, Message> = new Map(Object.keys(declared).map(name => [name, message(name)]))

/** The message of that name, which must be one of the table's. */
export function messageNamed(name: string): Message {
  const found = messages.get(name)
  if (found === undefined) throw new TypeError(`the OTLP schema has no message ${name}`)
  return found
}
