/** A14, A18 and A19 of the faults of November 2026: what a sender is told, and that it can hear it. */
import { gzipSync } from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { encode } from '../support/otlp.ts'
import { runService, type RunningService } from '../support/service.ts'

const running: RunningService[] = []
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop()
})

async function service(http = '', more = ''): Promise<RunningService & { readonly door: string }> {
  const one = await runService(`
receivers: {otlp: {protocols: {http: {endpoint: 127.0.0.1:0${http}}}}}
exporters: {nop: }
${more}
service:
  ${more === '' ? '' : 'extensions: [bearertokenauth]'}
  pipelines:
    traces: {receivers: [otlp], exporters: [nop]}
    metrics: {receivers: [otlp], exporters: [nop]}
    logs: {receivers: [otlp], exporters: [nop]}`)
  running.push(one)
  return Object.assign(one, { door: `http://${one.endpoints[0]}` })
}

const json = { 'content-type': 'application/json' }
const protobuf = { 'content-type': 'application/x-protobuf' }
const post = (url: string, body: string | Buffer, headers: Record<string, string> = json) =>
  fetch(url, { method: 'POST', headers, body })

interface Partial {
  readonly partialSuccess?: { readonly errorMessage?: string } & Record<string, unknown>
}

/** The records of the journal that tell of keys, as the admin server has them. */
async function journal(one: RunningService): Promise<{ signal: string; events: { detail: string; what: string }[] }[]> {
  const found = JSON.parse(await one.page('/v1/batches?reason=unknown_keys')) as { batches: never[] }
  return found.batches
}

const span = { traceId: '0102030405060708090a0b0c0d0e0f10', spanId: '0102030405060708', name: 'a' }
const keyOf = { traces: 'resourceSpans', metrics: 'resourceMetrics', logs: 'resourceLogs' } as const
const all = ['traces', 'metrics', 'logs'] as const

test.each(all.flatMap(sent => all.filter(path => path !== sent).map(path => [sent, path] as const)))(
  'A18: OTLP/JSON of %s that is posted to the path of %s is answered with a warning, and stands in the journal',
  async (sent, path) => {
    const one = await service()
    const answer = await post(`${one.door}/v1/${path}`, JSON.stringify({ [keyOf[sent]]: [{ scopeSpans: [] }] }))
    expect(answer.status).toBe(200)
    const { partialSuccess } = (await answer.json()) as Partial
    expect(partialSuccess?.errorMessage).toBe(
      `\`${keyOf[sent]}\` holds ${sent}, which are not taken on this path: send them to /v1/${sent}`,
    )
    const [record] = await journal(one)
    expect(record).toMatchObject({ signal: path, events: [{ what: 'received', detail: partialSuccess?.errorMessage }] })
  },
)

/** Texts below and above what is read in one go. */
const sizes: readonly (readonly [what: string, pad: number])[] = [
  ['small', 0],
  ['large', 600 * 1024],
]

test.each(
  sizes.flatMap(
    ([size, pad]) =>
      [
        [
          size,
          pad,
          'before 1.0',
          { resourceSpans: [{ instrumentationLibrarySpans: [{ spans: [span] }] }] },
          /instrumentationLibrarySpans.*before 1\.0/,
        ],
        [
          size,
          pad,
          'before 1.0, in snake case',
          { resourceSpans: [{ instrumentation_library_spans: [{}] }] },
          /before 1\.0/,
        ],
        [
          size,
          pad,
          'with a key of nobody',
          { resourceSpams: [{ scopeSpans: [{ spans: [span] }] }] },
          /OTLP has no `resourceSpams`/,
        ],
        [
          size,
          pad,
          'with data beside',
          { resourceSpans: [{ scopeSpans: [{ spans: [span], spams: [] }] }] },
          /no `spams`/,
        ],
      ] as const,
  ),
)(
  'A18: a %s request %i longer, %s: 200 with a warning, and a line in the journal',
  async (_size, pad, _what, body, told) => {
    const one = await service()
    const answer = await post(`${one.door}/v1/traces`, JSON.stringify(body) + ' '.repeat(pad))
    expect(answer.status).toBe(200)
    expect(((await answer.json()) as Partial).partialSuccess?.errorMessage).toMatch(told)
    const records = await journal(one)
    expect(records).toHaveLength(1)
    expect(records[0].events[0].detail).toMatch(told)
  },
)

