/** A user who lost data asks a Kymo that runs: from the command line and over HTTP. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { encodeField, encodeKeyValue, encodeValue } from '../../proto/values.ts'
import { kymo as command } from '../support/command.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'

const kymo = (...args: string[]) => command(args)

/** A request of `records` log records of one resource. */
function logs(attributes: Record<string, string>, records: number): Buffer {
  const resource = Object.entries(attributes).map(([key, value]) =>
    encodeKeyValue(0x0a, Buffer.from(key), encodeValue(value)),
  )
  const record = encodeField(0x12, encodeField(0x2a, encodeValue('hello')))
  const scope = Buffer.concat(Array.from({ length: records }, () => record))
  return encodeField(0x0a, Buffer.concat([encodeField(0x0a, Buffer.concat(resource)), encodeField(0x12, scope)]))
}

let running: KymoProcess
let admin = ''

beforeAll(async () => {
  const port = await freePort()
  const config = `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:${port}'}}}}
processors: {namespace_filter: {}}
exporters: {nop: {}, otlp_http/down: {endpoint: 'http://127.0.0.1:1', retry_on_failure: {initial_interval: 1m, max_interval: 1m}}}
service:
  telemetry: {logs: {encoding: json}, metrics: {readers: [{pull: {exporter: {prometheus: {port: 0}}}}]}}
  pipelines: {logs: {receivers: [otlp], processors: [namespace_filter], exporters: [nop, otlp_http/down]}}
`
  running = spawnKymo(['run', '--config', `yaml:${config}`])
  await running.until('"admin":"')
  admin = /"admin":"([^"]+)"/.exec(running.log())?.[1] ?? ''
  const send = async (body: Buffer) => {
    const headers = { 'content-type': 'application/x-protobuf' }
    const answer = await fetch(`http://127.0.0.1:${port}/v1/logs`, {
      method: 'POST',
      headers,
      body: new Uint8Array(body),
    })
    expect(answer.status).toBe(200)
  }
  for (let i = 0; i < 20; i++) await send(logs({ 'k8s.namespace.name': 'shop' }, 5))
  const lost = { 'k8s.namespace.name': 'kube-system', 'service.name': 'core\u001b[31mdns', 'k8s.pod.name': 'dns-7' }
  await send(Buffer.concat([logs(lost, 30), logs({ 'k8s.namespace.name': 'shop' }, 5)]))
})

afterAll(async () => {
  running.child.kill('SIGKILL')
  await running.ended
})

test('30 lost log records are found from the command line: batch, component, reason, sample of the resource', async () => {
  const began = performance.now()
  const { code, out } = await kymo('batches', '--dropped', '--admin', admin)
  expect(code).toBe(0)
  const row = /^ *(\d+) .*logs +35 +success +30 dropped by namespace_filter: namespace_system\n +(.*)$/m.exec(out)
  expect(row?.[2]).toContain('k8s.namespace.name=kube-system  service.name=core [31mdns  k8s.pod.name=dns-7')
  expect(out).not.toContain('\u001b')
  for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(120)

  const one = await kymo('batches', row?.[1] ?? '', '--admin', admin)
  expect(one.out).toMatch(/batch \d+: 35 log records from 127\.0\.0\.1:\d+, taken in by receiver otlp over http\n/)
  expect(one.out).toMatch(/processor namespace_filter +logs +dropped +30 +namespace_system\n/)
  expect(one.out).toMatch(/k8s\.pod\.name +dns-7\n/)
  expect(one.out).toMatch(/exporter nop +delivered +5 +after /)
  expect(performance.now() - began).toBeLessThan(10_000)
})

test('a batch of which an attempt failed tells what the destination answered', async () => {
  const { out } = await kymo('batches', '--what', 'attempt_failed', '--limit', '1', '--admin', admin)
  const id = /^ *(\d+) .*5 attempt failed by otlp_http\/down: DELIVERY_UNREACHABLE$/m.exec(out)?.[1]
  const { out: one } = await kymo('batches', id ?? '', '--admin', admin)
  expect(one).toMatch(/exporter otlp_http\/down +attempt failed +5 +DELIVERY_UNREACHABLE after .*\n.*ECONNREFUSED/)
})

