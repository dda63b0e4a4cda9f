import { describe, expect, test } from 'vitest'
import { encoded, id, list, only, request, span } from '../../support/datadog-spans.ts'

describe('tags', () => {
  test('attributes are renamed, numbers are metrics, and what the span has comes before its resource', () => {
    const made = only(
      request(
        [
          span(
            {
              'url.full': 'https://x/y',
              'http.response.status_code': 503,
              'user_agent.original': 'curl',
              ratio: 0.5,
              'http.request.header.accept': 'json',
              flag: true,
              list: ['a', 1],
              both: 'span',
              empty: '',
              none: undefined,
              big: 9007199254740993n,
              negative: -3n,
            },
            { status: { code: 2 }, trace_state: 'ot=th:8', parent_span_id: id(9, 8) },
          ),
        ],
        {
          'service.name': 'shop',
          'service.version': '1.2',
          'deployment.environment.name': 'Prod',
          both: 'resource',
          empty: 'filled',
          'host.name': 'web-1',
          'container.id': 'c1',
          'k8s.pod.name': 'p1',
        },
        { name: 'lib', version: '3', attributes: list({ flag: 'scope' }) },
      ),
    )
    expect(made.meta).toEqual({
      'span.kind': 'internal',
      'otel.trace_id': '000000000000abcd0000000000000001',
      'otel.status_code': 'Error',
      'http.url': 'https://x/y',
      'http.useragent': 'curl',
      'http.request.headers.accept': 'json',
      flag: 'scope',
      list: '["a",1]',
      both: 'span',
      empty: 'filled',
      none: '',
      'w3c.tracestate': 'ot=th:8',
      version: '1.2',
      env: 'prod',
      'otel.scope.name': 'lib',
      'otel.library.name': 'lib',
      'otel.scope.version': '3',
      'otel.library.version': '3',
      'service.version': '1.2',
      'deployment.environment.name': 'Prod',
      'host.name': 'web-1',
      'container.id': 'c1',
      'k8s.pod.name': 'p1',
      'error.msg': '503 Service Unavailable',
    })
    expect(made.metrics).toEqual({
      'http.status_code': 503,
      ratio: 0.5,
      big: 9007199254740992,
      negative: -3,
      _top_level: 1,
      _sample_rate: 0.5,
    })
    expect([made.error, made.traceID, made.spanID, made.parentID, made.duration]).toEqual([1, '1', '2', '9', '500000'])
  })

  test('events and links are JSON, and an exception says what the error was', () => {
    const stack = 'Error: "bad"\n  at x'
    const made = only(
      request([
        span(
          {},
          {
            status: { code: 2, message: 'ignored' },
            events: [
              {
                time_unix_nano: '1700000000000000001',
                name: 'exception',
                attributes: list({ 'exception.message': 'bad', 'exception.type': 'E', 'exception.stacktrace': stack }),
              },
              { name: 'n', attributes: list({ a: 1, b: 0.5, c: true, d: ['x', 2] }), dropped_attributes_count: 3 },
              {},
            ],
            links: [
              {
                trace_id: id(7, 16),
                span_id: id(8, 8),
                trace_state: 'a="b"',
                attributes: list({ n: 1, t: 'x' }),
                dropped_attributes_count: 2,
              },
            ],
          },
        ),
      ]),
    )
    expect(JSON.parse(made.meta['events'].replace('1700000000000000001', '1'))).toEqual([
      {
        time_unix_nano: 1,
        name: 'exception',
        attributes: { 'exception.message': 'bad', 'exception.type': 'E', 'exception.stacktrace': stack },
      },
      { name: 'n', attributes: { a: 1, b: 0.5, c: true, d: ['x', 2] }, dropped_attributes_count: 3 },
      {},
    ])
    expect(made.meta['events']).toContain('"time_unix_nano":1700000000000000001,')
    expect(JSON.parse(made.meta['_dd.span_links'])).toEqual([
      {
        trace_id: '0'.repeat(31) + '7',
        span_id: '0'.repeat(15) + '8',
        tracestate: 'a="b"',
        attributes: { n: '1', t: 'x' },
        dropped_attributes_count: 2,
      },
    ])
    expect(made.meta).toMatchObject({
      'error.msg': 'bad',
      'error.type': 'E',
      'error.stack': stack,
      '_dd.span_events.has_exception': 'true',
      'otel.status_description': 'ignored',
    })
  })

  test.each<[string, Record<string, unknown>, Record<string, unknown>, Record<string, string | undefined>]>([
    [
      'the environment of the span comes first',
      { 'deployment.environment': 'Test' },
      { 'deployment.environment': 'prod' },
      { env: 'test', 'deployment.environment': 'Test' },
    ],
    [
      'but the newer name comes before the older',
      { 'deployment.environment': 'old' },
      { 'deployment.environment.name': 'new' },
      { env: 'new' },
    ],
    ['an env of its own stays', { env: 'mine' }, { 'deployment.environment': 'prod' }, { env: 'mine' }],
    ['so does a version', { version: 'v' }, { 'service.version': '1' }, { version: 'v' }],
    ['the database is the namespace', { 'db.namespace': 'users' }, {}, { 'db.name': 'users', 'db.namespace': 'users' }],
    ['unless it has a name', { 'db.namespace': 'users', 'db.name': 'x' }, { 'db.namespace': 'r' }, { 'db.name': 'x' }],
    ['the same of the resource', {}, { 'db.namespace': 'r' }, { 'db.name': 'r' }],
    [
      'the first of two that have one name in Datadog wins',
      { 'http.url': 'a', 'url.full': 'b' },
      {},
      { 'http.url': 'a' },
    ],
    [
      'values of statements do not leave',
      { 'db.system': 'mysql', 'db.query.text': "a = 'secret'", 'sql.query': 'b = 5' },
      {},
      { 'db.query.text': "a = 'secret'", 'sql.query': 'b = 5' },
    ],
    [
      'the status of gRPC',
      { 'rpc.system': 'grpc', 'rpc.response.status_code': 'NOT_FOUND' },
      {},
      { 'rpc.grpc.status_code': 'NOT_FOUND' },
    ],
    ['values that are too long are cut', { long: 'é'.repeat(20_000) }, {}, { long: `${'é'.repeat(12_498)}...` }],
  ])('%s', (_, attributes, resource, expected) => {
    expect(only(request([span(attributes)], { 'service.name': 's', ...resource })).meta).toMatchObject(expected)
  })

  test('values of statements of a database do not leave', () => {
    const made = only(
      request([span({ 'db.system': 'mysql', 'db.query.text': "a = 'secret'", 'sql.query': 'b = 5' }, { kind: 3 })]),
    )
    expect(made).toMatchObject({ resource: 'a = ?', meta: { 'db.query.text': 'a = ?', 'sql.query': 'b = ?' } })
  })

  test.each([
    [1, 1, '-4'],
    [2, 2, '-4'],
    [0, 0, undefined],
    [-1, -1, undefined],
    [undefined, 1, '-9'],
  ])('a sampling priority of %s makes %s, decided by %s', (given, priority, maker) => {
    const { payload } = encoded(request([span(given === undefined ? {} : { 'sampling.priority': given })]))
    const [chunk] = payload.tracerPayloads[0].chunks
    expect([chunk.priority, chunk.tags['_dd.p.dm']]).toEqual([priority, maker])
    expect(chunk.spans[0].metrics['_sampling_priority_v1']).toBe(given)
  })

  test('whether it is analysed is what Go takes for true', () => {
    for (const [text, rate] of [
      ['true', 1],
      ['F', 0],
      ['maybe', undefined],
    ] as const) {
      const made = only(request([span({ 'analytics.event': text })]))
      expect(made.metrics['_dd1.sr.eausr']).toBe(rate)
      expect(made.meta['analytics.event']).toBeUndefined()
    }
  })
})
