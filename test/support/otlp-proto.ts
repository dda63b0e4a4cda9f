/**
 * OTLP as protobufjs reads it, from message definitions written out here: what Kymo's own schema table says is not
 * asked. Decoding is strict: bounds, UTF-8, wire types.
 */
import protobuf from 'protobufjs'
import type { Signal } from '../../proto/signals.ts'

const definitions = `
syntax = "proto3";

message AnyValue { oneof value {
  string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
  ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7; int32 string_value_strindex = 8; } }
message ArrayValue { repeated AnyValue values = 1; }
message KeyValueList { repeated KeyValue values = 1; }
message KeyValue { string key = 1; AnyValue value = 2; int32 key_strindex = 3; }
message InstrumentationScope {
  string name = 1; string version = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4; }
message EntityRef {
  string schema_url = 1; string type = 2; repeated string id_keys = 3; repeated string description_keys = 4; }
message Resource {
  repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; repeated EntityRef entity_refs = 3; }

message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; string schema_url = 3; }
message ScopeSpans { InstrumentationScope scope = 1; repeated Span spans = 2; string schema_url = 3; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; fixed32 flags = 16;
  string name = 5; int32 kind = 6; fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8;
  repeated KeyValue attributes = 9; uint32 dropped_attributes_count = 10;
  message Event {
    fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4; }
  repeated Event events = 11; uint32 dropped_events_count = 12;
  message Link {
    bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; repeated KeyValue attributes = 4;
    uint32 dropped_attributes_count = 5; fixed32 flags = 6; }
  repeated Link links = 13; uint32 dropped_links_count = 14;
  message Status { string message = 2; int32 code = 3; }
  Status status = 15; }

message ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2; string schema_url = 3; }
message ScopeLogs { InstrumentationScope scope = 1; repeated LogRecord log_records = 2; string schema_url = 3; }
message LogRecord {
  fixed64 time_unix_nano = 1; fixed64 observed_time_unix_nano = 11; int32 severity_number = 2; string severity_text = 3;
  AnyValue body = 5; repeated KeyValue attributes = 6; uint32 dropped_attributes_count = 7; fixed32 flags = 8;
  bytes trace_id = 9; bytes span_id = 10; string event_name = 12; }

message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; }
message ScopeMetrics { InstrumentationScope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
message Metric {
  string name = 1; string description = 2; string unit = 3;
  oneof data { Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9;
    ExponentialHistogram exponential_histogram = 10; Summary summary = 11; }
  repeated KeyValue metadata = 12; }
message Gauge { repeated NumberDataPoint data_points = 1; }
message Sum { repeated NumberDataPoint data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
message Histogram { repeated HistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; }
message ExponentialHistogram {
  repeated ExponentialHistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; }
message Summary { repeated SummaryDataPoint data_points = 1; }
message NumberDataPoint {
  repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
  oneof value { double as_double = 4; sfixed64 as_int = 6; } repeated Exemplar exemplars = 5; uint32 flags = 8; }
message HistogramDataPoint {
  repeated KeyValue attributes = 9; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
  optional double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
  repeated Exemplar exemplars = 8; uint32 flags = 10; optional double min = 11; optional double max = 12; }
message ExponentialHistogramDataPoint {
  repeated KeyValue attributes = 1; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
  optional double sum = 5; sint32 scale = 6; fixed64 zero_count = 7;
  message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
  Buckets positive = 8; Buckets negative = 9; uint32 flags = 10; repeated Exemplar exemplars = 11;
  optional double min = 12; optional double max = 13; double zero_threshold = 14; }
message SummaryDataPoint {
  repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
  double sum = 5; message ValueAtQuantile { double quantile = 1; double value = 2; }
  repeated ValueAtQuantile quantile_values = 6; uint32 flags = 8; }
message Exemplar {
  repeated KeyValue filtered_attributes = 7; fixed64 time_unix_nano = 2;
  oneof value { double as_double = 3; sfixed64 as_int = 6; } bytes span_id = 4; bytes trace_id = 5; }

message traces { repeated ResourceSpans resource_spans = 1; }
message metrics { repeated ResourceMetrics resource_metrics = 1; }
message logs { repeated ResourceLogs resource_logs = 1; }
message Response { PartialSuccess partial_success = 1; }
message PartialSuccess { int64 rejected = 1; string error_message = 2; }

message RpcStatus { int32 code = 1; string message = 2; repeated Any details = 3; }
message Any { string type_url = 1; bytes value = 2; }
message Duration { int64 seconds = 1; int32 nanos = 2; }
message RetryInfo { Duration retry_delay = 1; }
`

const root = protobuf.parse(definitions, { keepCase: true }).root

/** A message as plain values: 64-bit numbers as texts, bytes as hex, what is not set left out. */
export type Plain = Readonly<Record<string, unknown>>

/** Encodes plain values; `fromObject` takes bytes as buffers. */
export const encode = (message: string, plain: object): Buffer => {
  const type = root.lookupType(message)
  return Buffer.from(type.encode(type.fromObject(plain)).finish())
}

/** Decodes, or throws where a byte is wrong. */
export function decode(message: string, bytes: Uint8Array): Plain {
  const type = root.lookupType(message)
  return hexed(type.toObject(type.decode(bytes), { longs: String, bytes: Buffer })) as Plain
}

/** One plain value whose bytes are hex, so that a difference can be read. */
function hexed(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return `0x${value.toString('hex')}`
  if (Array.isArray(value)) return value.map(hexed)
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hexed(inner)]))
  }
  return value
}

const lists = {
  traces: ['resource_spans', 'scope_spans', 'spans'],
  metrics: ['resource_metrics', 'scope_metrics', 'metrics'],
  logs: ['resource_logs', 'scope_logs', 'log_records'],
} as const

/** An item (span, metric, log record) with everything that stands above it. */
export interface Item {
  readonly resource: Plain
  readonly resourceSchema: unknown
  readonly scope: Plain
  readonly scopeSchema: unknown
  readonly item: Plain
}

/** Every item of a request, in order, with its resource and scope. */
export function itemsOf(signal: Signal, body: Uint8Array): Item[] {
  const [groups, scopes, items] = lists[signal]
  const found: Item[] = []
  for (const group of listOf(decode(signal, body), groups)) {
    for (const scope of listOf(group, scopes)) {
      for (const item of listOf(scope, items)) {
        found.push({
          resource: (group['resource'] ?? {}) as Plain,
          resourceSchema: group['schema_url'],
          scope: (scope['scope'] ?? {}) as Plain,
          scopeSchema: scope['schema_url'],
          item,
        })
      }
    }
  }
  return found
}

/** A repeated message field. */
export const listOf = (plain: Plain, field: string): readonly Plain[] => (plain[field] ?? []) as Plain[]

/** What OTLP counts: spans, log records, data points. */
export function countItems(signal: Signal, items: readonly Item[]): number {
  return signal === 'metrics' ? items.reduce((sum, one) => sum + pointsOf(one.item).length, 0) : items.length
}

/** The data points of a metric, whatever its kind. */
export function pointsOf(metric: Plain): readonly Plain[] {
  const { gauge, sum, histogram, exponential_histogram: exponential, summary } = metric
  const data = gauge ?? sum ?? histogram ?? exponential ?? summary
  return data === undefined ? [] : listOf(data as Plain, 'data_points')
}

/** Attributes by name, values as they are in their oneof. */
export function attributesOf(holder: Plain): Plain {
  return Object.fromEntries(
    listOf(holder, 'attributes').map(({ key, value }) => [key, Object.values((value ?? {}) as Plain)[0]]),
  )
}
