import { describe, expect, test } from 'vitest'
import { SpanStats, type StatsRules } from '../../../backends/datadog/stats-spans.ts'
import { statsBody, statsMetric, statsRequest } from '../../../backends/datadog/stats.ts'
import { compilePattern } from '../../../proto/pattern.ts'
import { readRequest } from '../../../proto/request.ts'
import { encodeDatadog } from '../../support/datadog-proto.ts'
import { countIn, quantileOf } from '../../support/datadog-sketch.ts'
import { id, kinds, request, span } from '../../support/datadog-spans.ts'
import { foundIn, statsOf, moment, usualStats } from '../../support/datadog-stats.ts'
import { readMsgpack } from '../../support/msgpack.ts'
import { attributesOf, itemsOf, type Plain, pointsOf } from '../../support/otlp-proto.ts'

/** A span that ended `seconds` after `moment` and took `milliseconds`. */
const ended = (
  seconds: number,
  milliseconds: number,
  attributes: Record<string, unknown> = {},
  more: Plain = {},
): Plain => {
  const end = BigInt(moment + seconds * 1000) * 1_000_000n
  const times = {
    start_time_unix_nano: String(end - BigInt(milliseconds) * 1_000_000n),
    end_time_unix_nano: String(end),
  }
  return span(attributes, { ...times, ...more })
}

