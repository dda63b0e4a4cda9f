import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { componentsText } from '../../cli/components.ts'
import { components } from '../support/components.ts'
import { toys } from '../config/toys.ts'

test('the table has a line for each component, by kind and name', () => {
  const [head, ...lines] = componentsText(toys, 'text', '1.2.3').trimEnd().split('\n')
  expect(head).toMatch(/^KIND +TYPE +SIGNALS +STABILITY +RUNS +SUMMARY$/)
  expect(lines).toHaveLength(toys.length)
  expect(lines.map(line => line.split(/ {2,}/).slice(0, 3))).toEqual(
    expect.arrayContaining([
      ['receiver', 'otlp', 'traces metrics logs'],
      ['exporter', 'otlp_grpc (otlp)', 'traces metrics logs'],
      ['connector', 'span_metrics (spanmetrics)', 'traces->metrics'],
      ['extension', 'health_check', '-'],
    ]),
  )
  expect(lines[0]).toMatch(/^receiver +otlp /)
  expect(lines.at(-1)).toMatch(/^extension /)
})

test('JSON has what a script wants to know', () => {
  const list = JSON.parse(componentsText(toys, 'json', '1.2.3')) as object[]
  expect(list).toHaveLength(toys.length)
  expect(list).toContainEqual({
    kind: 'connector',
    type: 'span_metrics',
    aliases: ['spanmetrics'],
    signals: ['traces'],
    joins: [['traces', 'metrics']],
    stability: 'alpha',
    runs: 'one',
    summary: 'A toy.',
  })
})

test("YAML is the Collector's list", () => {
  const list = parse(componentsText(toys, 'yaml', '1.2.3')) as Record<string, { name: string }[]>
  expect(Object.keys(list)).toEqual([
    'buildinfo',
    'receivers',
    'processors',
    'exporters',
    'connectors',
    'extensions',
    'providers',
    'converters',
  ])
  const named = (section: string, name: string) => list[section]?.find(one => one.name === name)
  const module = 'kymo v1.2.3'
  expect(named('receivers', 'syslog')).toEqual({
    name: 'syslog',
    module,
    stability: { traces: 'Undefined', metrics: 'Undefined', logs: 'Alpha' },
  })
  expect(named('connectors', 'span_metrics')).toEqual({
    name: 'span_metrics',
    module,
    stability: { 'traces-to-metrics': 'Alpha' },
  })
  expect(named('extensions', 'health_check')).toEqual({
    name: 'health_check',
    module,
    stability: { extension: 'Alpha' },
  })
})

test.each(components)('$kind $type is listed', ({ type, summary }) => {
  const text = componentsText(components, 'text', '1.2.3')
  expect(text).toContain(type)
  expect(text).toContain(summary)
})
