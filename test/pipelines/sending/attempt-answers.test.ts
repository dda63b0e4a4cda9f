/** Answers of destinations, as attempts hear them: silence, and what was sent. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ExporterDefinition, Sent } from '../../../core/component.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { datadogExporter } from '../../../exporters/datadog/datadog.ts'
import { loki } from '../../../exporters/loki/loki.ts'
import { otlpGrpcExporter } from '../../../exporters/otlp_grpc.ts'
import { otlpHttpExporter } from '../../../exporters/otlp_http.ts'
import { prometheusRemoteWrite } from '../../../exporters/prometheus_remote_write/prometheus_remote_write.ts'
import { type AttemptListener, RunningAttempt } from '../../../pipelines/sending/attempt.ts'
import { makeEntry } from '../../../pipelines/sending/entry.ts'
import type { Signal } from '../../../proto/signals.ts'
import { batchOf, exporterOf } from '../../support/exporting.ts'
import { encode } from '../../support/otlp.ts'

const sockets = new Set<Socket>()
const mute = createServer(socket => {
  socket.on('error', () => {}).resume()
  sockets.add(socket)
})
let address: string
beforeAll(async () => {
  mute.listen(0, '127.0.0.1')
  await once(mute, 'listening')
  address = `127.0.0.1:${(mute.address() as AddressInfo).port}`
})
afterAll(() => {
  for (const socket of sockets) socket.destroy()
  mute.close()
})

const requests: Partial<Record<Signal, Buffer>> = {
  logs: encode('ExportLogsServiceRequest', {
    resource_logs: [{ scope_logs: [{ log_records: [{ time_unix_nano: '1', body: { string_value: 'x' } }] }] }],
  }),
  metrics: encode('ExportMetricsServiceRequest', {
    resource_metrics: [
      {
        scope_metrics: [
          { metrics: [{ name: 'a', gauge: { data_points: [{ time_unix_nano: '1000000', as_double: 1 }] } }] },
        ],
      },
    ],
  }),
}

const entryOf = (signal: Signal) =>
  makeEntry(batchOf(requests[signal] ?? Buffer.alloc(0), signal), 0, { since: 0 } as never, {} as never)

test.each<[ExporterDefinition, Signal, (address: string) => object]>([
  [otlpHttpExporter, 'logs', at => ({ endpoint: `http://${at}` })],
  [otlpGrpcExporter, 'logs', at => ({ endpoint: at, tls: { insecure: true } })],
  [loki, 'logs', at => ({ endpoint: `http://${at}/loki/api/v1/push` })],
  [prometheusRemoteWrite, 'metrics', at => ({ endpoint: `http://${at}/api/v1/write` })],
  [
    datadogExporter,
    'logs',
    at => ({ api: { key: 'a'.repeat(32), fail_on_invalid_key: false }, logs: { endpoint: `http://${at}` } }),
  ],
])('$type', async (definition, signal, config) => {
  const { exporter } = exporterOf(definition, config(address), [signal])
  const over = Promise.withResolvers<DeliveryError | undefined>()
  const listener: AttemptListener = {
    settled() {},
    ended: (_attempt, failure) => over.resolve(failure),
    maybeTwice() {},
    fault: over.reject,
    tell: text => text,
  }
  new RunningAttempt(entryOf(signal), listener).begin(exporter, 60)
  const failure = await over.promise
  await exporter.stop?.()
  expect(failure).toMatchObject({ code: 'DELIVERY_TIMEOUT', kind: 'retry' })
  expect(failure?.message).toMatch(/no answer within 60ms \(`timeout`\)$/)
})

const more = { retryAfter: 5, maybeTaken: true, isThrottled: true }
const said = 'got key-4711'
test.each<[string, () => Promise<Sent>, object]>([
  [
    'a failure',
    () => Promise.reject(new DeliveryError('DELIVERY_BUSY', 'retry', said, more)),
    { failure: { code: 'DELIVERY_BUSY', kind: 'retry', message: 'got ****', ...more } },
  ],
  [
    'a partial success',
    () => Promise.resolve({ rejected: 1, message: said }),
    { sent: { rejected: 1, message: 'got ****' } },
  ],
])('of %s that repeats what was sent nothing is told that must not be', async (_, send, expected) => {
  const over = Promise.withResolvers<object>()
  const listener: AttemptListener = {
    settled() {},
    ended: (_attempt, failure, sent) => over.resolve({ failure, sent }),
    maybeTwice() {},
    fault: over.reject,
    tell: text => text.replaceAll('key-4711', '****'),
  }
  new RunningAttempt(entryOf('logs'), listener).begin({ send }, 0)
  expect(await over.promise).toMatchObject(expected)
})
