import { expect, test } from 'vitest'
import { gates, readGates } from '../../config/gates.ts'
import { Report } from '../../config/report.ts'
import { around, errorsOf, load } from './toys.ts'

const read = (...values: string[]) => readGates(values, new Report())

test('gates are read as the Collector reads them: several, on and off, repeated', () => {
  const { on, notes } = read('service.AllowNoPipelines,-confmap.enableMergeAppendOption', ' +service.profilesSupport')
  expect([...on]).toEqual(['service.AllowNoPipelines'])
  expect(notes).toHaveLength(3)
  expect(notes[1]).toContain('off')
  expect(notes[2]).toContain('profiles are not supported yet')
})

test('the last word counts', () => {
  expect([...read('service.AllowNoPipelines', '-service.AllowNoPipelines').on]).toEqual([])
})

test('an unknown gate is told with the nearest, beside all else that is wrong', () => {
  expect(errorsOf(around('exporters: {debug: {x: 1}}'), { gates: ['service.AllowNoPipeline,a'] })).toEqual([
    '`--feature-gates`: there is no gate `service.AllowNoPipeline` (did you mean `service.AllowNoPipelines`?)',
    '`--feature-gates`: there is no gate `a` (`kymo featuregate` lists those there are)',
    '4:21 exporters::debug: unknown key `x` (known keys: `timeout`, `sending_queue`, `retry_on_failure`, `verbosity`)',
  ])
})

test('every gate has a name of its own and says what it means here', () => {
  expect(new Set(gates.map(({ id }) => id)).size).toBe(gates.length)
  for (const { id, meaning } of gates) expect(meaning.length, id).toBeGreaterThan(10)
})

const base = `receivers: {otlp: {protocols: {grpc: }}}
processors: {any: , batch: }
exporters: {debug: , debug/2: }
extensions: {health_check: , health_check/2: }
service:
  extensions: [health_check]
  pipelines: {traces: {receivers: [otlp], processors: [any], exporters: [debug]}}`
const over = `service:
  extensions: [health_check, health_check/2]
  pipelines: {traces: {processors: [batch], exporters: [debug, debug/2]}}`

test('lists of references are joined when the gate says so, and replaced when it does not', () => {
  const plain = load([base, over]).configured
  expect(plain.pipelines[0]).toMatchObject({ processors: ['batch'], exporters: ['debug', 'debug/2'] })
  const more =
    'service: {extensions: [health_check/2], pipelines: {traces: {processors: [batch], exporters: [debug/2]}}}'
  expect(load([base, more]).configured).toMatchObject({
    started: ['health_check/2'],
    pipelines: [{ receivers: ['otlp'], processors: ['batch'], exporters: ['debug/2'] }],
  })
  const gates = ['confmap.enableMergeAppendOption']
  for (const later of [over, more]) {
    expect(load([base, later], { gates }).configured).toMatchObject({
      started: ['health_check', 'health_check/2'],
      pipelines: [{ receivers: ['otlp'], processors: ['batch'], exporters: ['debug', 'debug/2'] }],
    })
  }
})

test.each(['service: {extensions: [health_check]}', 'service: {extensions: [health_check], pipelines: {}}'])(
  'a configuration without pipelines is right when the gate says so: %s',
  text => {
    const whole = `extensions: {health_check: }\n${text}`
    expect(errorsOf(whole)).toHaveLength(1)
    expect(load(whole, { gates: ['service.AllowNoPipelines'] }).configured.pipelines).toEqual([])
  },
)
