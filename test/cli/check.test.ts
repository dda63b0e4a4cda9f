/** `kymo check --connect` as it is typed: before a rollout, and of a Kymo that runs. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kymo as command } from '../support/command.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'

const token = { KYMO_ADMIN_TOKEN: 'a-token' }
let folder: string
let running: KymoProcess
let admin: string
let server: http.Server
/** Paths that were asked for, with how much was sent there. */
const asked: string[] = []
const config = () => join(folder, 'kymo.yaml')

const yaml = (port: number, good: number, bad: number) => `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:${port}'}}}}
exporters:
  otlp_http/good: {endpoint: 'http://127.0.0.1:${good}', compression: none}
  otlp_http/bad: {endpoint: 'http://127.0.0.1:${bad}'}
service:
  telemetry: {logs: {encoding: json}, metrics: {readers: [{pull: {exporter: {prometheus: {port: 0}}}}]}}
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp_http/good]}
    logs: {receivers: [otlp], exporters: [otlp_http/good, otlp_http/bad]}
`

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kymo-'))
  server = http.createServer((request, response) => {
    asked.push(`${request.url} ${request.headers['content-length']}`)
    request.resume().on('end', () => response.end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  writeFileSync(config(), yaml(await freePort(), (server.address() as AddressInfo).port, await freePort()))
  running = spawnKymo(['run', '--config', config()], token)
  await running.until('"admin":"')
  admin = /"admin":"([^"]+)"/.exec(running.log())?.[1] ?? ''
}, 60_000)
afterAll(async () => {
  running.child.kill('SIGKILL')
  await running.ended
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

test('before a rollout each destination is told step by step, and one that fails is exit code 1', async () => {
  asked.length = 0
  const { code, out } = await command(['check', '--connect', '--config', config()])
  expect(code).toBe(1)
  expect(out).toMatch(/^otlp_http\/good {2}http:\/\/127\.0\.0\.1:\d+\/v1\/traces {2}\(traces\)\n {2}ok {6}tcp /)
  expect(out).toMatch(/\n {2}ok {6}request traces .* HTTP 200: it takes what is sent\n/)
  expect(out).toMatch(/\notlp_http\/bad .*\n {2}FAILED {2}tcp .*nobody listens there\n/)
  expect(out).toMatch(/\n1 of 3 destinations would take no data\n$/)
  expect(asked.toSorted()).toEqual(['/v1/logs 0', '/v1/traces 0'])
})

test('of one exporter alone, as JSON; all that hold are exit code 0', async () => {
  const { code, out } = await command(['check', '--connect', '-c', config(), 'otlp_http/good', '--json'])
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({
    result: 'ok',
    exporters: [
      {
        exporter: 'otlp_http/good',
        destinations: [
          {
            signals: ['traces'],
            steps: [{ step: 'tcp' }, { step: 'request traces', result: 'ok', facts: { status: 200 } }],
          },
          { signals: ['logs'] },
        ],
      },
    ],
  })
})

test('a Kymo that runs looks for whoever has the token, and tells of it in its events', async () => {
  const denied = await command(['check', '--connect', '--admin', admin])
  expect(denied.code).toBe(1)
  expect(denied.err).toContain('asks for a token')
  const { code, out } = await command(['check', '--connect', '--admin', admin, 'otlp_http/bad'], token)
  expect(code).toBe(1)
  expect(out).toMatch(/^otlp_http\/bad .*\n {2}FAILED {2}tcp .*\n.*\n1 of 1 destination would take no data\n$/)
  const byVariable = await command(['check', '--connect', '--running', '--json', 'otlp_http/good'], {
    ...token,
    KYMO_ADMIN: admin,
  })
  expect(byVariable.code).toBe(0)
  const events = await command(['events', '--kind', 'action', '--admin', admin], token)
  expect(events.out.match(/looked whether destinations would take data/g)).toHaveLength(2)
})

test.each([
  { args: [], says: /say what to look at: --connect/ },
  { args: ['--connect', '--config', '/no/such.yaml'], says: /such\.yaml/ },
  { args: ['--connect', '--config', 'yaml:{', 'x'], says: /nothing was started/ },
  { args: ['--connect', '--timeout', '2m'], says: /1ms to 60s/ },
  { args: ['--connect', '--running', '--config', 'x.yaml'], says: /leave out --config/ },
])('what cannot be asked is told: $args', async ({ args, says }) => {
  const { code, out, err } = await command(['check', ...args])
  expect(code).toBe(1)
  expect(out).toBe('')
  expect(err).toMatch(says)
})

test('a wrong name is told with the nearest right one, by a Kymo that runs, too', async () => {
  for (const where of [
    ['--config', config()],
    ['--admin', admin],
  ]) {
    const { code, err } = await command(['check', '--connect', ...where, 'otlp_http/gud'], token)
    expect(code).toBe(1)
    expect(err).toMatch(/`otlp_http\/gud` is no exporter here; .*otlp_http\/good/)
  }
})
