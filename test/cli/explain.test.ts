/** `kymo explain` as people and scripts read it. */
import { expect, test } from 'vitest'
import { explanationText } from '../../cli/explanation-text.ts'
import { components } from '../support/components.ts'
import { loadPlan } from '../../plan/load.ts'
import { explain, type Explanation } from '../../plan/explain.ts'
import { kymo as command } from '../support/command.ts'

const gateway = `
receivers: {otlp: {protocols: {grpc: {}}}}
processors:
  namespace_filter: {exclude: [playground]}
  resource: {attributes: [{key: k8s.cluster.name, value: a, action: insert}]}
  batch: {}
exporters:
  otlp_grpc: {endpoint: 'a:1'}
  otlp_http: {endpoint: 'http://b', sending_queue: {when_full: drop}, retry_on_failure: {max_elapsed_time: 5m}}
  debug: {verbosity: detailed}
service:
  pipelines:
    traces: &all {receivers: [otlp], processors: [namespace_filter, resource, batch], exporters: [otlp_grpc, otlp_http]}
    logs: *all
    metrics: {receivers: [otlp], exporters: [debug]}
`
const textOf = (yaml: string) => explanationText(explain(loadPlan({ sources: [`yaml:${yaml}`], components }).plan))

test('the text says once what is the same for several signals', () => {
  const text = textOf(gateway)
  expect(text).toContain('receiver otlp (traces, logs) answers success when it is taken\n')
  expect(text).toContain(
    'pipeline traces, logs: otlp -> namespace_filter -> resource -> batch -> otlp_grpc, otlp_http\n',
  )
  expect(text).toContain('pipeline metrics: otlp -> debug\n')
})

test.each([
  ['what is read', '  namespace_filter  resource  reads k8s.namespace.name; drops playground, kube-system'],
  ['what passes', 'resources are edited; scopes and items reach the exporters as the bytes that came, unread'],
  ['what makes it go deep', 'goes down to the item because of `verbosity` of debug'],
  ['what may be dropped', 'namespace_excluded: playground (`exclude` of namespace_filter)'],
  ['when success is said', 'batch: accepted: it is in memory there, and lost if the process is killed'],
  ['who can stop whom', 'it can stop otlp_http: what it has no room for, nobody gets (traces, logs)'],
  ['what a full queue loses', 'what finds no room is lost, booked as queue_full'],
  ['when retries end', 'after 5m (retry_on_failure.max_elapsed_time): lost, booked as expired'],
  ['what a stop loses', 'what is left then is lost, booked as shutdown'],
])('the text says %s', (_, words) => {
  expect(textOf(gateway).replaceAll(/\n {13}(?=\S)/g, ' ')).toContain(words)
})

test('of exporters that are alike the first is told in full, of the others what differs', () => {
  const text = textOf(`
receivers: {otlp: {protocols: {grpc: {}}}}
exporters: {nop: {}, otlp_grpc: {endpoint: 'a:1'}, otlp_grpc/same: {endpoint: 'b:1'}, otlp_grpc/slow: {endpoint: 'c:1', timeout: 9s}}
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp_grpc]}
    logs: {receivers: [otlp], exporters: [otlp_grpc/same]}
    metrics: {receivers: [otlp], exporters: [otlp_grpc/slow]}
`)
  expect(text).toContain('exporter otlp_grpc (traces)\n  success ')
  expect(text).toContain('exporter otlp_grpc/same (logs): as otlp_grpc\n\n')
  expect(text).toMatch(
    /exporter otlp_grpc\/slow \(metrics\): as otlp_grpc, but for\n {2}attempt {4}may take 9s \(timeout\)\n$/,
  )
})

test('what Kymo takes from itself has no sender', () => {
  const yaml =
    '{receivers: {internal: {}}, exporters: {debug: {}}, service: {pipelines: {logs: {receivers: [internal], exporters: [debug]}}}}'
  expect(textOf(yaml)).toContain('receiver internal (logs) is done with its data when it is taken\n')
})

test.each([
  ['a queue in memory', '{}', 'accepted: it is in the queue in memory; it has ended when the destination has answered'],
  ['no queue', '{sending_queue: {enabled: false}}', 'delivered: the destination has it'],
  ['a queue on disk', '{sending_queue: {storage: file_storage}}', 'durable: it is in the queue on disk'],
])('what can be read again is told when its position moves on: %s', (_, exporter, words) => {
  const yaml = `
receivers: {otlp_json_file: {include: [a]}}
exporters: {otlp_http: ${exporter.replace(/^\{/, "{endpoint: 'http://b', ")}}
extensions: {file_storage: {directory: /tmp/queues}}
service:
  extensions: [file_storage]
  pipelines: {logs: {receivers: [otlp_json_file], exporters: [otlp_http]}}
`
  const text = textOf(yaml).replaceAll(/\n {13}(?=\S)/g, ' ')
  const head =
    'receiver otlp_json_file (logs) reads on when it is taken; its position moves on when that has ended for good'
  const [receiver] = text.slice(text.indexOf(head)).split('\n\n')
  expect(receiver).toContain(head)
  expect(receiver).toContain(words)
  expect(receiver).not.toContain('lost')
})

test('no line of the text is wider than a terminal that is not small', () => {
  for (const line of textOf(gateway).split('\n')) expect(line.length).toBeLessThan(130)
})

const kymo = (...args: string[]) => command(['explain', ...args])

test.concurrent('as JSON it has the same, for scripts', async () => {
  const { code, out } = await kymo('--json', '--config', `yaml:${gateway}`, '--set', 'processors.resource=null')
  expect(code).toBe(1)
  expect(out).toBe('')
  const right = await kymo('--json', '--config', `yaml:${gateway}`)
  const { exporters } = JSON.parse(right.out) as Explanation
  expect(exporters.map(({ id, when_full }) => [id, when_full])).toEqual([
    ['otlp_grpc', 'refuse'],
    ['otlp_http', 'drop'],
    ['debug', undefined],
  ])
})

test.concurrent('a wrong configuration is told as by validate, and nothing is explained', async () => {
  const { code, out, err } = await kymo('--config', 'yaml:{receivers: {otpl: {}}}')
  expect([code, out]).toEqual([1, ''])
  expect(err).toContain('`otlp`')
})

test.concurrent('without --config the built-in configuration is explained', async () => {
  const { code, out } = await kymo()
  expect(code).toBe(0)
  expect(out).toContain('-> debug\n')
})