describe('what is counted', () => {
  test.each<[string, Partial<StatsRules>, Record<string, unknown>, Plain, number, number]>([
    ['a root', {}, {}, {}, 1, 1],
    ['a span whose parent is elsewhere', {}, {}, { parent_span_id: id(9, 8) }, 1, 1],
    ['not an inner span', { topLevelByKind: true }, {}, { parent_span_id: id(9, 8) }, 0, 0],
    ['unless it is measured', { topLevelByKind: true }, { '_dd.measured': 1 }, { parent_span_id: id(9, 8) }, 1, 0],
    ['a client', { topLevelByKind: true }, {}, { parent_span_id: id(9, 8), kind: kinds.client }, 1, 0],
    [
      'even by kind of top alone',
      { topLevelByKind: true, byKind: false },
      {},
      { parent_span_id: id(9, 8), kind: kinds.client },
      1,
      0,
    ],
    ['a server', { topLevelByKind: true }, {}, { parent_span_id: id(9, 8), kind: kinds.server }, 1, 1],
    ['nothing of what is ignored', { ignored: [compilePattern('^work$')] }, {}, {}, 0, 0],
  ])('%s', (_, rules, attributes, more, hits, top) => {
    const found = statsOf(request([ended(1, 5, attributes, more)]), rules)
    expect([Number(found[0]?.hits ?? 0), Number(found[0]?.topLevelHits ?? 0)]).toEqual([hits, top])
  })

  test('a child in the same service counts for its kind, not as a top', () => {
    const body = request([
      ended(1, 5),
      ended(1, 5, {}, { span_id: id(3, 8), parent_span_id: id(2, 8), kind: kinds.client }),
    ])
    expect(statsOf(body).map(one => [one.span_kind, one.topLevelHits, one.is_trace_root])).toEqual([
      ['internal', '1', 1],
      ['client', '0', 2],
    ])
    expect(statsOf(body, { byKind: false })).toHaveLength(1)
  })

  test('what a tracer has counted itself is not counted again', () => {
    const resource = { 'service.name': 's', '_dd.stats_computed': 'true' }
    expect(statsOf(request([ended(1, 5)], resource))).toEqual([])
    expect(statsOf(request([ended(1, 5)], { ...resource, '_dd.stats_computed': 'false' }))).toHaveLength(1)
  })

  test('hits, errors, durations and their quantiles', () => {
    const spans = [10, 20, 30].map(ms => ended(1, ms))
    const failed = [100, 200].map(ms => ended(1, ms, {}, { status: { code: 2 } }))
    const [found, ...rest] = statsOf(request([...spans, ...failed]))
    expect(rest).toEqual([])
    expect(found).toMatchObject({ hits: '5', errors: '2', topLevelHits: '5', total: '360000000' })
    expect([countIn(found.okSummary), countIn(found.errorSummary)]).toEqual([3, 2])
    expect(Math.abs(quantileOf(found.okSummary, 0.5) / 2e7 - 1)).toBeLessThan(0.01)
  })

  test.each<[string, Record<string, unknown>, Plain, number]>([
    ['a threshold of tracestate', {}, { trace_state: 'x=y,ot=rv:1;th:c' }, 4],
    ['an exponent of tracestate', {}, { trace_state: 'ot=p:3;r:5' }, 8],
    ['one that says nothing of it', {}, { trace_state: 'ot=rv:1,th=8' }, 1],
    ['an attribute', { _sample_rate: 0.1 }, { trace_state: 'ot=th:8' }, 10],
    ['an attribute that makes no sense', { _sample_rate: 7.5 }, {}, 1],
  ])('a span stands for as many as %s tells', (_, attributes, more, weight) => {
    const [found] = statsOf(request([ended(1, 10, attributes, more)]))
    expect([found.hits, found.topLevelHits, found.total]).toEqual([`${weight}`, `${weight}`, `${weight * 10_000_000}`])
    expect(countIn(found.okSummary)).toBeCloseTo(weight)
  })

  test('spans are told apart by all that Datadog tells them apart by', () => {
    const db = { 'db.system': 'postgresql', 'server.address': '10.1.2.3', 'db.name': 'users' }
    const spans = [
      ended(1, 1, { 'http.request.method': 'GET', 'http.route': '/a', 'http.response.status_code': 200 }, { kind: 2 }),
      ended(
        1,
        1,
        { 'http.request.method': 'GET', 'http.route': '/a', 'http.response.status_code': '500' },
        { kind: 2 },
      ),
      ended(1, 1, { ...db, 'db.statement': 'SELECT 1' }, { kind: 3 }),
      ended(1, 1, { ...db, 'db.statement': 'SELECT 2' }, { kind: 3 }),
      ended(1, 1, { 'rpc.system': 'grpc', 'rpc.grpc.status_code': 5, 'rpc.method': 'Get' }, { kind: 2 }),
      ended(
        1,
        1,
        { 'rpc.system': 'grpc', 'rpc.grpc.status_code': 'StatusCode.NOT_FOUND', 'rpc.method': 'Get' },
        { kind: 2 },
      ),
      ended(1, 1, { '_dd.origin': 'synthetics-browser' }),
    ]
    const found = statsOf(
      request(spans, {
        'service.name': 'shop',
        'service.version': '2',
        'deployment.environment': 'Prod',
        'host.name': 'h',
      }),
    )
    const rows = found.map(one => [
      one.name,
      one.resource,
      one.type,
      one.HTTP_status_code,
      one.GRPC_status_code,
      one.synthetics,
      one.peer_tags,
      one.hits,
    ])
    expect(rows).toEqual([
      ['http.server.request', 'GET /a', 'web', 200, '', false, [], '1'],
      ['http.server.request', 'GET /a', 'web', 500, '', false, [], '1'],
      [
        'postgresql.query',
        'SELECT ?',
        'sql',
        0,
        '',
        false,
        ['db.name:users', 'db.system:postgresql', 'server.address:blocked-ip-address'],
        '2',
      ],
      ['grpc.server.request', 'Get', 'web', 0, '5', false, [], '2'],
      ['Internal', 'work', 'custom', 0, '', true, [], '1'],
    ])
    expect(found[0]).toMatchObject({ service: 'shop', env: 'prod', version: '2', hostname: 'h' })
    expect(statsOf(request([spans[2]]), { peerTags: undefined })[0].peer_tags).toEqual([])
    expect(statsOf(request([ended(1, 1, { mine: 'x' }, { kind: 3 })]), { peerTags: ['mine'] })[0].peer_tags).toEqual([
      'mine:x',
    ])
  })

  test.each<[string, Record<string, unknown>, Record<string, unknown>, object]>([
    ['nothing said', {}, {}, { hostname: '__unset__', env: 'none', version: '', containerID: '', tags: [] }],
    [
      'a task of Fargate has no host',
      { 'aws.ecs.launchtype': 'fargate', 'aws.ecs.task.arn': 'a' },
      {},
      { hostname: '' },
    ],
    [
      'a container with the tags that are wanted',
      { 'container.id': 'c', 'cloud.region': 'EU', 'k8s.pod.name': 'p' },
      {},
      { containerID: 'c', tags: ['region:eu'] },
    ],
    [
      'the span says otherwise',
      { 'service.version': '1' },
      { 'service.version': '2', 'deployment.environment.name': 'x', '_dd.hostname': 'h' },
      { version: '2', env: 'x', hostname: 'h' },
    ],
  ])('where spans are from: %s', (_, resource, attributes, expected) => {
    const [found] = statsOf(request([ended(1, 1, attributes)], resource), { containerTags: new Set(['region']) })
    expect(found).toMatchObject(expected)
  })
})

