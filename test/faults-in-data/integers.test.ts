/** A9 of the faults of November 2026: whole numbers of 64 bits keep every digit, from the YAML to the bytes. */
import { afterEach, expect, test } from 'vitest'
import { rendered } from '../../cli/print-config.ts'
import { components } from '../support/components.ts'
import { differencesOf } from '../../config/diff.ts'
import { effectiveOf } from '../../config/effective.ts'
import { planReload } from '../../plan/reload.ts'
import { ownTelemetry } from '../../service/settings.ts'
import { createLogger } from '../../telemetry/logger.ts'
import { encodeRequest } from '../../telemetry/otlp-write.ts'
import { SelfReport } from '../../telemetry/self-report.ts'
import { errorsOf, load } from '../config/toys.ts'
import { runKymo, type RunningKymo } from '../support/kymo.ts'
import { decode, encode } from '../support/otlp.ts'
import { httpSend } from '../support/otlp-send.ts'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

/** As it is written, and the number that it is. */
const written: readonly (readonly [text: string, number: string])[] = [
  ['9223372036854775807', '9223372036854775807'],
  ['-9223372036854775808', '-9223372036854775808'],
  ['9007199254740993', '9007199254740993'],
  ['9007199254740992', '9007199254740992'],
  ['9_007_199_254_740_993', '9007199254740993'],
  ['0x7fffffffffffffff', '9223372036854775807'],
  ['0777777777777777777777', '9223372036854775807'],
  ['0o777777777777777777777', '9223372036854775807'],
  [`0b${'1'.repeat(63)}`, '9223372036854775807'],
  ['"${env:BIG}"', '9223372036854775807'],
  ['42', '42'],
]
const env = { BIG: '9223372036854775807' }

const around = (
  sections: string,
  { signal = 'logs', receivers = '[otlp]', processors = '[]', exporters = '[nop]' } = {},
) => `
receivers: {otlp: {protocols: {http: {endpoint: 127.0.0.1:0}}}}
${sections}
service: {pipelines: {${signal}: {receivers: ${receivers}, processors: ${processors}, exporters: ${exporters}}}}`

const withAction = (value: string) =>
  around(`exporters: {nop: }\nprocessors: {attributes: {actions: [{key: k, action: upsert, value: ${value}}]}}`, {
    processors: '[attributes]',
  })

/** Runs a configuration whose exporter is the sink, and sends it a request. */
async function sent(yaml: string, signal: 'logs' | 'traces', body: Buffer): Promise<OtlpSink> {
  const sink = await otlpSink()
  ends.push(() => sink.close())
  const kymo: RunningKymo = await runKymo(yaml.replaceAll('SINK', sink.httpEndpoint))
  ends.push(() => kymo.stop())
  expect((await httpSend(kymo.addresses[0], signal, body)).status).toBe(200)
  await expect.poll(() => sink.received.length).toBeGreaterThan(0)
  return sink
}

const oneRecord = (attributes: object[] = []) =>
  encode('ExportLogsServiceRequest', { resource_logs: [{ scope_logs: [{ log_records: [{ attributes }] }] }] })

const exporter = 'otlp_http: {endpoint: SINK, compression: none, sending_queue: {enabled: false}}'

test('A9: in each component that takes values: what is sent has every digit', async () => {
  const big = '9223372036854775807'
  const sink = await sent(
    around(
      `
exporters: {${exporter}}
processors:
  resource: {attributes: [{key: r, action: insert, value: ${big}}]}
  attributes:
    actions:
      - {key: a, action: insert, value: -9223372036854775808}
      - {key: list, action: insert, value: [9007199254740993, {in: 9007199254740995}]}
  attributes/matching:
    include: {match_type: strict, attributes: [{key: a, value: -9223372036854775808}]}
    actions: [{key: matched, action: insert, value: true}]
  attributes/other:
    include: {match_type: strict, attributes: [{key: a, value: -9223372036854775807}]}
    actions: [{key: other, action: insert, value: true}]`,
      { processors: '[resource, attributes, attributes/matching, attributes/other]', exporters: '[otlp_http]' },
    ),
    'logs',
    oneRecord(),
  )
  const text = JSON.stringify(sink.items('logs'))
  for (const digits of [big, '-9223372036854775808', '9007199254740993', '9007199254740995', 'matched']) {
    expect(text).toContain(`"${digits}"`)
  }
  expect(text).not.toContain('"other"')
})

