/** An outage and its end as an operator has it: a service with its queues on disk, a backend that refuses, the commands. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { kymo as command, type Ran } from '../support/command.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { otlpSink, type OtlpSink } from '../support/otlp-sink.ts'
import { runService, type RunningService } from '../support/service.ts'

let directory: string
let sink: OtlpSink
let service: RunningService | undefined

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kymo-queue-'))
  sink = await otlpSink()
})
async function stop(): Promise<void> {
  const running = service
  service = undefined
  await running?.stop()
}

afterEach(async () => {
  await stop()
  await sink.close()
  rmSync(directory, { recursive: true })
})

/** A gateway whose exporter keeps its queue in `directory`. */
async function start(exporter = 'otlp_http/backend'): Promise<RunningService> {
  service = await runService(`
extensions:
  file_storage: {directory: '${directory}', max_size: 64MiB, segment_size: 1MiB, timeout: 100ms}
receivers:
  otlp: {protocols: {http: {endpoint: 'localhost:0'}}}
exporters:
  ${exporter}:
    endpoint: ${sink.httpEndpoint}
    sending_queue: {storage: file_storage}
    retry_on_failure: {initial_interval: 10ms, max_interval: 50ms}
service:
  extensions: [file_storage]
  pipelines:
    traces: {receivers: [otlp], exporters: [${exporter}]}
`)
  return service
}

