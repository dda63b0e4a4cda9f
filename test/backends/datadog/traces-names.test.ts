import { describe, expect, test } from 'vitest'
import type { TraceRules } from '../../../backends/datadog/traces.ts'
import { kinds, only, request, span } from '../../support/datadog-spans.ts'

describe('what a span is called', () => {
  const pg = { 'db.system': 'postgresql', 'db.statement': "SELECT * FROM t WHERE id = 7 AND name = 'x'" }
  test.each<[keyof typeof kinds, Record<string, unknown>, [name: string, resource: string, type: string]]>([
    [
      'server',
      { 'http.request.method': 'GET', 'http.route': '/users/{id}' },
      ['http.server.request', 'GET /users/{id}', 'web'],
    ],
    ['server', { 'http.method': 'POST' }, ['http.server.request', 'POST', 'web']],
    ['server', { 'http.request.method': '_OTHER', 'http.route': '/x' }, ['http.server.request', 'HTTP /x', 'web']],
    [
      'client',
      { 'http.request.method': 'GET', 'url.template': '/a/{b}' },
      ['http.client.request', 'GET /a/{b}', 'http'],
    ],
    ['client', { 'http.request.method': 'GET', 'http.route': '/a' }, ['http.client.request', 'GET', 'http']],
    ['internal', { 'http.request.method': 'GET', 'http.route': '/a' }, ['Internal', 'GET', 'custom']],
    ['client', pg, ['postgresql.query', 'SELECT * FROM t WHERE id = ? AND name = ?', 'sql']],
    ['client', { 'db.system.name': 'mongodb' }, ['mongodb.query', 'work', 'mongodb']],
    ['client', { 'db.system': 'Weird DB', 'db.query.text': 'q' }, ['weird_db.query', 'q', 'db']],
    ['client', { 'db.system': 'redis', 'db.statement': 'set key value' }, ['redis.query', 'SET', 'redis']],
    [
      'producer',
      { 'messaging.system': 'kafka', 'messaging.operation': 'publish', 'messaging.destination.name': 'orders' },
      ['kafka.publish', 'publish orders', 'custom'],
    ],
    [
      'consumer',
      { 'messaging.system': 'kafka', 'messaging.operation': 'process' },
      ['kafka.process', 'process', 'custom'],
    ],
    ['internal', { 'messaging.system': 'kafka', 'messaging.operation': 'process' }, ['Internal', 'process', 'custom']],
    [
      'client',
      { 'rpc.system': 'aws-api', 'rpc.service': 'S3', 'rpc.method': 'GetObject' },
      ['aws.s3.request', 'GetObject S3', 'http'],
    ],
    ['client', { 'rpc.system': 'aws-api' }, ['aws.client.request', 'work', 'http']],
    [
      'client',
      { 'rpc.system': 'grpc', 'rpc.method': 'Get', 'rpc.service': 'shop.Users' },
      ['grpc.client.request', 'Get shop.Users', 'http'],
    ],
    ['server', { 'rpc.system': 'grpc', 'rpc.method': 'Get' }, ['grpc.server.request', 'Get', 'web']],
    ['server', { 'rpc.system': 'aws-api' }, ['aws_api.server.request', 'work', 'web']],
    ['client', { 'faas.invoked_provider': 'aws', 'faas.invoked_name': 'my-fn' }, ['aws.my_fn.invoke', 'work', 'http']],
    ['server', { 'faas.trigger': 'timer' }, ['timer.invoke', 'work', 'web']],
    [
      'server',
      { 'graphql.operation.type': 'query', 'graphql.operation.name': 'Cart' },
      ['graphql.server.request', 'query Cart', 'web'],
    ],
    ['server', { 'network.protocol.name': 'amqp' }, ['amqp.server.request', 'work', 'web']],
    ['client', { 'network.protocol.name': 'AMQP' }, ['amqp.client.request', 'work', 'http']],
    ['server', {}, ['server.request', 'work', 'web']],
    ['client', {}, ['client.request', 'work', 'http']],
    ['producer', {}, ['Producer', 'work', 'custom']],
    ['consumer', {}, ['Consumer', 'work', 'custom']],
    ['internal', {}, ['Internal', 'work', 'custom']],
    ['unspecified', {}, ['Internal', 'work', 'custom']],
    [
      'server',
      { 'operation.name': 'My Own-Op', 'resource.name': 'mine', 'span.type': 'queue' },
      ['my_own_op', 'mine', 'queue'],
    ],
    ['client', { 'gen_ai.system': 'x' }, ['client.request', 'work', 'llm']],
  ])('a span of kind %s with %o is %o', (kind, attributes, [name, resource, type]) => {
    const made = only(request([span(attributes, { kind: kinds[kind] })]))
    expect([made.name, made.resource, made.type]).toEqual([name, resource, type])
    expect(made.meta['span.kind']).toBe(kind)
  })

  test('attributes of the resource say it where the span does not', () => {
    const made = only(
      request([span({}, { kind: 3 })], { 'service.name': 'shop', 'db.system': 'mysql', 'resource.name': 'r' }),
    )
    expect([made.name, made.resource, made.type]).toEqual(['mysql.query', 'r', 'sql'])
  })

  test.each<[string, TraceRules['names'], string, string]>([
    [
      'remapped names are used',
      { spanName: false, remappings: new Map([['lib.server', 'web req']]) },
      'web_req',
      'GET /a',
    ],
    ['names of spans are taken', { spanName: true, remappings: new Map() }, 'work', 'GET /a'],
    ['else scope and kind', { spanName: false, remappings: new Map() }, 'lib.server', 'GET /a'],
  ])('%s', (_, names, name, resource) => {
    const attributes = { 'http.request.method': 'GET', 'http.route': '/a' }
    const made = only(request([span(attributes, { kind: 2 })], undefined, { name: 'lib' }), { names })
    expect([made.name, made.resource]).toEqual([name, resource])
  })

  test.each([
    ['a service is put in lower case, with underscores', 'My Shop!', 'my_shop'],
    ['a service without a name gets one', undefined, 'otlpresourcenoservicename'],
    ['a service of nothing but signs', '!!!', 'unnamed-service'],
    ['a long one is cut', 'x'.repeat(150), 'x'.repeat(100)],
    ['letters beyond ASCII stay', 'Übung/ß-1', 'übung/ß-1'],
  ])('%s', (_, given, expected) => {
    expect(only(request([span({})], given === undefined ? {} : { 'service.name': given })).service).toBe(expected)
  })

  test('a resource without a name is called as the operation; a long one is cut', () => {
    expect(only(request([span({}, { name: '' })])).resource).toBe('Internal')
    expect(only(request([span({}, { name: 'é'.repeat(4000) })])).resource).toHaveLength(2500)
  })
})
