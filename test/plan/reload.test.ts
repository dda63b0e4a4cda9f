import { expect, test } from 'vitest'
import { planOf } from '../../plan/plan.ts'
import { planReload } from '../../plan/reload.ts'
import type { ComponentReload } from '../../core/reload.ts'
import { load } from '../config/toys.ts'

/** A configuration with everything in use. Each row of a test changes one text of it. */
const base = `receivers:
  otlp: {protocols: {grpc: }}
  syslog:
processors:
  batch: {timeout: 1s}
  any: {}
  tail_sampling: {}
exporters:
  otlp_grpc: {endpoint: "a:1", headers: {k: one}}
  debug: {}
  otlp_http: {endpoint: "b:1"}
connectors: {span_metrics: }
extensions: {health_check: }
service:
  extensions: [health_check]
  pipelines:
    traces: {receivers: [otlp], processors: [tail_sampling, batch], exporters: [otlp_grpc, span_metrics]}
    logs: {receivers: [otlp], processors: [any, batch], exporters: [otlp_grpc]}
    metrics: {receivers: [span_metrics], exporters: [debug]}
`

function change(...replacements: [from: string, to: string][]): string {
  let text = base
  for (const [from, to] of replacements) {
    expect(text, `the text to be changed is there`).toContain(from)
    text = text.replace(from, to)
  }
  return text
}

const plan = (after: string, before = base) =>
  planReload(planOf(load(before).configured), planOf(load(after).configured))

const line = ({ kind, id, action, reason, pipelines, queue, flushes }: ComponentReload) =>
  [
    `${action} ${kind} ${id} (${reason})`,
    ...(pipelines.length > 0 ? [`in ${pipelines.join(' ')}`] : []),
    ...(queue === undefined ? [] : [`queue ${queue}`]),
    ...(flushes === true ? ['flushes'] : []),
  ].join(', ')

test('what means the same restarts nothing, however it is written', () => {
  const after = change(
    ['otlp: {protocols: {grpc: }}', 'otlp: {protocols: {grpc: {endpoint: "localhost:4317"}}}'],
    ['timeout: 1s', 'timeout: 1000ms'],
    ['debug: {}', 'debug: {verbosity: basic, sending_queue: {enabled: false}}'],
    ['headers: {k: one}', 'headers: {k: "o${yaml:ne}"}'],
  )
  expect(plan(after)).toEqual({ components: [], pipelines: [] })
})

test.each<[string, [string, string][], string[], string[]]>([
  [
    'a changed processor restarts in each of its pipelines',
    [['timeout: 1s', 'timeout: 2s']],
    ['restart processor batch (config), in traces logs, flushes'],
    [],
  ],
  [
    'a step that holds nothing has nothing to hand on',
    [['any: {}', 'any: {x: 1}']],
    ['restart processor any (config), in logs'],
    [],
  ],
  [
    'a changed exporter keeps its queue: what waits goes to where it sends now',
    [['endpoint: "a:1"', 'endpoint: "c:1"']],
    ['restart exporter otlp_grpc (config), in traces logs, queue kept'],
    [],
  ],
  [
    'a secret that changed is a change',
    [['k: one', 'k: two']],
    ['restart exporter otlp_grpc (config), in traces logs, queue kept'],
    [],
  ],
  [
    'an exporter that has no queue any more sends what waited in it',
    [['headers: {k: one}', 'headers: {k: one}, sending_queue: {enabled: false}']],
    ['restart exporter otlp_grpc (config), in traces logs, queue kept'],
    [],
  ],
  [
    'an exporter without a queue has nothing waiting',
    [['debug: {}', 'debug: {verbosity: normal}']],
    ['restart exporter debug (config), in metrics'],
    [],
  ],
  [
    'a removed exporter sends what waits, the one in its place starts',
    [
      ['[any, batch], exporters: [otlp_grpc]', '[any, batch], exporters: [otlp_http]'],
      ['exporters: [otlp_grpc, span_metrics]', 'exporters: [span_metrics]'],
    ],
    ['stop exporter otlp_grpc (removed), in traces logs, queue drained', 'start exporter otlp_http (added), in logs'],
    ['traces', 'logs'],
  ],
  [
    'a component of another signal than before restarts',
    [
      [
        'metrics: {receivers: [span_metrics], exporters: [debug]}',
        'metrics: {receivers: [span_metrics, otlp], exporters: [debug]}',
      ],
    ],
    ['restart receiver otlp (signals), in traces logs metrics'],
    ['metrics'],
  ],
  [
    'a receiver that changed restarts, once for all pipelines',
    [['grpc: }', 'http: }']],
    ['restart receiver otlp (config), in traces logs'],
    [],
  ],
  [
    'processors that change places restart, so that what is inside goes through all of them',
    [['[any, batch]', '[batch, any]']],
    ['restart processor any (order), in logs', 'restart processor batch (order), in logs, flushes'],
    ['logs'],
  ],
  [
    'a processor between two others lets them go on',
    [['[tail_sampling, batch]', '[tail_sampling, any, batch]']],
    ['start processor any (added), in traces'],
    ['traces'],
  ],
  [
    'a processor that leaves one pipeline goes on in the other',
    [['[any, batch]', '[any]']],
    ['stop processor batch (removed), in logs, flushes'],
    ['logs'],
  ],
  [
    'a new pipeline starts its steps, the rest goes on',
    [
      ['    metrics:', '    logs/2: {receivers: [syslog], processors: [batch], exporters: [otlp_grpc]}\n    metrics:'],
      ['  syslog:', '  syslog: {source: {port: 1}}'],
    ],
    ['start receiver syslog (added), in logs/2', 'start processor batch (added), in logs/2'],
    ['logs/2'],
  ],
  ['what is not used is not in the plan', [['  otlp_http: {endpoint: "b:1"}\n', '']], [], []],
  [
    'an extension restarts',
    [['health_check: }', 'health_check: {endpoint: "localhost:1"}}']],
    ['restart extension health_check (config)'],
    [],
  ],
  [
    'an extension that is not started any more stops',
    [['extensions: [health_check]', 'extensions: []']],
    ['stop extension health_check (removed)'],
    [],
  ],
])('%s', (_, replacements, components, pipelines) => {
  const made = plan(change(...replacements))
  expect(made.components.map(line)).toEqual(components)
  expect(made.pipelines.map(({ id }) => id)).toEqual(pipelines)
})

test('a plan and the plan back are mirror images', () => {
  const after = change(
    ['exporters: [otlp_grpc, span_metrics]', 'exporters: [otlp_http, span_metrics]'],
    ['[any, batch]', '[]'],
  )
  const mirrored = { start: 'stop', stop: 'start', restart: 'restart' } as const
  const names = (components: readonly ComponentReload[], turn: (action: ComponentReload['action']) => string) =>
    components.map(({ kind, id, action }) => `${turn(action)} ${kind} ${id}`).toSorted()
  expect(names(plan(base, after).components, action => action)).toEqual(
    names(plan(after).components, action => mirrored[action]),
  )
})