test('A9: in the connector `count`', async () => {
  const sink = await sent(
    `
receivers: {otlp: {protocols: {http: {endpoint: 127.0.0.1:0}}}}
connectors: {count: {logs: {n: {attributes: [{key: k, default_value: 9007199254740993}]}}}}
exporters: {${exporter}}
service:
  pipelines:
    logs: {receivers: [otlp], exporters: [count]}
    metrics: {receivers: [count], exporters: [otlp_http]}`,
    'logs',
    oneRecord(),
  )
  expect(JSON.stringify(sink.items('metrics'))).toContain('"9007199254740993"')
})

test('A9: in the resource of own telemetry, and in the fields of its log', () => {
  const { telemetry } = load(
    around('exporters: {nop: }').replace(
      'service: {',
      'service: {telemetry: {resource: {flat: 9007199254740993}, logs: {initial_fields: {f: 9007199254740995}}}, ',
    ),
    { components },
  )
  const own = ownTelemetry(telemetry, {}, '1')
  const request = decode('ExportLogsServiceRequest', encodeRequest(own.resource, '1', []))
  expect(JSON.stringify(request)).toContain('"9007199254740993"')
  const lines: string[] = []
  const report = new SelfReport(own.resource, '1')
  const sink = { write: (line: string) => void lines.push(line), flush() {} }
  createLogger({ ...own.logs, encoding: 'json' }, sink, report).info({}, 'hello')
  expect(lines.join('')).toContain('"f":9007199254740995')
})

test.each(written)('A9: %s is %s in what is printed, and is the same when it is read again', (text, digits) => {
  const root = effectiveOf(load(withAction(text), { components, env }))
  for (const format of ['yaml', 'json'] as const) {
    const print = rendered(root, { format, mode: 'unredacted' })
    expect(print).toMatch(new RegExp(`"?value"?: ${digits}\\b`))
    const again = load(print, { components })
    expect(again.configured.processors.get('attributes')?.config).toEqual(
      load(withAction(digits), { components }).configured.processors.get('attributes')?.config,
    )
  }
})

test('A9: a digit more or less is a difference, for `diff`, a reload and the hash', () => {
  const [before, same, after] = ['9007199254740993', '9007199254740993', '9007199254740992'].map(text =>
    load(withAction(text), { components }),
  )
  expect(differencesOf(before, same)).toEqual([])
  expect(planReload(before.plan, same.plan).components).toEqual([])
  expect(before.hash).toBe(same.hash)
  expect(differencesOf(before, after)).toMatchObject([{ path: 'processors::attributes', change: 'changed' }])
  expect(planReload(before.plan, after.plan).components).not.toEqual([])
  expect(before.hash).not.toBe(after.hash)
})

test.each(['9223372036854775808', '18446744073709551615', '-9223372036854775809'])(
  'A9: %s has no place in 64 bits, and is no guess',
  text => {
    const told = errorsOf(withAction(text), { components })
    expect(told.join()).toMatch(/value.* is no whole number of 64 bits; put it in quotes for a text/)
  },
)

test.each([
  [
    'a size',
    'receivers: {otlp: {protocols: {http: {endpoint: 127.0.0.1:0, max_request_body_size: 9223372036854775807}}}}',
  ],
  ['a duration', 'receivers: {otlp: {protocols: {http: {endpoint: 127.0.0.1:0, idle_timeout: 9223372036854775807}}}}'],
])('A9: where %s is wanted a large number is one', (_, receivers) => {
  const text = around('exporters: {nop: }').replace(/receivers: \{otlp: .*/, receivers)
  expect(errorsOf(text, { components })).toEqual([])
})

test('A9: where a text is wanted, it is told to be a number, with all its digits', () => {
  const text = around(
    'exporters: {nop: }\nprocessors: {attributes: {actions: [{key: 9007199254740993, action: delete}]}}',
  )
  expect(errorsOf(text, { components }).join()).toMatch(/got the number `9007199254740993` \(put it in quotes/)
})

test.each(['1e17', '-1e17', '1.5e300'])('A9: %s, which is written as a double, stays one', text => {
  const before = load(withAction(text), { components })
  const config = before.configured.processors.get('attributes')?.config
  expect(config).toMatchObject({ actions: [{ source: { value: Number(text) } }] })
  for (const format of ['yaml', 'json'] as const) {
    const again = load(rendered(effectiveOf(before), { format, mode: 'unredacted' }), { components })
    expect(again.configured.processors.get('attributes')?.config).toEqual(config)
  }
})
