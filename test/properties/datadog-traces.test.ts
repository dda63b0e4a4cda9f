import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AgentPayload } from '../support/datadog-proto.ts'
import { expectedPayload } from '../support/datadog-reference.ts'
import { encoded, id, list, span } from '../support/datadog-spans.ts'
import { SpanStats } from '../../backends/datadog/stats-spans.ts'
import { readRequest } from '../../proto/request.ts'
import { WireError } from '../../proto/wire.ts'
import { everything } from '../support/everything.ts'
import { foundIn, moment, usualStats } from '../support/datadog-stats.ts'
import { encode } from '../support/otlp-proto.ts'
import { requests } from '../support/otlp.ts'

describe('random spans', () => {
  const keys = [
    'service.name',
    'operation.name',
    'resource.name',
    'span.type',
    'http.request.method',
    'http.method',
    'http.route',
    'url.template',
    'http.status_code',
    'http.response.status_code',
    'db.system',
    'db.system.name',
    'db.statement',
    'db.namespace',
    'db.name',
    'messaging.system',
    'messaging.operation',
    'messaging.destination.name',
    'rpc.system',
    'rpc.service',
    'rpc.method',
    'faas.trigger',
    'faas.invoked_provider',
    'faas.invoked_name',
    'graphql.operation.type',
    'network.protocol.name',
    'deployment.environment',
    'deployment.environment.name',
    'env',
    'service.version',
    'version',
    'container.id',
    '_dd.measured',
    'sampling.priority',
    'url.full',
    'http.url',
    'user_agent.original',
    'http.request.header.accept',
    'http.request.header.referrer',
    'error.msg',
    'a',
    'b',
    'long.'.repeat(20),
    'telemetry.sdk.language',
    'host.name',
  ]
  const text = fc.constantFrom(
    '',
    'GET',
    'x',
    'grpc',
    'aws-api',
    'postgresql',
    'redis',
    'Some Thing',
    'SELECT 1',
    'é',
    '_OTHER',
    '200',
  )
  const single = fc.oneof(
    { weight: 4, arbitrary: text },
    fc.boolean(),
    fc.integer({ min: -2, max: 600 }),
    fc.constantFrom(0.5, 1e300),
    fc.constant(undefined),
  )
  const some = (max: number) =>
    fc
      .uniqueArray(fc.tuple(fc.constantFrom(...keys), single), { maxLength: max, selector: ([key]) => key })
      .map(entries => Object.fromEntries(entries))
  const spans = fc.array(
    fc.record({
      trace: fc.integer({ min: 1, max: 3 }),
      parent: fc.integer({ min: 0, max: 9 }),
      kind: fc.integer({ min: 0, max: 5 }),
      attributes: some(6),
      name: text,
      code: fc.integer({ min: 0, max: 2 }),
      message: fc.constantFrom('', 'oops'),
      state: fc.constantFrom('', 'a=b'),
      length: fc.integer({ min: 0, max: 1e9 }),
    }),
    { maxLength: 8 },
  )
  const groups = fc.array(
    fc.record({
      resource: some(5),
      scope: fc.constantFrom('', 'lib'),
      scopeAttributes: fc.constantFrom({}, { a: 'scope' }),
      spans,
    }),
    { maxLength: 3 },
  )

  test.each([false, true])('are what a plain reference makes of them, top by kind: %s', byKind => {
    fc.assert(
      fc.property(groups, made => {
        const body = encode('traces', {
          resource_spans: made.map(({ resource, scope, scopeAttributes, spans }) => ({
            resource: { attributes: list(resource) },
            scope_spans: [
              {
                scope: { name: scope, attributes: list(scopeAttributes) },
                spans: spans.map(({ trace, parent, kind, attributes, name, code, message, state, length }, i) =>
                  span(attributes, {
                    trace_id: id(trace, 16),
                    span_id: id(i + 1, 8),
                    kind,
                    name,
                    status: { code, message },
                    trace_state: state,
                    ...(parent === 0 ? {} : { parent_span_id: id(parent, 8) }),
                    end_time_unix_nano: String(1700000000000000000n + BigInt(length)),
                  }),
                ),
              },
            ],
          })),
        })
        const { payload } = encoded(body, { topLevelByKind: byKind, hostname: 'me' })
        const expected = expectedPayload(body, { byKind, hostname: 'me' })
        for (const one of payload.tracerPayloads) one.tags = {}
        expect(simple(payload)).toEqual(simple(expected))
      }),
      { numRuns: 200 },
    )
  })

  const simple = ({ hostName, env, tracerPayloads }: AgentPayload) => ({
    hostName,
    env,
    payloads: tracerPayloads.map(({ containerID, languageName, tracerVersion, env, hostname, appVersion, chunks }) => ({
      containerID,
      languageName,
      tracerVersion,
      env,
      hostname,
      appVersion,
      chunks: chunks.map(({ priority, tags, spans }) => ({
        priority,
        tags: { ...tags },
        spans: spans.map(one => ({ ...one, meta: { ...one.meta }, metrics: { ...one.metrics } })),
      })),
    })),
  })
})

test('of whatever is valid OTLP, and of what is not, every span is sent or told', () => {
  const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 })
  fc.assert(
    fc.property(
      fc.oneof(
        requests()
          .filter(({ signal }) => signal === 'traces')
          .map(({ body }) => body),
        fc.constant(everything('traces')),
      ),
      flips,
      (body, changes) => {
        const bytes = Buffer.from(body)
        for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte
        try {
          const { items, groups } = readRequest('traces', bytes)
          const { spans, left, payload } = encoded(bytes)
          expect(Object.values(left).reduce((sum, n) => sum + n, spans)).toBe(items)
          const chunks = payload.tracerPayloads.flatMap(one => one.chunks)
          expect(chunks.reduce((sum, one) => sum + one.spans.length, 0)).toBe(spans)
          const stats = new SpanStats(usualStats, moment)
          stats.add(groups, moment)
          const hits = foundIn(stats.flush(moment, true)).reduce((sum, one) => sum + Number(one.hits), 0)
          expect(Number.isSafeInteger(hits)).toBe(true)
        } catch (error) {
          // What cannot be framed, and resources that cannot be read, are nobody's.
          if (!(error instanceof WireError)) throw error
        }
      },
    ),
    { numRuns: 400 },
  )
})
