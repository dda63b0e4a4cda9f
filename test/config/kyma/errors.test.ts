import { expect, test } from 'vitest'
import { components } from '../../support/components.ts'
import { type ConfigErrors, renderErrors } from '../../../config/load.ts'
import { document, errors, load, logs, metrics, output, traces, version } from './toys.ts'

const reference = '{valueFrom: {secretKeyRef: {name: s, namespace: n, key: k}}}'

test.each<[string, string, string[]]>([
  [
    'a Secret',
    traces(`output: {otlp: {endpoint: ${reference}}}`),
    [
      '6:30 TracePipeline/t::spec::output::otlp::endpoint: the Secret `n/s` can only be read in a cluster (outside of one write `value: ${env:NAME}` in place of `valueFrom`)',
    ],
  ],
  [
    'a transformation and a filter',
    traces(`transform: [{statements: [x]}]\nfilter: [{conditions: [x]}]\n${output()}`),
    [
      '6:3 TracePipeline/t::spec::transform: this build has no OTTL yet, so it cannot `transform` (remove `transform`)',
      '7:3 TracePipeline/t::spec::filter: this build has no OTTL yet, so it cannot `filter` (remove `filter`)',
    ],
  ],
  [
    'credentials without an extension for them',
    traces(output('authentication: {basic: {user: {value: u}, password: {value: p}}}')),
    [
      '6:78 TracePipeline/t::spec::output::otlp::authentication::basic: this build has no extension `basicauth` yet (send credentials as one of `headers`)',
    ],
  ],
  [
    'outputs of Fluent Bit',
    logs('output: {custom: "name null"}'),
    [
      "6:12 LogPipeline/l::spec::output::custom: this output is one of Fluent Bit's, which is not part of Kymo (use `output.otlp`)",
    ],
  ],
  [
    'filters of Fluent Bit',
    logs(`filters: [{custom: x}]\n${output()}`),
    ['6:3 LogPipeline/l::spec::filters: this is for Fluent Bit, which is not part of Kymo (remove `filters`)'],
  ],
  [
    'deltas',
    metrics(output('temporality: delta')),
    [
      '6:74 MetricPipeline/m::spec::output::otlp::temporality: this build does not turn cumulative metrics into deltas yet (write `preserve`)',
    ],
  ],
  [
    'an endpoint without a port',
    traces(output('', 'backend')),
    [
      '6:37 TracePipeline/t::spec::output::otlp::endpoint: `backend` has no port (write it with one, such as `backend:4317`)',
    ],
  ],
  [
    'unknown keys',
    traces('output: {otlp: {endpont: {value: a}}}\ninput: {}'),
    [
      '6:19 TracePipeline/t::spec::output::otlp: unknown key `endpont` (did you mean `endpoint`?)',
      '7:3 TracePipeline/t::spec: unknown key `input` (known keys: `output`, `transform`, `filter`)',
    ],
  ],
  [
    'two forms of one thing',
    logs(`input: {runtime: {enabled: false}, otlp: {namespaces: {include: [a], exclude: [b]}}}\n${output()}`),
    ['6:57 LogPipeline/l::spec::input::otlp::namespaces: set `include` or `exclude`, not both'],
  ],
  [
    'a namespace that is none',
    logs(`input: {otlp: {namespaces: {include: [A_b]}}}\n${output()}`),
    ['6:41 LogPipeline/l::spec::input::otlp::namespaces::include[0]: a namespace has small letters, digits and `-`'],
  ],
  [
    'a value twice',
    traces(`output: {otlp: {endpoint: ${reference.replace('{', '{value: a:1, ')}}}`),
    [
      '6:29 TracePipeline/t::spec::output::otlp::endpoint: needs either `value` or `valueFrom`',
      '6:42 TracePipeline/t::spec::output::otlp::endpoint: the Secret `n/s` can only be read in a cluster (outside of one write `value: ${env:NAME}` in place of `valueFrom`)',
    ],
  ],
  [
    'an unknown kind',
    `${version}\nkind: TracePipelin\n`,
    ['2:1 `TracePipelin` is no pipeline that this build reads (did you mean `TracePipeline`?)'],
  ],
  [
    'another document beside them',
    `${traces(output())}---\napiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n`,
    [
      '9:1 `ConfigMap` is no pipeline that this build reads (pipelines: `LogPipeline`, `TracePipeline`, `MetricPipeline`)',
    ],
  ],
  [
    'an unknown version',
    document('TracePipeline', 't', output(), 'apiVersion: telemetry.kyma-project.io/v2'),
    ['1:1 TracePipeline: unknown version `v2` (write `telemetry.kyma-project.io/v1beta1`)'],
  ],
  [
    'two of one name',
    `${traces(output())}---\n${traces(output())}`,
    ['11:9 TracePipeline/t: there are two of this name (rename one of them)'],
  ],
  ['no YAML', `${version}\nkind: [`, []],
])('%s is an error at its line', (_, text, expected) => {
  const found = errors(text)
  expect(found.length).toBeGreaterThan(0)
  if (expected.length > 0) expect(found).toEqual(expected)
})

test('what an exporter finds wrong is told at the line of the document', () => {
  const text = traces(output('headers: [{name: "a b", value: x}]'))
  expect(errors(text, { components })).toEqual([
    expect.stringContaining('6:92 exporters::otlp_grpc/tracepipeline-t::headers::a b: `a b` is no name of a header'),
  ])
})

test('all that is wrong with several documents is told at once, and no secret is shown', () => {
  const secret = 'authentication: {basic: {user: {value: u}, password: {value: hunter2}}}'
  const header = 'headers: [{name: a, value: hunter2, prefix: Bearer, x: hunter2}]'
  const text = `${logs(`transform: [{}]\n${output(secret)}`)}---\n${traces(output(header))}`
  expect(errors(text)).toHaveLength(3)
  try {
    load(text)
  } catch (error) {
    expect(renderErrors((error as ConfigErrors).errors)).toMatch(/\*{4}/)
    expect(renderErrors((error as ConfigErrors).errors)).not.toContain('hunter2')
  }
})

test('a file that only speaks of Kyma is an ordinary one', () => {
  const text =
    '# like telemetry.kyma-project.io\nreceivers: {otlp: }\nexporters: {otlp_grpc: }\nservice: {pipelines: {logs: {receivers: [otlp], exporters: [otlp_grpc]}}}'
  expect(load(text).configured.pipelines).toHaveLength(1)
})
