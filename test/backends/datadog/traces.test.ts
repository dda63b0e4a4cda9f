import { describe, expect, test } from 'vitest'
import { TraceEncoder, type TraceRules } from '../../../backends/datadog/traces.ts'
import { compilePattern } from '../../../proto/pattern.ts'
import { readRequest } from '../../../proto/request.ts'
import { encoded, id, list, only, request, span, usual } from '../../support/datadog-spans.ts'
import { moment } from '../../support/datadog-stats.ts'
import { encode, type Plain } from '../../support/otlp-proto.ts'

describe('payloads', () => {
  test('there is one for each resource, with chunks of each trace', () => {
    const trace = (n: number, s: number, more: Plain = {}): Plain =>
      span({}, { trace_id: id(n, 16), span_id: id(s, 8), ...more })
    const group = (attributes: Record<string, unknown>, spans: Plain[]): Plain => ({
      resource: { attributes: list(attributes) },
      scope_spans: [{ spans: spans.slice(0, 2) }, { scope: { name: 'b' }, spans: spans.slice(2) }],
    })
    const body = encode('traces', {
      resource_spans: [
        group(
          {
            'service.name': 'a',
            'host.name': 'h1',
            'container.id': 'c',
            'telemetry.sdk.language': 'go',
            'telemetry.sdk.version': '1.30',
            'k8s.namespace.name': 'ns',
          },
          [trace(1, 1), trace(2, 2), trace(1, 3, { parent_span_id: id(1, 8) })],
        ),
        group({ 'service.name': 'b', 'aws.ecs.launchtype': 'fargate', 'aws.ecs.task.arn': 'arn' }, [trace(1, 4)]),
      ],
    })
    const { payload, spans, left } = encoded(body, { hostname: 'me', agent: 'kymo/1' })
    expect([spans, left, payload.hostName, payload.env, payload.agentVersion]).toEqual([4, {}, 'me', 'none', 'kymo/1'])
    const [a, b] = payload.tracerPayloads
    expect(a).toMatchObject({ hostname: 'h1', containerID: 'c', languageName: 'go', tracerVersion: 'otlp-1.30' })
    expect(a.tags['_dd.tags.container'].split(',').sort()).toEqual(['container_id:c', 'kube_namespace:ns'])
    expect(a.chunks.map(chunk => chunk.spans.map(one => [one.spanID, one.metrics['_top_level'] ?? 0]))).toEqual([
      [
        ['1', 1],
        ['3', 0],
      ],
      [['2', 1]],
    ])
    expect(b.hostname).toBe('')
    expect(b.tags['_dd.tags.container']).toContain('task_arn:arn')
  })

  test.each<[string, Partial<TraceRules>, (number | undefined)[]]>([
    ['by services: a child of another service is at the top', {}, [1, undefined, 1, 1, undefined]],
    ['by kind: server, consumer and roots', { topLevelByKind: true }, [1, undefined, undefined, 1, 1]],
  ])('the top of a service is found %s', (_, rules, expected) => {
    const at = (s: number, parent: number, kind: number, attributes: Record<string, unknown> = {}): Plain =>
      span(attributes, { span_id: id(s, 8), kind, ...(parent === 0 ? {} : { parent_span_id: id(parent, 8) }) })
    const spans = [at(1, 0, 1), at(2, 1, 1), at(3, 1, 3, { 'service.name': 'other' }), at(4, 99, 2), at(5, 4, 5)]
    const made = encoded(request(spans), rules).payload.tracerPayloads[0].chunks[0].spans
    expect(made.map(one => one.metrics['_top_level'])).toEqual(expected)
    expect(made[2].service).toBe('other')
    expect(made[2].metrics['_dd.measured']).toBe(rules.topLevelByKind ? 1 : undefined)
  })

  test('traces whose root is to be ignored are left out, and counted', () => {
    const one = (n: number, name: string, parent?: number): Plain =>
      span(
        {},
        {
          trace_id: id(n, 16),
          span_id: id(n * 10 + (parent ?? 0), 8),
          name,
          ...(parent === undefined ? {} : { parent_span_id: id(n * 10, 8) }),
        },
      )
    const { spans, left, payload } = encoded(
      request([one(1, '/health'), one(1, 'child', 1), one(2, '/buy'), one(3, 'x', 5)]),
      {
        ignored: [compilePattern('^/hea')],
      },
    )
    expect([spans, left]).toEqual([2, { ignore_resources: 2 }])
    expect(payload.tracerPayloads[0].chunks.map(chunk => chunk.spans[0].resource)).toEqual(['/buy', 'x'])
  })

  test('spans without ids and spans that cannot be read are left out, the others are not', () => {
    const bad = Buffer.from([0x0a, 16, ...id(3, 16), 0x12, 8, ...id(3, 8), 0x4a, 3, 0x0a, 9, 1])
    const worse = Buffer.from([0x0a, 16, 1])
    const good = encode('Span', span({}))
    const field = (tag: number, content: Buffer): Buffer => Buffer.concat([Buffer.from([tag, content.length]), content])
    const none = encode('Span', span({}, { span_id: Buffer.alloc(8) }))
    const scope = Buffer.concat([field(0x12, bad), field(0x12, good), field(0x12, worse), field(0x12, none)])
    const body = Buffer.concat([
      Buffer.from([
        0x0a,
        (0xff & (scope.length + 3)) | 0x80,
        (scope.length + 3) >> 7,
        0x12,
        (scope.length & 0x7f) | 0x80,
        scope.length >> 7,
      ]),
      scope,
    ])
    const { spans, left, payload } = encoded(body)
    expect([spans, left]).toEqual([1, { malformed: 2, invalid_id: 1 }])
    expect(payload.tracerPayloads[0].chunks.map(chunk => chunk.spans.length)).toEqual([1])
  })

  test('clocks that are wrong are put right', () => {
    const made = only(request([span({}, { start_time_unix_nano: '5', end_time_unix_nano: '4' })]))
    expect(made.duration).toBe('0')
    expect(made.start).toBe(`${moment}000000`)
  })

  test('an encoder that was used for one request is as new for the next', () => {
    const encoder = new TraceEncoder(usual)
    const bodies = [
      request([span({ a: 'x', 'db.system': 'mysql', 'db.statement': 'a = 1' }, { kind: 3 })]),
      request([span({})], { 'service.name': 'b' }),
    ]
    for (const body of [...bodies, ...bodies]) {
      const fresh = encoded(body).body
      expect(encoder.encode(readRequest('traces', body).groups, moment, undefined).body.equals(fresh)).toBe(true)
    }
  })
})
