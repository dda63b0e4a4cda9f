/** One archive of what a process tells of itself: all of it is there, and no secret is, wherever it came from. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tarOf } from '../../cli/tar.ts'
import { kymo as command, type Ran } from '../support/command.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'

const marks = {
  header: 'zq7x-header',
  variable: 'zq7x-variable',
  file: 'zq7x-file',
  url: 'zq7x-url',
  set: 'zq7x-set',
  token: 'zq7x-token',
  other: 'zq7x-other-variable',
  sent: 'zq7x-sent-header',
  body: 'zq7x-body',
  wrong: 'zq7x-wrong-reload',
}

let folder: string
let running: KymoProcess
let admin: string
const env = { KYMO_ADMIN_TOKEN: marks.token, CANARY: marks.variable, OTEL_OTHER_SECRET: marks.other }
const file = (name: string) => join(folder, name)

const yaml = (port: number, more = '') => `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:${port}', include_metadata: true}}}}
exporters:
  otlp_http:
    endpoint: 'http://somebody:${marks.url}@127.0.0.1:9/\${env:CANARY}'
    headers: {authorization: 'Bearer ${marks.header}', x-file: '\${file:${file('secret')}}'}
    retry_on_failure: {initial_interval: 10ms}
extensions: {bearertokenauth: {token: '\${env:CANARY}'}}
service:
  extensions: [bearertokenauth]
  telemetry: {logs: {level: debug, encoding: json}, metrics: {readers: [{pull: {exporter: {prometheus: {port: 0}}}}]}}
  pipelines: {traces: {receivers: [otlp], exporters: [otlp_http${more}]}}
`

const span = Buffer.from(
  '\nA\n\x18\n\x16\n\x0cservice.name\x12\x06\n\x04curl\x12%\x12#\n\x10my-first-traceid\x12\x08spanid01*\x05hello',
  'latin1',
)

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kymo-'))
  const port = await freePort()
  writeFileSync(file('secret'), marks.file)
  writeFileSync(file('kymo.yaml'), yaml(port))
  const set = `exporters.otlp_http.headers.x-set=${marks.set}`
  running = spawnKymo(['run', '--config', file('kymo.yaml'), '--set', set], env)
  await running.until('"admin":"')
  admin = /"admin":"([^"]+)"/.exec(running.log())?.[1] ?? ''
  const post = (body: string | Buffer) =>
    fetch(`http://127.0.0.1:${port}/v1/traces`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-protobuf',
        authorization: `Bearer ${marks.sent}`,
        cookie: marks.sent,
        'x-api-key': marks.sent,
      },
      body: typeof body === 'string' ? body : new Uint8Array(body),
    })
  expect((await post(span)).status).toBe(200)
  expect((await post(`\x7f${marks.body}`)).status).toBe(400)
  await running.until('destination takes nothing')
  // What is wrong with the files is told, and what runs is another configuration.
  writeFileSync(file('kymo.yaml'), yaml(port, ', "${env:CANARY}"').replace(`Bearer ${marks.header}`, marks.wrong))
  running.child.kill('SIGHUP')
  await running.until('was not taken over')
}, 60_000)
afterAll(async () => {
  running.child.kill('SIGKILL')
  await running.ended
  rmSync(folder, { recursive: true, force: true })
})

const bundle = (out: string, more: NodeJS.ProcessEnv = env): Promise<Ran> =>
  command(['support-bundle', '--admin', admin, '--out', out], more)

/** Files of an archive, by name. */
function untar(archive: Buffer): Map<string, string> {
  const files = new Map<string, string>()
  for (let at = 0; archive[at] !== 0;) {
    const text = (from: number, to: number) => archive.toString('latin1', at + from, at + to).replace(/\0.*$/s, '')
    const size = Number.parseInt(text(124, 136), 8)
    files.set(text(0, 100), archive.toString('utf8', at + 512, at + 512 + size))
    at += 512 + Math.ceil(size / 512) * 512
  }
  return files
}