describe('buckets', () => {
  const add = (stats: SpanStats, now: number, spans: Plain[], resource?: Record<string, unknown>): void =>
    stats.add(readRequest('traces', request(spans, resource)).groups, now)

  test('are as long as the interval, begin on its multiples, and leave when two of them are over', () => {
    const stats = new SpanStats(usualStats, moment)
    add(stats, moment, [ended(1, 1), ended(11, 1), ended(19, 1)])
    expect(stats.flush(moment + 10_000, false)).toEqual([])
    const starts = (payloads: Buffer[]) =>
      foundIn(payloads).map(one => [Number(BigInt(one.start) / 1_000_000n) - moment, one.hits, one.duration])
    expect(starts(stats.flush(moment + 20_000, false))).toEqual([[0, '1', '10000000000']])
    expect(starts(stats.flush(moment + 20_000, true))).toEqual([[10_000, '2', '10000000000']])
    expect(stats.flush(moment + 99_000, true)).toEqual([])
    expect(stats.groups).toBe(0)
  })

  test('what is late is counted in the oldest that is not sent, what is of tomorrow in the newest', () => {
    const stats = new SpanStats(usualStats, moment)
    expect(stats.flush(moment + 60_000, false)).toEqual([])
    add(stats, moment + 60_000, [ended(0, 1), ended(86_400, 1)])
    const found = foundIn(stats.flush(moment + 60_000, true))
    expect(found.map(one => Number(BigInt(one.start) / 1_000_000n) - moment)).toEqual([50_000, 70_000])
  })

  test('what is more than may be told apart is counted together: without the resource, then without anything', () => {
    const stats = new SpanStats({ ...usualStats, mostGroups: 4 }, moment)
    add(
      stats,
      moment,
      Array.from({ length: 10 }, (_, i) => ended(1, 1, {}, { name: `r${i}` })),
    )
    for (let i = 0; i < 10; i++) add(stats, moment, [ended(1, 1)], { 'service.name': `s${i}`, 'host.name': `h${i}` })
    expect(stats.overflowed).toBe(16)
    const found = foundIn(stats.flush(moment, true))
    expect(found.map(one => [one.service, one.resource, one.hits])).toEqual([
      ['shop', 'r0', '1'],
      ['shop', 'r1', '1'],
      ['shop', 'r2', '1'],
      ['shop', 'r3', '1'],
      ['shop', 'agent_blocked_value', '6'],
      ['agent_blocked_value', 'agent_blocked_value', '10'],
    ])
  })

  test('a payload has no more groups than the intake takes; the others say that there are more', () => {
    const stats = new SpanStats(usualStats, moment)
    add(
      stats,
      moment,
      Array.from({ length: 9000 }, (_, i) => ended(1, 1, {}, { name: `r${i}` })),
    )
    const payloads = stats.flush(moment, true)
    expect(payloads.map(bytes => foundIn([bytes]).length)).toEqual([4000, 4000, 1000])
    const body = readMsgpack(statsBody(payloads, { hostname: 'me', env: '', version: '1' })) as Record<string, unknown>
    expect(body['SplitPayload']).toBe(true)
  })

  test('spans and resources that cannot be read are told, and the others counted', () => {
    const stats = new SpanStats(usualStats, moment)
    const bad = Buffer.from([0x0a, 4, 0x12, 2, 0x12, 0])
    stats.add(readRequest('traces', Buffer.concat([bad, request([ended(1, 1)])])).groups, moment)
    expect([stats.unreadable, foundIn(stats.flush(moment, true)).length]).toEqual([1, 1])
  })
})