test('and over HTTP', async () => {
  const answer = await fetch(`${admin}/v1/batches?dropped=true&since=10m&component=namespace_filter`)
  const { batches } = (await answer.json()) as { batches: { id: number }[] }
  expect(batches).toHaveLength(1)
  expect(batches[0]).toMatchObject({ receiver: 'otlp', signal: 'logs', items: 35, answer: 'success' })
  const one: unknown = await (await fetch(`${admin}/v1/batches/${batches[0].id}`)).json()
  expect(one).toEqual(batches[0])
  expect(one).toMatchObject({
    events: expect.arrayContaining([
      expect.objectContaining({
        component: 'namespace_filter',
        pipeline: 'logs',
        what: 'dropped',
        items: 30,
        reason: 'namespace_system',
        sample: expect.objectContaining({ 'k8s.namespace.name': 'kube-system' }),
      }),
    ]),
  })
})

test('the table of components tells states, drops and queues, in lines that fit', async () => {
  const { code, out } = await kymo('status', '--sort', 'errors', '--admin', admin)
  expect(code).toBe(0)
  const [head, , needs, what, command, , lost, , dropped, , pipelines, logs] = out.split('\n')
  const [headings, first] = out.slice(out.indexOf('COMPONENT ')).split('\n')
  expect(head).toMatch(/^kymo .*, running for .*books balance$/)
  expect(needs).toBe('What needs you:')
  expect(what).toMatch(
    /^ {2}! exporter otlp_http\/down is in trouble, \d+ items? waiting \(\d+% of its queue\): .*ECONNREFUSED.* \(since \d+/,
  )
  expect(command).toBe('      kymo batches --component otlp_http/down --what attempt_failed')
  expect(lost).toBe('Nothing was lost since the start.')
  expect(dropped).toBe('Dropped by rules since the start: 30 items; see `kymo losses --since 24h --by namespace`')
  expect(pipelines).toMatch(/^PIPELINE +STATE +IN\/S +PASSED\/S +DROPPED +HELD +WAY$/)
  expect(logs).toMatch(/^logs +RecoverableError .* 30 +0 +otlp -> namespace_filter.* -> .*otlp_http\/down/)
  expect(headings).toMatch(/^COMPONENT +KIND +OF +STATE .*P99$/)
  expect(first).toMatch(/^otlp_http\/down +exporter +logs +RecoverableError \d.* 2%/)
  expect(out).toMatch(/^namespace_filter +processor +logs +OK \d\S* .* 30$/m)
  for (const line of out.split('\n').slice(10, 15)) expect(line.length).toBeLessThanOrEqual(120)

  const json = await kymo('status', '--filter', 'namespace', '--json', '--admin', admin)
  const { components } = JSON.parse(json.out) as { components: unknown[] }
  expect(components).toMatchObject([{ id: 'namespace_filter', dropped: { namespace_system: 30 }, state: 'OK' }])
})

test.each([
  ['a word that is none', ['--signal', 'log'], 'logs'],
  ['an event that is none', ['--what', 'droped'], 'did you mean `dropped`?'],
  ['a component that does not run', ['--component', 'namespace_filtre'], 'did you mean `namespace_filter`?'],
  ['a time that is none', ['--since', 'yesterday'], '2026-11-20T14:30:00Z'],
])('%s is told, with the nearest right one', async (_, args, words) => {
  const { code, err } = await kymo('batches', ...args, '--admin', admin)
  expect(code).toBe(1)
  expect(err).toContain(words)
})

test.each([['status'], ['batches']])('%s says so when no Kymo answers', async command => {
  const port = await freePort()
  const { code, out, err } = await kymo(command, '--admin', `localhost:${port}`)
  expect(code).toBe(1)
  expect(out).toBe('')
  expect(err).toMatch(new RegExp(`no Kymo answers at http://localhost:${port}: .*ECONNREFUSED`))
  expect(err).toContain('--admin')
})
