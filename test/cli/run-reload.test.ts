/** A process whose configuration changes while it runs. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { grpcSender } from '../support/otlp-send.ts'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'

let folder: string
let kymo: KymoProcess | undefined
let sink: OtlpSink
let grpc: number
let admin: number
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kymo-'))
  sink = await otlpSink()
  grpc = await freePort()
  admin = await freePort()
})
afterEach(async () => {
  kymo?.child.kill('SIGKILL')
  await kymo?.ended
  await sink.close()
  rmSync(folder, { recursive: true, force: true })
})

const yaml = (value: string, more = '') => `
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:${grpc}'${more}}}}}
processors: {resource: {attributes: [{key: made, value: ${value}, action: upsert}]}}
exporters: {otlp_grpc: {endpoint: '${sink.grpcEndpoint}', tls: {insecure: true}}}
service:
  telemetry:
    logs: {encoding: json}
    metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: ${admin}}}}}]}
  pipelines: {traces: {receivers: [otlp], processors: [resource], exporters: [otlp_grpc]}}
`
const file = (name: string) => join(folder, name)

async function start(...args: string[]): Promise<KymoProcess> {
  kymo = spawnKymo(['run', ...args])
  await kymo.until('everything is ready')
  return kymo
}

const page = async (path: string) => (await fetch(`http://127.0.0.1:${admin}${path}`)).json()
const taken = (result: string) =>
  expect
    .poll(async () => ((await page('/status')) as { config: { last_reload: unknown } }).config.last_reload)
    .toMatchObject({ result })

test('SIGHUP takes a changed file over and leaves what runs alone when the file is wrong; a connection goes on', async () => {
  writeFileSync(file('kymo.yaml'), yaml('one'))
  const { child, lines, ended } = await start('--config', file('kymo.yaml'))
  const sender = grpcSender(`127.0.0.1:${grpc}`)
  const send = async (name: string) => (await sender.send('traces', tracesRequest([{ spans: [name] }]))).code
  expect(await send('a')).toBe(0)
  writeFileSync(file('kymo.yaml'), yaml('two'))
  child.kill('SIGHUP')
  await taken('applied')
  expect(await send('b')).toBe(0)
  writeFileSync(file('kymo.yaml'), yaml('three').replace('exporters: {otlp_grpc:', 'exporters: {otlp_grcp:'))
  child.kill('SIGHUP')
  await taken('failed')
  // What runs, whatever the file says by now.
  const { yaml: running } = (await page('/v1/config/effective')) as { yaml: string }
  expect(running).toMatch(/value: two # \S+kymo\.yaml:3:\d+\n/)
  expect(lines()).toContainEqual(expect.objectContaining({ level: 'error', module: 'reload', line: 4 }))
  expect(await send('c')).toBe(0)
  // Another setting of the receiver: the port stays open, the connection is told to go and comes again.
  writeFileSync(file('kymo.yaml'), yaml('four', ', max_recv_msg_size_mib: 8'))
  child.kill('SIGHUP')
  await taken('applied')
  expect(await send('d')).toBe(0)
  sender.close()
  const made = () =>
    sink.items('traces').map(({ resource }) => JSON.stringify(resource).match(/one|two|three|four/)?.[0])
  await expect.poll(made).toEqual(['one', 'two', 'two', 'four'])
  expect(((await page('/status')) as { books_faults: unknown }).books_faults).toEqual([])
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
})

test('with --watch a changed file, and what it refers to, is taken over, as Kubernetes exchanges it', async () => {
  for (const version of ['..1', '..2']) mkdirSync(file(version))
  symlinkSync('..1', file('..data'))
  symlinkSync('..data/kymo.yaml', file('kymo.yaml'))
  symlinkSync('..data/value', file('value'))
  const referring = yaml(`"\${file:${file('value')}}"`)
  for (const [version, value] of [
    ['..1', 'one'],
    ['..2', 'two'],
  ]) {
    writeFileSync(file(`${version}/kymo.yaml`), referring)
    writeFileSync(file(`${version}/value`), value)
  }
  await start('--watch', '--config', file('kymo.yaml'))
  symlinkSync('..2', file('..tmp'))
  renameSync(file('..tmp'), file('..data'))
  await taken('applied')
  const { last_reload: last } = (await page('/v1/config')) as { last_reload: object }
  expect(last).toMatchObject({ trigger: 'files', plan: { components: [{ kind: 'processor', id: 'resource' }] } })
})
