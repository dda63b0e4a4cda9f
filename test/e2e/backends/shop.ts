/** A shop that says what happens with the SDK: a request of a customer, as spans, log records and metrics. */
import { type Attributes, context, SeverityNumber, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'

/** Who says it. */
export const shopResource: Attributes = {
  'service.name': 'shop-api',
  'service.version': '1.2.3',
  'deployment.environment.name': 'prod',
  'host.name': 'node-1',
  'k8s.pod.name': 'shop-api-0',
  'k8s.namespace.name': 'shop',
  'telemetry.sdk.language': 'nodejs',
}

/** Ids of what was said, to look for it. */
export interface Said {
  readonly traceId: string
  readonly spanIds: { readonly server: string; readonly database: string; readonly inner: string }
}

/** One request that fails: a server span, a query below it, and some work; and `more` traces of one server span each. */
export async function emitTraces(address: string, more = 0): Promise<Said> {
  const exporter = new OTLPTraceExporter({ url: `http://${address}/v1/traces` })
  const provider = new TracerProvider({
    resource: resourceFromAttributes(shopResource),
    spanProcessors: [new BatchSpanProcessor({ exporter, maxQueueSize: 100_000 })],
  })
  const tracer = provider.getTracer('shop', '1.2.3')
  const start = Date.now() - 100
  const server = tracer.startSpan('GET /cart/{id}', {
    kind: SpanKind.SERVER,
    startTime: start,
    attributes: {
      'http.request.method': 'GET',
      'http.route': '/cart/{id}',
      'http.response.status_code': 500,
      'url.full': 'https://shop.example/cart/17',
      'client.address': '10.0.0.7',
      'customer.tier': 'gold',
    },
  })
  server.addEvent('exception', { 'exception.type': 'Broken', 'exception.message': 'no such cart' }, start + 5)
  server.setStatus({ code: SpanStatusCode.ERROR, message: 'no such cart' })
  const inside = trace.setSpan(context.active(), server)
  const database = tracer.startSpan(
    'SELECT carts',
    {
      kind: SpanKind.CLIENT,
      startTime: start + 10,
      attributes: {
        'db.system': 'postgresql',
        'db.statement': 'SELECT * FROM carts WHERE id = ?',
        'server.address': 'db-1',
        rows: 3,
      },
    },
    inside,
  )
  const inner = tracer.startSpan('compute', { startTime: start + 20 }, inside)
  inner.end(start + 30)
  database.end(start + 40)
  server.end(start + 60)
  for (let i = 0; i < more; i++) {
    const span = tracer.startSpan('GET /health', {
      kind: SpanKind.SERVER,
      root: true,
      startTime: start,
      attributes: { 'http.request.method': 'GET', 'http.route': '/health', 'http.response.status_code': 200 },
    })
    span.end(start + 1)
  }
  await provider.forceFlush()
  await provider.shutdown()
  const id = (span: typeof server) => span.spanContext().spanId
  return {
    traceId: server.spanContext().traceId,
    spanIds: { server: id(server), database: id(database), inner: id(inner) },
  }
}

/** One log record in the span of an id, and one in none. */
export async function emitLogs(address: string, { traceId, spanIds }: Said): Promise<void> {
  const exporter = new OTLPLogExporter({ url: `http://${address}/v1/logs` })
  const provider = new LoggerProvider({
    resource: resourceFromAttributes(shopResource),
    processors: [new BatchLogRecordProcessor({ exporter })],
  })
  const logger = provider.getLogger('shop', '1.2.3')
  const span = trace.setSpanContext(context.active(), { traceId, spanId: spanIds.server, traceFlags: 1 })
  logger.emit({
    body: 'cart 17 is gone',
    severityNumber: SeverityNumber.ERROR,
    severityText: 'ERROR',
    timestamp: Date.now(),
    attributes: { 'cart.id': 17, 'customer.tier': 'gold', nested: { deep: { list: [1, 2] } } },
    context: span,
  })
  logger.emit({ body: { text: 'structured', n: 1 }, severityNumber: SeverityNumber.INFO, timestamp: Date.now() })
  await provider.forceFlush()
  await provider.shutdown()
}