test.each([
  ['nothing', '{}'],
  ['no groups', '{"resourceSpans": []}'],
  [
    'a key that is not known inside of an item',
    JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [{ ...span, x: 1 }] }] }] }),
  ],
  [
    'all that a group may have',
    JSON.stringify({
      resource_spans: [{ resource: {}, schemaUrl: 'u', scope_spans: [{ scope: {}, spans: [span], schema_url: 'u' }] }],
    }),
  ],
])('A18: of %s nothing is told', async (_, body) => {
  const one = await service()
  const answer = await post(`${one.door}/v1/traces`, body)
  expect([answer.status, await answer.json()]).toEqual([200, {}])
  expect(await journal(one)).toEqual([])
})

test.each([
  ['gzip', 'cut in the middle', (whole: Buffer) => whole.subarray(0, whole.length >> 1)],
  ['gzip', 'cut before its end', (whole: Buffer) => whole.subarray(0, -1)],
  [
    'gzip',
    'with an end that says far too much',
    (whole: Buffer) => Buffer.concat([whole.subarray(0, -4), Buffer.from([0xff, 0xff, 0xff, 0x7f])]),
  ],
  [
    'gzip',
    'cut where what stands there says little too much',
    (whole: Buffer) => Buffer.concat([whole.subarray(0, 5000), Buffer.from([0, 0, 0x20, 0])]),
  ],
])('A14: %s %s is no valid body, and not too large', async (_encoding, _what, spoil) => {
  const one = await service(', max_request_body_size: 1048576')
  // Texts that hardly compress: of these the end of a cut body may be any number.
  let seed = 1
  const next = (): string => String((seed = (seed * 48_271) % 2_147_483_647))
  const log_records = Array.from({ length: 3000 }, () => ({ body: { string_value: next() } }))
  const whole = gzipSync(encode('ExportLogsServiceRequest', { resource_logs: [{ scope_logs: [{ log_records }] }] }))
  const headers = { ...protobuf, 'content-encoding': 'gzip' }
  expect((await post(`${one.door}/v1/logs`, whole, headers)).status).toBe(200)
  expect((await post(`${one.door}/v1/logs`, spoil(whole), headers)).status).toBe(400)
})

const page = 'http://page.example'
const cors = `, cors: {allowed_origins: ["${page}"]}`
const auth = ', auth: {authenticator: bearertokenauth}'
const tokens = 'extensions: {bearertokenauth: {token: let-me-in-please}}'
const known = { authorization: 'Bearer let-me-in-please' }

test.each<
  [string, number, () => { path?: string; method?: string; body?: string | Buffer; headers?: Record<string, string> }]
>([
  ['taken', 200, () => ({ headers: { ...json, ...known }, body: '{}' })],
  ['without a token', 401, () => ({ headers: json, body: '{}' })],
  ['with the wrong token', 401, () => ({ headers: { ...json, authorization: 'Bearer no' }, body: '{}' })],
  [
    'larger than allowed, before it is read',
    413,
    () => ({ headers: { ...json, ...known }, body: Buffer.alloc(100_000) }),
  ],
  [
    'larger than allowed, once it is inflated',
    413,
    () => ({ headers: { ...json, ...known, 'content-encoding': 'gzip' }, body: gzipSync(Buffer.alloc(100_000)) }),
  ],
  ['that is malformed', 400, () => ({ headers: { ...json, ...known }, body: '{' })],
  ['of another type', 415, () => ({ headers: { ...known, 'content-type': 'text/plain' }, body: 'x' })],
  ['in an encoding of nobody', 415, () => ({ headers: { ...json, ...known, 'content-encoding': 'br' }, body: 'x' })],
  ['to another path', 404, () => ({ path: '/v1/nothing', headers: { ...json, ...known }, body: '{}' })],
  ['with another method', 405, () => ({ method: 'PUT', headers: { ...json, ...known }, body: '{}' })],
])('A19: a page can read the answer to a request %s: %i', async (_, status, request) => {
  const one = await service(`${cors}${auth}, max_request_body_size: 65536`, tokens)
  const { path = '/v1/logs', method = 'POST', body = '', headers = {} } = request()
  const answer = await fetch(one.door + path, { method, headers: { ...headers, origin: page }, body })
  expect(answer.status).toBe(status)
  expect(answer.headers.get('access-control-allow-origin')).toBe(page)
  expect(answer.headers.get('vary')).toMatch(/origin/i)
})

test('A19: also to one that is refused because there is no memory', async () => {
  const one = await service(cors)
  const { budget } = one.service
  const taken = budget.limit - budget.used
  budget.charge(taken)
  const answer = await post(`${one.door}/v1/logs`, '{}', { ...json, origin: page })
  budget.release(taken)
  expect(answer.status).toBe(503)
  expect(answer.headers.get('access-control-allow-origin')).toBe(page)
})
