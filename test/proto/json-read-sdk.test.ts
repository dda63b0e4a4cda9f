/** What the OpenTelemetry JS SDK writes as OTLP/JSON against what it writes of the same objects as protobuf. */
import { context, SeverityNumber, SpanKind, SpanStatusCode, trace, TraceFlags, ValueType } from '@opentelemetry/api'
import {
  type ISerializer,
  JsonLogsSerializer,
  JsonMetricsSerializer,
  JsonTraceSerializer,
  ProtobufLogsSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
} from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import {
  AggregationTemporality,
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { expect, test } from 'vitest'
import { jsonToProtobuf } from '../../proto/json-read.ts'
import { protobufToJson } from '../../proto/json-write.ts'
import { type Signal, signals } from '../../proto/signals.ts'
import { decode } from '../support/otlp.ts'

/** An exporter of whichever signal that keeps what it is handed. */
class Keeper {
  kept: unknown

  export(items: unknown, done: (result: { code: number }) => void): void {
    this.kept = items
    done({ code: 0 })
  }
  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
  selectAggregationTemporality(): AggregationTemporality {
    return AggregationTemporality.CUMULATIVE
  }
}

const resource = resourceFromAttributes({ 'service.name': 'shop ✓ 🦊', cpus: 8, tags: ['a', 'b'], ratio: 0.25 })
const attributes = {
  text: '"\\\n',
  empty: '',
  yes: true,
  int: 2 ** 53 - 1,
  negative: -42,
  double: 1.5e-7,
  list: [1, 2],
}
const spanContext = { traceId: 'c'.repeat(32), spanId: 'D'.repeat(16).toLowerCase(), traceFlags: TraceFlags.SAMPLED }

async function spans(keeper: Keeper): Promise<void> {
  const spanProcessors = [new BatchSpanProcessor({ exporter: keeper })]
  const provider = new TracerProvider({ resource, spanProcessors })
  const tracer = provider.getTracer('shop', '1.2.3', { schemaUrl: 'https://opentelemetry.io/schemas/1.30.0' })
  const parent = tracer.startSpan('GET /', {
    kind: SpanKind.SERVER,
    attributes,
    links: [{ context: spanContext, attributes }],
  })
  parent.addEvent('exception', { 'exception.message': 'boom' }, [1_700_000_000, 123_456_789])
  parent.setStatus({ code: SpanStatusCode.ERROR, message: 'could not ✗' })
  tracer.startSpan('child', {}, trace.setSpan(context.active(), parent)).end()
  parent.end()
  await provider.forceFlush()
}

async function records(keeper: Keeper): Promise<void> {
  const provider = new LoggerProvider({
    resource,
    processors: [new BatchLogRecordProcessor({ exporter: keeper })],
  })
  const logger = provider.getLogger('shop')
  const inside = trace.setSpanContext(context.active(), spanContext)
  const bodies = ['a text', 42, -1.5, true, ['a', [null]], { deep: { n: 1, bytes: new Uint8Array([0, 255]) } }]
  for (const body of bodies) {
    logger.emit({
      body,
      severityNumber: SeverityNumber.INFO,
      severityText: 'INFO',
      timestamp: [1_700_000_000, 1],
      attributes,
      context: inside,
    })
  }
  await provider.forceFlush()
}

async function metrics(keeper: Keeper): Promise<void> {
  const reader = new PeriodicExportingMetricReader({ exporter: keeper, exportIntervalMillis: 1e8 })
  const aggregation = {
    type: AggregationType.EXPONENTIAL_HISTOGRAM,
    options: { maxSize: 20, recordMinMax: true },
  } as const
  const provider = new MeterProvider({
    resource,
    readers: [reader],
    views: [{ instrumentName: 'exponential', aggregation }],
  })
  const meter = provider.getMeter('shop', '1.2.3')
  for (let i = 0; i < 10; i++) {
    meter.createCounter('requests', { unit: '{request}', valueType: ValueType.INT }).add(i, { code: i % 3 })
    meter.createUpDownCounter('weight').add(i / 3 - 2)
    meter.createGauge('heat').record(-0.5 * i)
    meter.createHistogram('latency').record(i * 100)
    meter.createHistogram('exponential').record(2 ** (i - 5))
  }
  await provider.forceFlush()
}

const cases: readonly [
  Signal,
  (keeper: Keeper) => Promise<void>,
  ISerializer<never, never>,
  ISerializer<never, never>,
][] = [
  ['traces', spans, JsonTraceSerializer as never, ProtobufTraceSerializer as never],
  ['logs', records, JsonLogsSerializer as never, ProtobufLogsSerializer as never],
  ['metrics', metrics, JsonMetricsSerializer as never, ProtobufMetricsSerializer as never],
]

test.each(cases)('%s of the SDK are the same in JSON and in protobuf', async (signal, emit, json, protobuf) => {
  const keeper = new Keeper()
  await emit(keeper)
  const { request } = signals[signal]
  const text = Buffer.from(json.serializeRequest(keeper.kept as never) ?? [])
  const expected = Buffer.from(protobuf.serializeRequest(keeper.kept as never) ?? [])
  expect(expected.length).toBeGreaterThan(500)
  const read = jsonToProtobuf(request, text)
  expect(decode(request, read)).toEqual(decode(request, expected))
  expect(decode(request, jsonToProtobuf(request, protobufToJson(request, expected)))).toEqual(decode(request, expected))
})