test('everything is in it, of the configuration that runs', async () => {
  const { code, err } = await bundle(file('a.tar.gz'))
  expect(err).toContain('15 files')
  expect(code).toBe(0)
  expect(statSync(file('a.tar.gz')).mode & 0o777).toBe(0o600)
  const files = untar(gunzipSync(readFileSync(file('a.tar.gz'))))
  const names =
    'status.json process.json config.yaml config.json reloads.json events.json log.jsonl metrics.txt ' +
    'components.json batches.json losses.json queues.json senders.json refused.json README.txt'
  expect([...files.keys()]).toEqual(names.split(' ').map(name => `kymo-support/${name}`))
  const of = (name: string) => files.get(`kymo-support/${name}`) ?? ''
  const json = (name: string) => JSON.parse(of(name)) as Record<string, unknown>
  expect(of('README.txt')).not.toContain('MISSING')
  expect(of('config.yaml')).toContain('authorization: "[REDACTED]" # ')
  expect(of('config.yaml')).toMatch(/ initial_interval: 10ms # \S+\/kymo\.yaml:7:\d+\n/)
  expect(of('config.yaml')).toContain('timeout: 30s # default')
  expect(json('status.json')).toMatchObject({ process: { node: process.versions.node }, needs_you: expect.any(Array) })
  expect(json('process.json')).toMatchObject({ limits: expect.any(Object), memory: expect.any(Object) })
  expect(json('config.json')).toMatchObject({ last_reload: { result: 'failed', trigger: 'SIGHUP' } })
  expect(json('reloads.json')).toMatchObject({ events: [{ fields: { trigger: 'SIGHUP', result: 'failed' } }] })
  expect(of('events.json')).toContain('destination of traces takes nothing')
  expect(of('log.jsonl').trimEnd().split('\n').length).toBeGreaterThan(5)
  expect(of('metrics.txt')).toContain('kymo_component_items_total')
  expect(of('batches.json')).toContain('attempt_failed')
  expect(json('losses.json')).toMatchObject({ from: expect.any(String), lost_for_good: 0 })
  expect(json('refused.json')).toMatchObject({ refused: [{ reason: 'malformed' }] })
})

test('no secret is in it: not of the configuration, of variables and files, of headers, nor how bodies begin', async () => {
  const { out, code, err } = await bundle('-')
  expect(code, err).toBe(0)
  expect(out.length).toBeGreaterThan(1000)
  expect((await bundle(file('b.tar.gz'))).code).toBe(0)
  const text = gunzipSync(readFileSync(file('b.tar.gz'))).toString('latin1')
  const found = Object.entries(marks).filter(([, mark]) => text.toLowerCase().includes(mark))
  expect(found).toEqual([])
})

test('the marks are there to be found', () => {
  // Or the test above could not fail.
  const config = readFileSync(file('kymo.yaml'), 'utf8')
  expect(config).toContain(marks.wrong)
  expect(config).toContain(marks.url)
  expect(readFileSync(file('secret'), 'utf8')).toContain(marks.file)
})

test('what is there already stays as it is', async () => {
  writeFileSync(file('there'), 'precious')
  const { code, err } = await bundle(file('there'))
  expect(code).toBe(1)
  expect(err).toContain('it is there already; name another file with --out')
  expect(readFileSync(file('there'), 'utf8')).toBe('precious')
})

test('where nobody answers nothing is written', async () => {
  const { code, err } = await command([
    'support-bundle',
    '--admin',
    `127.0.0.1:${await freePort()}`,
    '-o',
    file('none'),
  ])
  expect(code).toBe(1)
  expect(err).toContain('no Kymo answers')
  expect(existsSync(file('none'))).toBe(false)
})

test('an archive has what was put into it, as tar reads it', () => {
  const names = fc.stringMatching(/^[a-z][a-z.-]{0,40}$/)
  const content = fc.uint8Array({ maxLength: 2000 }).map(bytes => Buffer.from(bytes).toString('utf8'))
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(names, content), { selector: ([name]) => name }), list => {
      const files = new Map(list)
      const archive = tarOf(new Map([...files].map(([name, text]) => [name, Buffer.from(text)])), 1_700_000_000_000)
      expect(archive.length % 512).toBe(0)
      expect(untar(archive)).toEqual(files)
    }),
  )
  const text = execFileSync('tar', ['-xOf', '-', 'b'], {
    input: tarOf(
      new Map([
        ['a', Buffer.from('one')],
        ['b', Buffer.from('two')],
      ]),
      Date.now(),
    ),
  })
  expect(text.toString()).toBe('two')
})
