/** What exporters over HTTP make of addresses and answers that are not what they should be: addresses with secrets, web pages. */
import { expect, onTestFinished, test } from 'vitest'
import { datadogExporter } from '../../exporters/datadog/datadog.ts'
import { deliveryErrorOfStatus } from '../../exporters/http-answer.ts'
import { jaeger } from '../../exporters/jaeger.ts'
import { loki } from '../../exporters/loki/loki.ts'
import { otlpGrpcExporter } from '../../exporters/otlp_grpc.ts'
import { otlpHttpExporter } from '../../exporters/otlp_http.ts'
import { prometheusRemoteWrite } from '../../exporters/prometheus_remote_write/prometheus_remote_write.ts'
import { ownExporter } from '../../telemetry/destination-config.ts'
import type { Signal } from '../../proto/signals.ts'
import { anySink } from '../support/any-sink.ts'
import { request, span } from '../support/datadog-spans.ts'
import { batchOf, complaints, exporterOf, forever, refusal } from '../support/exporting.ts'
import { logs } from '../support/loki-server.ts'
import { metricsRequest } from '../support/prometheus-page.ts'
import { configFor } from './datadog/datadog-runs.ts'

test('where a redirect points is told without its query', () => {
  const headers = { location: 'https://user:s3cret@other/x?token=s3cret' }
  const answer = { status: 302, headers, body: Buffer.alloc(0), truncated: false }
  const { message } = deliveryErrorOfStatus(answer, 'http://gateway/x', { retries: () => false })
  expect(message).toBe(
    'http://gateway/x: HTTP 302: redirects are not followed; ' +
      'set the endpoint to where it points: https://[REDACTED]@other/x?[REDACTED]',
  )
})

test.each([
  ['otlp_http', otlpHttpExporter, 'ftp://user:s3cret@host/x'],
  ['otlp_http', otlpHttpExporter, 'user:s3cret@host'],
  ['otlp_http', otlpHttpExporter, 'http://user:s3cret@ho st?token=s3cret'],
  ['otlp_grpc', otlpGrpcExporter, 'http://user:s3cret@host:4317'],
  ['otlp_grpc', otlpGrpcExporter, 'host:4317?token=s3cret'],
  ['loki', loki, 'ftp://user:s3cret@host/x?token=s3cret'],
  ['prometheus_remote_write', prometheusRemoteWrite, 'ftp://user:s3cret@host/x?token=s3cret'],
  ['jaeger', jaeger, 'ftp://user:s3cret@host/x?token=s3cret'],
])('%s complains without its secrets of an endpoint that is wrong', (_, definition, endpoint) => {
  const all = complaints(definition, { endpoint, protocol: definition === jaeger ? 'http' : undefined }).join('\n')
  expect(all).toContain('[REDACTED]')
  expect(all).not.toContain('s3cret')
})

test('own telemetry does, too', () => {
  const found = ownExporter.safeParse({ otlp_http: { endpoint: 'ftp://user:s3cret@host?token=s3cret' } })
  expect(JSON.stringify(found.error?.issues)).toContain('[REDACTED]@host')
  expect(JSON.stringify(found.error?.issues)).not.toContain('s3cret')
})

const data: Readonly<Record<Signal, Buffer>> = {
  traces: request([span({})]),
  logs: logs([{ 'service.name': 'shop' }, ['a']]),
  metrics: metricsRequest([
    { name: 'g', gauge: { data_points: [{ time_unix_nano: '1800000000000000000', as_int: 1 }] } },
  ]),
}

test.each([
  ['otlp_http', 'traces', otlpHttpExporter, (endpoint: string) => ({ endpoint })],
  ['loki', 'logs', loki, (endpoint: string) => ({ endpoint })],
  ['prometheus_remote_write', 'metrics', prometheusRemoteWrite, (endpoint: string) => ({ endpoint })],
  ['jaeger', 'traces', jaeger, (endpoint: string) => ({ endpoint, protocol: 'http' })],
  ['datadog', 'logs', datadogExporter, configFor],
  ['datadog', 'metrics', datadogExporter, configFor],
  ['datadog', 'traces', datadogExporter, configFor],
] as const)('a web page takes nothing, whatever its status says: %s, %s', async (_, signal, definition, config) => {
  const page = await anySink('text/html; charset=utf-8', '\n<!doctype html><title>Log in</title>')
  onTestFinished(page.close)
  const { exporter } = exporterOf(definition, config(page.url), [signal])
  await exporter.start?.()
  onTestFinished(() => exporter.stop?.())
  const error = await refusal(exporter.send(batchOf(data[signal], signal), forever))
  expect(error).toMatchObject({ code: 'DELIVERY_DENIED', kind: 'denied' })
  expect(error.message).toMatch(/answered with a web page/)
})
