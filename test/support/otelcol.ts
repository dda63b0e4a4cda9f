/** The OpenTelemetry Collector as a peer; `OTELCOL` is the path of its binary, with otlp receiver and otlp exporters. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './kymo.ts'

export const otelcol = process.env['OTELCOL'] ?? ''

/** A Collector that forwards everything. */
export interface Collector {
  readonly child: ChildProcess
  readonly grpc: string
  readonly http: string
  log(): string
  stop(): Promise<void>
}

/** Starts one with a single exporter: its id and its settings as YAML. */
export async function startCollector(exporter: string, settings: string): Promise<Collector> {
  const [grpcPort, httpPort] = [await freePort(), await freePort()]
  const folder = mkdtempSync(join(tmpdir(), 'kymo-otelcol-'))
  const config = join(folder, 'config.yaml')
  writeFileSync(
    config,
    `
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:${grpcPort}'}, http: {endpoint: '127.0.0.1:${httpPort}'}}}}
exporters: {${exporter}: ${settings}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [${exporter}]}
    metrics: {receivers: [otlp], exporters: [${exporter}]}
    logs: {receivers: [otlp], exporters: [${exporter}]}
`,
  )
  const child = spawn(otelcol, ['--config', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  const ended = new Promise<void>(resolve => child.on('close', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', chunk => {
      log += String(chunk)
      if (log.includes('Everything is ready')) resolve()
    })
    child.on('error', reject)
    void ended.then(() => reject(new Error(`the Collector ended:\n${log}`)))
  })
  return {
    child,
    grpc: `127.0.0.1:${grpcPort}`,
    http: `127.0.0.1:${httpPort}`,
    log: () => log,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true })
    },
  }
}
