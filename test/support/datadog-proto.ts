/** Datadog's payloads as protobufjs reads them, from their published .proto files written out here. */
import protobuf from 'protobufjs'

const definitions = `
syntax = "proto3";

message AgentPayload {
  string hostName = 1; string env = 2; repeated TracerPayload tracerPayloads = 5; map<string, string> tags = 6;
  string agentVersion = 7; double targetTPS = 8; double errorTPS = 9; bool rareSamplerEnabled = 10; }
message TracerPayload {
  string containerID = 1; string languageName = 2; string languageVersion = 3; string tracerVersion = 4;
  string runtimeID = 5; repeated TraceChunk chunks = 6; map<string, string> tags = 7; string env = 8;
  string hostname = 9; string appVersion = 10; }
message TraceChunk {
  int32 priority = 1; string origin = 2; repeated Span spans = 3; map<string, string> tags = 4; bool droppedTrace = 5; }
message Span {
  string service = 1; string name = 2; string resource = 3; uint64 traceID = 4; uint64 spanID = 5; uint64 parentID = 6;
  int64 start = 7; int64 duration = 8; int32 error = 9; map<string, string> meta = 10; map<string, double> metrics = 11;
  string type = 12; }

message StatsPayload {
  string agentHostname = 1; string agentEnv = 2; repeated ClientStatsPayload stats = 3; string agentVersion = 4;
  bool clientComputed = 5; bool splitPayload = 6; }
message ClientStatsPayload {
  string hostname = 1; string env = 2; string version = 3; repeated ClientStatsBucket stats = 4; string lang = 5;
  string tracerVersion = 6; string runtimeID = 7; uint64 sequence = 8; string agentAggregation = 9; string service = 10;
  string containerID = 11; repeated string tags = 12; string git_commit_sha = 13; string image_tag = 14;
  uint64 process_tags_hash = 15; string process_tags = 16; }
message ClientStatsBucket {
  uint64 start = 1; uint64 duration = 2; repeated ClientGroupedStats stats = 3; int64 agentTimeShift = 4; }
message ClientGroupedStats {
  string service = 1; string name = 2; string resource = 3; uint32 HTTP_status_code = 4; string type = 5;
  string DB_type = 6; uint64 hits = 7; uint64 errors = 8; uint64 duration = 9; bytes okSummary = 10;
  bytes errorSummary = 11; bool synthetics = 12; uint64 topLevelHits = 13; string span_kind = 15;
  repeated string peer_tags = 16; int32 is_trace_root = 17; string GRPC_status_code = 18; string HTTP_method = 19;
  string HTTP_endpoint = 20; string service_source = 21; repeated string span_derived_primary_tags = 22;
  repeated string additional_metric_tags = 23; }

message DDSketch { IndexMapping mapping = 1; Store positiveValues = 2; Store negativeValues = 3; double zeroCount = 4; }
message IndexMapping { double gamma = 1; double indexOffset = 2; int32 interpolation = 3; }
message Store {
  map<sint32, double> binCounts = 1; repeated double contiguousBinCounts = 2 [packed = true];
  sint32 contiguousBinIndexOffset = 3; }
`

const root = protobuf.parse(definitions, { keepCase: true }).root

/** A span as Datadog has it, numbers of 64 bits as texts. */
export interface DatadogSpan {
  service: string
  name: string
  resource: string
  type: string
  traceID: string
  spanID: string
  parentID: string
  start: string
  duration: string
  error: number
  meta: Record<string, string>
  metrics: Record<string, number>
}
export interface Chunk {
  priority: number
  origin: string
  tags: Record<string, string>
  spans: DatadogSpan[]
}
export interface TracerPayload {
  containerID: string
  languageName: string
  tracerVersion: string
  env: string
  hostname: string
  appVersion: string
  tags: Record<string, string>
  chunks: Chunk[]
}
export interface AgentPayload {
  hostName: string
  env: string
  agentVersion: string
  tracerPayloads: TracerPayload[]
}

/** Decodes a message with all of its fields, those that are not set included. */
export function decodeDatadog(message: string, bytes: Uint8Array): object {
  const type = root.lookupType(message)
  return type.toObject(type.decode(bytes), { longs: String, bytes: Buffer, defaults: true })
}

/** Encodes plain values. */
export function encodeDatadog(message: string, plain: object): Buffer {
  const type = root.lookupType(message)
  return Buffer.from(type.encode(type.fromObject(plain)).finish())
}
