/** Somebody who knows nothing asks whether anything was lost: a process, its output, its exit code. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kymo as command } from '../support/command.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'

let running: KymoProcess
let send: (resources: Parameters<typeof tracesRequest>[0]) => Promise<number>
let losses: (...args: string[]) => ReturnType<typeof command>

beforeAll(async () => {
  const port = await freePort()
  const config = `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:${port}'}}}}
processors: {namespace_filter: {}}
exporters:
  nop: {}
  otlp_http/down:
    endpoint: 'http://127.0.0.1:1'
    retry_on_failure: {initial_interval: 1m, max_interval: 1m}
    sending_queue: {queue_size: 2, when_full: drop}
service:
  telemetry: {logs: {encoding: json}, metrics: {readers: [{pull: {exporter: {prometheus: {port: 0}}}}]}}
  pipelines: {traces: {receivers: [otlp], processors: [namespace_filter], exporters: [nop, otlp_http/down]}}
`
  running = spawnKymo(['run', '--config', `yaml:${config}`])
  await running.until('"admin":"')
  const admin = /"admin":"([^"]+)"/.exec(running.log())?.[1] ?? ''
  losses = (...args) => command(['losses', ...args, '--admin', admin])
  send = async resources => {
    const headers = { 'content-type': 'application/x-protobuf' }
    const body = new Uint8Array(tracesRequest(resources))
    return (await fetch(`http://127.0.0.1:${port}/v1/traces`, { method: 'POST', headers, body })).status
  }
})

afterAll(async () => {
  running.child.kill('SIGKILL')
  await running.ended
})

test('while nothing is lost it says so at once, and ends with 0', async () => {
  const first = await losses()
  expect([first.code, first.out]).toEqual([
    0,
    expect.stringMatching(/^nothing was lost since the process started \S+ ago\n\nNothing came in since/),
  ])
  expect(await send([{ namespace: 'kube-system\u001b[31m', spans: names('s', 3) }])).toBe(200)
  expect(await send([{ namespace: 'kube-system', spans: names('s', 4) }])).toBe(200)
  const { code, out } = await losses('--by', 'namespace')
  expect(code).toBe(0)
  expect(out).toMatch(/^nothing was lost .*\n4 items were dropped by rules: kymo batches --dropped --since 15m\n/)
  expect(out).toMatch(/^kube-system +4 +0 +0 +0 +0$/m)
})

test('what is lost is told first, with the command that goes on, and it ends with 2', async () => {
  for (let i = 0; i < 5; i++) expect(await send([{ namespace: 'a\u001b[31mb', spans: names('s', 3) }])).toBe(200)
  const { code, out } = await losses('--since', '1h', '--by', 'namespace')
  expect(code).toBe(2)
  const [first, next] = out.split('\n')
  expect(first).toMatch(/^\d+ items were lost since the process started/)
  expect(next).toBe('  kymo batches --what lost --since 1h')
  expect(out).toMatch(/^a \[31mb +0 +0 +0 +\d+ +0$/m)
  expect(out).not.toContain('\u001b')
  const json = JSON.parse((await losses('--json')).out) as { lost_for_good: number }
  expect(first).toContain(`${json.lost_for_good} items`)
})

test('nobody there ends with 1, and a wrong question says what is right', async () => {
  const nobody = await command(['losses', '--admin', 'http://127.0.0.1:1'])
  expect([nobody.code, nobody.err]).toEqual([1, expect.stringContaining('no Kymo answers at')])
  const wrong = await losses('--since', 'yesterday')
  expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('2026-11-20T14:30:00Z')])
})