async function send(...spans: string[]): Promise<number> {
  const { status } = await fetch(`http://${service?.endpoints[0]}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: new Uint8Array(tracesRequest([{ namespace: 'shop', spans }])),
  })
  return status
}

function kymo(...args: string[]): Promise<Ran> {
  const asking =
    service === undefined || args.includes('--directory') ? [] : ['--admin', `${service.service.adminAddress}`]
  return command([...args, ...asking])
}

const delivered = () => sink.items('traces').map(({ item }) => String(item['name']))
const graves = () => service?.service.books.nodes.reduce((sum, { deadLettered }) => sum + deadLettered.total, 0)
const refusing = () => ({ code: 3, message: 'this tenant is not known' })
const unreachable = () => ({ code: 14, message: 'down' })

test('what a backend rejects is put aside, listed, and sent again when the backend is mended: each item arrives once', async () => {
  sink.answer = refusing
  const { page, service: running } = await start()
  expect(await send(...names('a', 3))).toBe(200)
  await expect.poll(graves).toBe(3)
  const [listed, letters] = await Promise.all([
    kymo('queue', 'ls'),
    kymo('queue', 'ls', '--dead-letters', '--reason', 'rejected'),
  ])
  expect(listed).toMatchObject({ code: 0, err: '' })
  expect(listed.out).toMatch(/^storage file_storage: ok, room for \d/)
  expect(listed.out).toMatch(/^otlp_http\/backend traces +file_storage +in use/m)
  expect(listed.out).toMatch(/^otlp_http\/backend traces +file_storage +rejected +\d +3 /m)
  expect(letters.out).toContain('this tenant is not known')
  expect(letters.out).toContain('k8s.namespace.name=shop')

  // Not mended yet: it comes back to where it was.
  const early = await kymo('replay')
  expect(early).toMatchObject({
    code: 1,
    out: expect.stringMatching(
      /^replayed 0 of 3 items in 3 batches; 3 were refused again, and put aside anew: .*not known$/m,
    ),
  })
  await expect.poll(graves).toBe(6)
  expect(delivered()).toEqual([])

  sink.answer = () => undefined
  expect(await kymo('replay', '--exporter', 'otlp_http/backend')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^replayed 3 of 3 items/),
  })
  await expect.poll(delivered).toHaveLength(3)
  expect(delivered().toSorted()).toEqual(names('a', 3))
  expect((await kymo('replay')).out).toBe('nothing to replay: no record matches\n')
  expect(running.books.faults()).toEqual([])
  expect(JSON.parse((await kymo('queue', 'ls', '--json')).out)).toMatchObject({
    queues: [{ records: 0, totals: { appended: 9, dead_lettered: 6, delivered: 3 } }],
    dead_letters: [{ records: 0, totals: { appended: 6, handed_over: 6 } }],
  })
  const metrics = await page('/metrics')
  for (const line of [
    'kymo_queue_disk_records{storage="file_storage",exporter="otlp_http/backend",data_type="traces"} 0',
    'kymo_storage_state{storage="file_storage",state="ok"} 1',
    'kymo_dead_letters_ended_items_total{storage="file_storage",ending="handed_over"} 6',
  ]) {
    expect(metrics).toContain(line)
  }
  expect(metrics).toMatch(/otelcol_receiver_accepted_spans(?:_total)?\{receiver="replay",transport="replay"\} 6/)
})

test('a queue whose exporter is gone is kept and told, and can be exported, sent elsewhere, and dropped', async () => {
  sink.answer = unreachable
  await start('otlp_http/old')
  expect(await send('1', '2')).toBe(200)
  expect(await send('3')).toBe(200)
  await stop()

  const offline = await kymo('queue', 'ls', '--directory', directory)
  expect(offline.out).toMatch(/^otlp_http\/old traces +worker-0 +on disk +2 +3 /m)
  const file = join(directory, 'old.jsonl')
  const queue = ['--queue', 'otlp_http/old traces']
  expect(await kymo('queue', 'export', ...queue, '--directory', directory, '--to', file)).toMatchObject({ code: 0 })
  expect(readFileSync(file, 'utf8').match(/"name":"\d"/g)).toEqual(['"name":"1"', '"name":"2"', '"name":"3"'])
  // It may be all that is left of something.
  expect(await kymo('queue', 'export', ...queue, '--directory', directory, '--to', file)).toMatchObject({ code: 1 })

  sink.answer = () => undefined
  const { lines, page } = await start('otlp_http/new')
  expect(lines).toContainEqual(expect.objectContaining({ level: 'warn', queue: 'otlp_http/old traces', items: 3 }))
  expect(JSON.parse(await page('/status'))).toMatchObject({
    storages: [{ id: 'file_storage', state: 'ok' }],
    orphans: [{ owner: 'otlp_http/old traces', records: 2 }],
  })
  const [shown, beside] = await Promise.all([kymo('queue', 'ls'), kymo('queue', 'ls', '--directory', directory)])
  expect(beside.out).toMatch(/^otlp_http\/old traces +worker-0 +on disk +2 +3 /m)
  expect(shown.out).toContain("kymo queue drop --queue 'otlp_http/old traces' --yes")
  const locked = await kymo('queue', 'drop', ...queue, '--yes', '--directory', directory)
  expect(locked).toMatchObject({ code: 1, err: expect.stringContaining(`process ${process.pid}`) })
  expect(locked.err).toContain('admin server')

  expect(await kymo('replay', ...queue, '--limit', '1')).toMatchObject({
    code: 1,
    err: expect.stringContaining('no pipeline of traces has exporter `otlp_http/old`'),
  })
  expect(await kymo('replay', ...queue, '--limit', '1', '--pipeline', 'traces')).toMatchObject({ code: 0 })
  await expect.poll(delivered).toEqual(['1', '2'])
  expect(await kymo('queue', 'drop', ...queue)).toMatchObject({ code: 1, err: expect.stringContaining('--yes') })
  // The last one goes while nothing runs.
  await stop()
  expect(await kymo('queue', 'drop', ...queue, '--yes', '--directory', directory)).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^dropped 1 items in 1 batches/),
  })
  expect((await kymo('queue', 'ls', '--directory', directory)).out).toMatch(/^otlp_http\/old traces .* on disk +0 /m)
})

test.each([
  [['queue', 'ls', '--directory', '/nowhere'], 'cannot be read'],
  [['queue', 'ls', '--directory', import.meta.dirname], 'no directory of a `file_storage`'],
  [['queue', 'export'], '`kymo queue ls` tells'],
  [['queue', 'drop', '--queue', 'a b', '--dead-letters', '--yes'], 'say which'],
  [['queue', 'ls', '--admin', 'localhost:1'], 'no Kymo answers'],
])('%j is told what to do', async (args, text) => {
  const { code, out, err } = await kymo(...args)
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toContain(text)
  expect(err).not.toContain('at file:')
  expect(existsSync(join(import.meta.dirname, 'worker-0'))).toBe(false)
})
