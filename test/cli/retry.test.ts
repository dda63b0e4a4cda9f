/** `kymo retry` as it is typed, of a Kymo whose destination was away. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kymo as command } from '../support/command.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

const token = { KYMO_ADMIN_TOKEN: 'a-token' }
let folder: string
let running: KymoProcess
let admin: string
let port: number
let server: http.Server
let status = 503

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kymo-'))
  server = http.createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(status, status === 503 ? { 'retry-after': '90' } : {}).end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = await freePort()
  const config = join(folder, 'kymo.yaml')
  writeFileSync(
    config,
    `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:${port}'}}}}
exporters:
  otlp_http/away:
    endpoint: 'http://127.0.0.1:${(server.address() as AddressInfo).port}'
    retry_on_failure: {initial_interval: 50s, max_interval: 60s, randomization_factor: 0}
service:
  telemetry: {logs: {encoding: json}, metrics: {readers: [{pull: {exporter: {prometheus: {port: 0}}}}]}}
  pipelines: {traces: {receivers: [otlp], exporters: [otlp_http/away]}}
`,
  )
  running = spawnKymo(['run', '--config', config], token)
  await running.until('"admin":"')
  admin = /"admin":"([^"]+)"/.exec(running.log())?.[1] ?? ''
}, 60_000)
afterAll(async () => {
  running.child.kill('SIGKILL')
  await running.ended
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

const retry = (...more: string[]) => command(['retry', 'otlp_http/away', '--admin', admin, ...more], token)

test('status says when the next attempt is and the command for at once, which tells what the destination says', async () => {
  expect(await retry()).toMatchObject({ code: 0, out: expect.stringContaining('(traces): nothing waits; ') })
  await fetch(`http://127.0.0.1:${port}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: new Uint8Array(tracesRequest([{ spans: ['a', 'b'] }])),
  })
  const shown = async () => (await command(['status', '--admin', admin], token)).out
  await expect.poll(shown).toMatch(/otlp_http\/away is in trouble.*next attempt in \d+ s.*`kymo retry otlp_http\/away`/)
  const failed = await retry()
  expect(failed.code).toBe(1)
  expect(failed.out).toMatch(
    /^otlp_http\/away \(traces\): failed after \d+ ms, 2 items: .*503.* \(DELIVERY_\w+\); the destination had asked to be left alone for \d+ s more; the next attempt is in \d+ s\n$/,
  )
  status = 200
  const json = await retry('--json')
  expect(json.code).toBe(0)
  expect(JSON.parse(json.out)).toEqual({
    retried: [
      {
        exporter: 'otlp_http/away',
        signal: 'traces',
        outcome: 'taken',
        items: 2,
        took_ms: expect.any(Number),
        asked_to_wait_seconds: expect.any(Number),
        queue: 0,
        next_attempt_in_seconds: null,
      },
    ],
  })
  const { out } = await command(['events', '--kind', 'action', '--admin', admin], token)
  expect(out).toContain('had an exporter try what waits; by 127.0.0.1')
})

test.each([
  [
    'an exporter that there is not',
    ['retry', 'otlp_http/awya'],
    /no exporter is called `otlp_http\/awya`.*otlp_http\/away/s,
  ],
  ['a signal it does not send', ['retry', 'otlp_http/away', '--signal', 'logs'], /sends no logs.*traces/s],
  ['too long a wait', ['retry', 'otlp_http/away', '--timeout', '5m'], /1ms to 60s/],
])('%s is told', async (_, args, text) => {
  const { code, err } = await command([...args, '--admin', admin], token)
  expect([code, err]).toEqual([1, expect.stringMatching(text)])
})

test('it takes the token', async () => {
  const { code, err } = await command(['retry', 'otlp_http/away', '--admin', admin])
  expect([code, err]).toEqual([1, expect.stringContaining('asks for a token')])
})
