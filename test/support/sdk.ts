/** The OpenTelemetry JS SDK with everything it can say: attributes of every type, events, links, all kinds of metrics. */
import {
  context,
  createTraceState,
  type Link,
  type LogRecord,
  ROOT_CONTEXT,
  SeverityNumber,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  ValueType,
} from '@opentelemetry/api'
import { OTLPLogExporter as GrpcLogs } from '@opentelemetry/exporter-logs-otlp-grpc'
import { OTLPLogExporter as HttpLogs } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPMetricExporter as GrpcMetrics } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPMetricExporter as HttpMetrics } from '@opentelemetry/exporter-metrics-otlp-proto'
import { OTLPTraceExporter as GrpcTraces } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as HttpTraces } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import {
  AggregationTemporality,
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'

/** Where an exporter of the SDK sends. */
export interface SdkTarget {
  readonly protocol: 'grpc' | 'http'
  /** `127.0.0.1:port`. */
  readonly endpoint: string
  readonly gzip: boolean
}

type Result = { readonly code: number; readonly error?: Error }
/** What the exporters of all three signals have in common. */
interface AnyExporter {
  export(items: never, done: (result: Result) => void): void
  forceFlush?(): Promise<void>
  shutdown(): Promise<void>
}

/** Exports the same objects to all targets; failures are kept. */
class Tee implements AnyExporter {
  readonly failures: Error[] = []
  readonly #exporters: readonly AnyExporter[]

  constructor(exporters: readonly AnyExporter[]) {
    this.#exporters = exporters
  }

  export(items: never, done: (result: Result) => void): void {
    const each = this.#exporters.map(
      one => new Promise<Result>(resolve => one.export(items, result => resolve(result))),
    )
    void Promise.all(each).then(results => {
      for (const { code, error } of results) if (code !== 0) this.failures.push(error ?? new Error('export failed'))
      done({ code: 0 })
    })
  }

  async forceFlush(): Promise<void> {}

  async shutdown(): Promise<void> {
    await Promise.all(this.#exporters.map(one => one.shutdown()))
  }
}

function exporters(target: SdkTarget) {
  const { protocol, endpoint, gzip } = target
  // The enum of the algorithms is in a package of its own; its values are these texts.
  const compression = (gzip ? 'gzip' : 'none') as never
  const at = (path: string) => ({ url: `http://${endpoint}${protocol === 'http' ? path : ''}`, compression })
  return protocol === 'grpc'
    ? { traces: new GrpcTraces(at('')), metrics: new GrpcMetrics(at('')), logs: new GrpcLogs(at('')) }
    : {
        traces: new HttpTraces(at('/v1/traces')),
        metrics: new HttpMetrics(at('/v1/metrics')),
        logs: new HttpLogs(at('/v1/logs')),
      }
}

const everyType = {
  text: 'ä ✓ 🦊',
  empty: '',
  yes: true,
  no: false,
  zero: 0,
  int: 9_007_199_254_740_991,
  negative: -42,
  double: 1.5e-7,
  texts: ['a', '', 'c'],
  bools: [true, false],
  ints: [1, -2, 3],
  doubles: [0.5, -1.25],
  none: [],
}

/**
 * Emits `size` spans and log records and a fixed set of metrics as a service in `namespace`, the same to all targets.
 * Rejects when an exporter says that it failed.
 * @param since seconds at which log records begin
 */
export async function emitEverything(
  namespace: string,
  targets: readonly SdkTarget[],
  size = 20,
  since = 1_700_000_000,
): Promise<void> {
  const resource = resourceFromAttributes({
    'service.name': 'shop-api',
    'k8s.namespace.name': namespace,
    'secret.token': 'not for everybody',
    'host.cpus': 8,
    tags: ['a', 'b'],
  })
  const made = targets.map(exporters)
  const tees = {
    traces: new Tee(made.map(one => one.traces as AnyExporter)),
    metrics: new Tee(made.map(one => one.metrics as AnyExporter)),
    logs: new Tee(made.map(one => one.logs as AnyExporter)),
  }
  const tracers = new TracerProvider({
    resource,
    spanLimits: { attributeCountLimit: 20, eventCountLimit: 3, linkCountLimit: 2, attributePerEventCountLimit: 2 },
    spanProcessors: [new BatchSpanProcessor({ exporter: tees.traces, maxQueueSize: 100_000 })],
  })
  const loggers = new LoggerProvider({
    resource,
    processors: [new BatchLogRecordProcessor({ exporter: tees.logs, maxQueueSize: 100_000 })],
  })
  const reader = new PeriodicExportingMetricReader({
    exporter: metricExporter(tees.metrics),
    exportIntervalMillis: 1e8,
  })
  const meters = new MeterProvider({
    resource,
    readers: [reader],
    views: [
      {
        instrumentName: 'latency.exponential',
        aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize: 40, recordMinMax: true } },
      },
      {
        instrumentName: 'latency',
        aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: [0, 5, 10, 1000] } },
      },
    ],
  })
  emitSpans(tracers, size)
  emitLogs(loggers, size, since)
  emitMetrics(meters)
  await Promise.all([tracers.forceFlush(), loggers.forceFlush(), meters.forceFlush()])
  await Promise.all([tracers.shutdown(), loggers.shutdown(), meters.shutdown()])
  const failures = Object.values(tees).flatMap(tee => tee.failures)
  if (failures.length > 0) throw new AggregateError(failures, `the SDK could not export: ${String(failures[0])}`)
}

