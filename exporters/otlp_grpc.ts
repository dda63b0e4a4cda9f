import * as z from 'zod'
import { defineExporter } from '../core/component.ts'
import { sending } from '../core/sending.ts'
import { grpcClient } from '../net/grpc-client-keys.ts'
import { allSignals } from '../proto/signals.ts'
import { OtlpGrpc } from './otlp-grpc-send.ts'

const config = z.strictObject({ ...grpcClient(), ...sending({ timeout: '5s' }) })

type Config = z.output<typeof config>

/** OTLP over gRPC. */
export const otlpGrpcExporter = defineExporter<Config>({
  type: 'otlp_grpc',
  aliases: ['otlp'],
  stability: 'beta',
  runs: 'each',
  summary: 'Sends to any OTLP backend or collector over gRPC.',
  signals: allSignals,
  ordering: 'none',
  config,
  examples: [
    { title: 'A gateway in the same cluster', config: { endpoint: 'gateway:4317', tls: { insecure: true } } },
    {
      title: 'A backend that wants a key',
      config: { endpoint: 'otlp.example.com:443', headers: { 'api-key': '${env:API_KEY}' } },
    },
  ],
  touches(_config) {
    return []
  },
  create(config, context) {
    return new OtlpGrpc(config, context)
  },
})
