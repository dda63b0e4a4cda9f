/** The receiver under ghz: gRPC of Go, many calls at a time on several connections. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-ghz-'))
afterAll(() => rmSync(folder, { recursive: true }))

const bin = join(process.env['BACKENDS_DIR'] ?? join(homedir(), '.cache/telemetry-backends'), 'bin')
const ghz = [join(bin, 'ghz'), join(homedir(), 'go/bin/ghz')].find(existsSync)
if (ghz === undefined) console.warn('skipped: ghz is not there')

let kymo: KymoProcess | undefined
let sink: OtlpSink | undefined
afterEach(async () => {
  kymo?.child.kill('SIGTERM')
  await kymo?.ended
  await sink?.close()
})

/** What ghz has to know of OTLP. It sends the fields it does not know as they stand in its file: all of them. */
const proto = `syntax = "proto3";
package opentelemetry.proto.collector.trace.v1;
service TraceService {
  rpc Export(ExportTraceServiceRequest) returns (ExportTraceServiceResponse);
}
message ExportTraceServiceRequest {}
message ExportTraceServiceResponse {}
`

/** What of ghz's report is looked at. */
interface Report {
  readonly count: number
  readonly statusCodeDistribution: Readonly<Record<string, number>>
  readonly errorDistribution: Readonly<Record<string, number>>
}

/** Sends `request` so many times. */
async function run(port: number, request: Buffer, total: number): Promise<Report> {
  const [schema, body] = [join(folder, 'otlp.proto'), join(folder, 'body')]
  writeFileSync(schema, proto)
  writeFileSync(body, request)
  const call = ['--proto', schema, '--call', 'opentelemetry.proto.collector.trace.v1.TraceService.Export']
  const load = ['--total', String(total), '--concurrency', '50', '--connections', '5', '--timeout', '60s']
  const args = ['--insecure', '--format', 'json', '--binary-file', body, ...call, ...load, `127.0.0.1:${port}`]
  const child = spawn(ghz ?? '', args)
  let text = ''
  let complaints = ''
  child.stdout.on('data', chunk => (text += String(chunk)))
  child.stderr.on('data', chunk => (complaints += String(chunk)))
  const [code] = (await once(child, 'close')) as [number]
  expect(code, complaints).toBe(0)
  return JSON.parse(text) as Report
}

const long = 'x'.repeat(100_000)

test.skipIf(ghz === undefined).each([
  ['small calls', 5000, names('s', 10)],
  // Many times what a window holds, of a stream and of the connection.
  ['calls of three megabytes', 100, names(long, 30)],
])('%s, fifty at a time on five connections, all arrive and are answered', async (_, total, spans) => {
  sink = await otlpSink()
  const port = await freePort()
  const config = {
    receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${port}` } } } },
    exporters: {
      // Room for all of them: a sink in the process of the test may be slower than ghz, which tries nothing again.
      otlp_grpc: { endpoint: sink.grpcEndpoint, tls: { insecure: true }, sending_queue: { queue_size: 5000 } },
    },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: { traces: { receivers: ['otlp'], exporters: ['otlp_grpc'] } },
    },
  }
  const file = join(folder, 'config.json')
  writeFileSync(file, JSON.stringify(config))
  kymo = spawnKymo(['run', '--admin', '127.0.0.1:0', '--config', file])
  await kymo.until('everything is ready')
  const report = await run(port, tracesRequest([{ namespace: 'shop', spans }]), total)
  expect(report).toMatchObject({ count: total, statusCodeDistribution: { OK: total } })
  expect(Object.keys(report.errorDistribution)).toEqual([])
  const arrived = () => (sink?.received ?? []).reduce((sum, { count }) => sum + count, 0)
  await expect.poll(arrived).toBe(total * spans.length)
  expect(sink.undecodable).toEqual([])
})