describe('payloads', () => {
  const group = {
    service: 'shop',
    name: 'op',
    resource: 'GET /',
    HTTP_status_code: 200,
    type: 'web',
    hits: '3',
    errors: '1',
    duration: '9007199254740993',
    okSummary: Buffer.from([1, 2]),
    errorSummary: Buffer.from([3]),
    synthetics: true,
    topLevelHits: '2',
    span_kind: 'server',
    peer_tags: ['a:b', 'c:d'],
    is_trace_root: 2,
    GRPC_status_code: '5',
    service_source: 'src',
  }
  const payload = (hostname: string, more: object = {}) =>
    encodeDatadog('StatsPayload', {
      stats: [
        {
          hostname,
          env: 'prod',
          version: '1',
          tags: ['t:u'],
          containerID: 'c',
          stats: [{ start: '1700000000000000000', duration: '10000000000', stats: [group] }],
        },
      ],
      ...more,
    })

  test('are one for Datadog, in MessagePack with its keys', () => {
    const body = statsBody([payload('__unset__'), payload('h2', { agentEnv: 'e' })], {
      hostname: 'me',
      env: '',
      version: 'kymo/1',
    })
    const found = readMsgpack(body) as { Stats: { Hostname: string; Stats: unknown[] }[] }
    expect(found).toMatchObject({
      AgentHostname: 'me',
      AgentEnv: 'e',
      AgentVersion: 'kymo/1',
      ClientComputed: false,
      SplitPayload: false,
    })
    expect(found.Stats.map(({ Hostname }) => Hostname)).toEqual(['me', 'h2'])
    expect(found.Stats[0]).toMatchObject({
      Env: 'prod',
      Version: '1',
      ContainerID: 'c',
      Tags: ['t:u'],
      Sequence: 0,
      Stats: [
        {
          Start: 1700000000000000000n,
          Duration: 10_000_000_000n,
          AgentTimeShift: 0,
          Stats: [
            {
              Service: 'shop',
              Name: 'op',
              Resource: 'GET /',
              HTTPStatusCode: 200,
              Type: 'web',
              DBType: '',
              Hits: 3,
              Errors: 1,
              Duration: 9007199254740993n,
              OkSummary: Buffer.from([1, 2]),
              ErrorSummary: Buffer.from([3]),
              Synthetics: true,
              TopLevelHits: 2,
              SpanKind: 'server',
              PeerTags: ['a:b', 'c:d'],
              IsTraceRoot: 2,
              GRPCStatusCode: '5',
              HTTPMethod: '',
              HTTPEndpoint: '',
              srv_src: 'src',
              SpanDerivedPrimaryTags: [],
              AdditionalMetricTags: [],
            },
          ],
        },
      ],
    })
  })

  test('without anything said the environment is none', () => {
    expect(readMsgpack(statsBody([Buffer.alloc(0)], { hostname: 'me', env: '', version: '' }))).toMatchObject({
      AgentEnv: 'none',
      Stats: [],
    })
  })

  test.each([
    ['cut off', Buffer.from([0x1a, 9, 1])],
    ['of another kind', Buffer.from([0x1d, 0, 0, 0, 0])],
    ['wrong deeper down', Buffer.from([0x1a, 2, 0x22, 5])],
  ])('bytes that are %s are an error, not a payload', (_, bytes) => {
    expect(() => statsBody([bytes], { hostname: '', env: '', version: '' })).toThrow(/./)
  })

  test('travel as a metric of that name, one point each', () => {
    const [{ item }] = itemsOf('metrics', statsRequest([Buffer.from('one'), Buffer.from('two')], moment))
    expect(item['name']).toBe(statsMetric)
    expect(item).toMatchObject({ sum: {} })
    expect(pointsOf(item).map(point => attributesOf(point)[statsMetric])).toEqual(['0x6f6e65', '0x74776f'])
    expect(pointsOf(item)[0]['time_unix_nano']).toBe(`${moment}000000`)
  })
})
