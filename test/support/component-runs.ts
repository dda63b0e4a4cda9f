/** What each component needs to run in a test: its first example, unless that would listen or send somewhere real. */
import type { Definition } from '../../core/component.ts'

/** `port` is where whatever connects connects to. */
export function runnableConfig({ kind, type, examples }: Definition, port: number): unknown {
  const replaced: Record<string, unknown> = {
    'receiver otlp': {
      protocols: { grpc: { endpoint: '127.0.0.1:0' }, http: { endpoint: '127.0.0.1:0' } },
    },
    'receiver otlp_json_file': { include: ['/nowhere/*.json'] },
    'extension health_check': {
      use_v2: true,
      http: { endpoint: '127.0.0.1:0' },
      grpc: { endpoint: '127.0.0.1:0' },
    },
    'extension zpages': { endpoint: '127.0.0.1:0' },
    'extension headers_setter': { headers: [{ key: 'x-tenant', from_context: 'x-tenant' }] },
    'exporter datadog': {
      api: { key: 'k' },
      metrics: { endpoint: `http://127.0.0.1:${port}` },
      logs: { endpoint: `http://127.0.0.1:${port}` },
      traces: { endpoint: `http://127.0.0.1:${port}` },
    },
    'exporter file': { path: '/dev/null' },
    'exporter jaeger': { endpoint: `127.0.0.1:${port}` },
    'exporter loki': { endpoint: `http://127.0.0.1:${port}` },
    'exporter prometheus': { endpoint: '127.0.0.1:0' },
    'exporter prometheus_remote_write': { endpoint: `http://127.0.0.1:${port}` },
    'exporter otlp_grpc': { endpoint: `127.0.0.1:${port}`, tls: { insecure: true } },
    'exporter otlp_http': { endpoint: `http://127.0.0.1:${port}` },
  }
  return replaced[`${kind} ${type}`] ?? examples[0].config
}