/** Counters as differences, gauges and histograms since the start. */
const metricExporter = (tee: Tee) =>
  Object.assign(tee, {
    selectAggregationTemporality: (type: string) =>
      type === 'COUNTER' ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
  }) as never

function emitSpans(provider: TracerProvider, size: number): void {
  const tracer = provider.getTracer('shop', '1.2.3', { schemaUrl: 'https://opentelemetry.io/schemas/1.30.0' })
  const plain = provider.getTracer('plain')
  const link = (n: number): Link => ({
    context: {
      traceId: String(n).padStart(32, 'a'),
      spanId: String(n).padStart(16, 'b'),
      traceFlags: TraceFlags.SAMPLED,
      isRemote: true,
      traceState: createTraceState('vendor=1,other=x'),
    },
    attributes: { reason: `link ${n}`, n },
  })
  const kinds = [SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER]
  for (let i = 0; i < size; i++) {
    const parent = tracer.startSpan(`GET /cart/${i}`, { kind: kinds[i % 5], attributes: everyType, links: [link(i)] })
    parent.setAttributes(Object.fromEntries(Array.from({ length: 15 }, (_, n) => [`more.${n}`, n])))
    parent.addEvent('exception', { 'exception.message': 'boom', escaped: true, dropped: 1 })
    parent.addEvent('no attributes', [1_700_000_000, 123_456_789])
    for (let n = 0; n < 4; n++) parent.addEvent(`event ${n}`)
    for (let n = 0; n < 3; n++) parent.addLink(link(n))
    if (i % 3 === 0) parent.setStatus({ code: SpanStatusCode.ERROR, message: 'could not ✗' })
    if (i % 3 === 1) parent.setStatus({ code: SpanStatusCode.OK })
    const child = plain.startSpan('', { startTime: [1_700_000_000, 999_999_999] }, trace.setSpan(ROOT_CONTEXT, parent))
    child.end([1_700_000_001, 1])
    parent.end()
  }
}

const severities = Object.values(SeverityNumber).filter(one => typeof one === 'number')

function emitLogs(provider: LoggerProvider, size: number, since: number): void {
  const logger = provider.getLogger('shop', '1.2.3')
  const bodies: LogRecord['body'][] = [
    'a text',
    '',
    42,
    -1.5,
    true,
    ['a', 1, [true, null]],
    { nested: { deep: { list: [1, { x: 'y' }], bytes: new Uint8Array([0, 255, 128]) } }, n: 1 },
    new Uint8Array([1, 2, 3]),
    undefined,
  ]
  const spanContext = { traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), traceFlags: TraceFlags.SAMPLED }
  for (let i = 0; i < size; i++) {
    logger.emit({
      body: bodies[i % bodies.length],
      severityNumber: severities[i % severities.length],
      severityText: ['INFO', 'WARN', ''][i % 3],
      timestamp: [since + i, i],
      observedTimestamp: [since + 1 + i, 999_999_999],
      attributes: { ...everyType, map: { a: 1, b: { c: ['d'] } }, bytes: new Uint8Array([9, 8, 7]), i },
      ...(i % 2 === 0 ? { context: trace.setSpanContext(context.active(), spanContext) } : {}),
      ...(i % 4 === 0 ? { eventName: 'cart.checkout' } : {}),
    })
  }
}

function emitMetrics(provider: MeterProvider): void {
  const meter = provider.getMeter('shop', '1.2.3', { schemaUrl: 'https://opentelemetry.io/schemas/1.30.0' })
  const requests = meter.createCounter('requests', {
    description: 'Requests served.',
    unit: '{request}',
    valueType: ValueType.INT,
  })
  const weight = meter.createCounter('weight', { unit: 'kg' })
  const open = meter.createUpDownCounter('open')
  const heat = meter.createGauge('heat', { unit: 'Cel' })
  const latency = meter.createHistogram('latency', { unit: 'ms' })
  const exponential = meter.createHistogram('latency.exponential', { unit: 'ms' })
  for (let i = 0; i < 30; i++) {
    const attributes = { route: `/r${i % 3}`, code: 200 + (i % 2), ok: true }
    requests.add(i, attributes)
    weight.add(i / 3, attributes)
    open.add(i % 2 === 0 ? 5 : -3, attributes)
    heat.record(-0.5 * i, attributes)
    latency.record(i * 1.5, attributes)
    exponential.record(2 ** (i - 15), attributes)
  }
  meter.createObservableGauge('queue').addCallback(result => result.observe(7, { queue: 'a' }))
  meter.createObservableCounter('bytes', { valueType: ValueType.DOUBLE }).addCallback(result => {
    result.observe(0.25, { disk: 'sda' })
    result.observe(1e300, { disk: 'sdb' })
  })
  meter.createObservableUpDownCounter('balance').addCallback(result => result.observe(-7))
}
