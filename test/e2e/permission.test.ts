/** The command lines of docs/hardening.md: the bundle under Node's permission model takes data, and may do nothing else. */
import { spawn, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { buildTo } from '../support/bundle.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/hardening.md'), 'utf8')
const commands = [...page.matchAll(/^node (--permission .*) kymo\.mjs (.*)$/gm)].map(
  ([, options, rest]) => `${options} kymo.mjs ${rest}`,
)

let folder: string
let sink: OtlpSink
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kymo-permission-'))
  buildTo(join(folder, 'kymo.mjs'))
  mkdirSync(join(folder, 'etc'))
  for (const name of ['gateway.yaml', 'durable.yaml']) {
    copyFileSync(join(root, 'examples', name), join(folder, 'etc', name))
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

const stopping: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop()
})

/** The arguments of a command of the page, with its folders where they are here. */
function argumentsOf(command: string): string[] {
  mkdirSync(join(folder, 'lib'), { recursive: true })
  return command
    .replaceAll('/etc/kymo', join(folder, 'etc'))
    .replaceAll('/var/lib/kymo', join(folder, 'lib'))
    .replace('kymo.mjs', join(folder, 'kymo.mjs'))
    .split(' ')
}

const anyPort = [
  'receivers.otlp.protocols.grpc.endpoint=127.0.0.1:0',
  'receivers.otlp.protocols.http.endpoint=127.0.0.1:0',
  'extensions.health_check.endpoint=127.0.0.1:0',
  'service.telemetry.logs.encoding=json',
  'service.telemetry.metrics.readers=[{pull: {exporter: {prometheus: {host: 127.0.0.1, port: 0}}}}]',
]

function run(command: string, sets: readonly string[]) {
  const args = [...argumentsOf(command), ...sets.flatMap(set => ['--set', set])]
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], KYMO_STORAGE: join(folder, 'lib') },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', chunk => (log += String(chunk)))
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  stopping.push(() => child.exitCode ?? (child.kill('SIGKILL'), ended))
  return { child, ended, log: () => log }
}

test('the page has a command without, and one with storage', () => {
  expect(commands.map(command => /(\w+)\.yaml$/.exec(command)?.[1])).toEqual(['gateway', 'durable'])
})

test.each(commands.map(command => [/(\w+)\.yaml$/.exec(command)?.[1] ?? '', command]))(
  '%s.yaml takes a span and sends it on',
  async (name, command) => {
    sink = await otlpSink()
    stopping.push(() => sink.close())
    const to =
      name === 'gateway'
        ? ['extensions.zpages.endpoint=127.0.0.1:0', `exporters.otlp_http.endpoint=${sink.httpEndpoint}`]
        : [`exporters.otlp_grpc.endpoint=${sink.grpcEndpoint}`]
    const { child, ended, log } = run(command, [...anyPort, ...to])
    await expect.poll(log, { timeout: 120_000 }).toContain('everything is ready')
    const http = /"protocol":"http","endpoint":"([^"]+)"/.exec(log())?.[1]
    const answer = await fetch(`http://${http}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body: tracesRequest([{ spans: names('s', 3) }]),
    })
    expect(answer.status).toBe(200)
    await expect.poll(() => sink.items('traces').length, { timeout: 60_000 }).toBe(3)
    if (name === 'durable') expect(readdirSync(join(folder, 'lib')).length).toBeGreaterThan(0)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(log()).not.toMatch(/"level":"(?:error|warn)"/)
  },
)

test.each([
  [
    'a file to read',
    0,
    [
      'extensions.zpages.endpoint=127.0.0.1:0',
      'processors.resource.attributes=[{key: a, value: "${file:/etc/hostname}", action: insert}]',
    ],
    '/etc/hostname',
  ],
  ['a folder to write to', 1, ['extensions.file_storage.directory=/tmp/kymo-elsewhere'], '/tmp/kymo-elsewhere'],
])('%s beyond what is allowed is refused at start, with its name', async (_, command, sets, name) => {
  const { ended, log } = run(commands[command], [...anyPort, ...sets])
  expect(await ended).toBe(1)
  expect(log()).toContain(name)
  expect(existsSync('/tmp/kymo-elsewhere')).toBe(false)
})

test('a large configuration is reloaded although no thread may read it', async () => {
  const path = join(folder, 'etc/gateway.yaml')
  const small = readFileSync(path, 'utf8')
  stopping.push(() => writeFileSync(path, small))
  const to = ['extensions.zpages.endpoint=127.0.0.1:0', 'exporters.otlp_http.endpoint=http://127.0.0.1:9']
  const { child, ended, log } = run(commands[0], [...anyPort, ...to])
  await expect.poll(log, { timeout: 120_000 }).toContain('everything is ready')
  writeFileSync(path, `${small}\n${'# a remark that makes it long\n'.repeat(1000)}`)
  child.kill('SIGHUP')
  await expect.poll(log, { timeout: 60_000 }).toContain('reload')
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
  expect(log()).not.toMatch(/"level":"(?:error|warn)"/)
})

test('without permission for it nothing else is started or loaded', () => {
  const probe = join(folder, 'etc/probe.mjs')
  writeFileSync(
    probe,
    `import { spawnSync } from 'node:child_process'
     import { Worker } from 'node:worker_threads'
     for (const attempt of [() => spawnSync('true'), () => new Worker('0', { eval: true })]) {
       try { attempt(); console.log('started') } catch (error) { console.log(error.code) }
     }`,
  )
  const options = argumentsOf(commands[1].split(' kymo.mjs')[0])
  const { stdout } = spawnSync(process.execPath, [...options, probe], { encoding: 'utf8' })
  expect(stdout).toBe('ERR_ACCESS_DENIED\nERR_ACCESS_DENIED\n')
})
