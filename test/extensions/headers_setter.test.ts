import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { clientAuthenticatorKey, type Headers } from '../../core/auth.ts'
import type { Context } from '../../core/context.ts'
import { offered } from '../../core/capability.ts'
import { headersSetter } from '../../extensions/headers_setter.ts'
import { complaintsOf, extensionOf, from, metadata } from '../support/extending.ts'
import { runKymo } from '../support/kymo.ts'
import { spanNames, tracesRequest } from '../support/otlp-bytes.ts'
import { httpSend } from '../support/receiving.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-headers-'))
afterAll(() => rmSync(folder, { recursive: true }))
const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

function headersOf(headers: object[], context: Context = from(), sent: Headers = {}) {
  const { client } = extensionOf(headersSetter, { headers })
  return client?.headers(context, sent)
}

test.each<[string, object, string]>([
  ['no headers', { headers: [] }, '`headers` is empty'],
  ['no key', { headers: [{ value: 'a' }] }, '`key` is missing'],
  ['no source', { headers: [{ key: 'a' }] }, 'set one of `value`, `value_file`, `from_context`, `from_attribute`'],
  ['two sources', { headers: [{ key: 'a', value: 'b', from_context: 'c' }] }, 'set one of `value`, `from_context`'],
  ['a key that is none', { headers: [{ key: 'a b', value: 'c' }] }, '`a b` is no name of a header'],
  ['a header of the protocol', { headers: [{ key: 'Content-Length', value: '1' }] }, 'is set by the protocol itself'],
  ['a pseudo-header', { headers: [{ key: ':path', value: '/' }] }, 'is no name of a header'],
  ['a default without a source', { headers: [{ key: 'a', value: 'b', default_value: 'c' }] }, 'has a meaning only'],
  ['a line break in a value', { headers: [{ key: 'a', value: 'b\r\nc: d' }] }, 'cannot carry'],
])('a configuration with %s is refused', (_what, config, message) => {
  expect(complaintsOf(headersSetter, config).join()).toContain(message)
})

const tenant = from({ metadata: metadata({ 'x-tenant': 'shop', empty: '' }), auth: new Map([['username', 'alice']]) })

test.each<[string, object, Headers, object]>([
  ['insert, where there is none', { action: 'insert', value: 'new' }, {}, { a: 'new' }],
  ['insert, where there is one', { action: 'insert', value: 'new' }, { a: 'old' }, {}],
  ['update, where there is none', { action: 'update', value: 'new' }, {}, {}],
  ['update, where there is one', { action: 'update', value: 'new' }, { a: 'old' }, { a: 'new' }],
  ['upsert, where there is none', { action: 'upsert', value: 'new' }, {}, { a: 'new' }],
  ['no action, where there is one', { value: 'new' }, { a: 'old' }, { a: 'new' }],
  ['delete', { action: 'delete' }, { a: 'old' }, { a: undefined }],
  ['a header of the request, whatever its case', { from_context: 'X-Tenant' }, {}, { a: 'shop' }],
  ['a header the request has not', { from_context: 'x-other' }, {}, {}],
  ['a header the request has not, with a default', { from_context: 'x-other', default_value: 'all' }, {}, { a: 'all' }],
  ['an empty header, with a default', { from_context: 'empty', default_value: 'all' }, {}, { a: 'all' }],
  ['an attribute of the sender', { from_attribute: 'username' }, {}, { a: 'alice' }],
  ['an attribute there is not', { from_attribute: 'subject', default_value: 'nobody' }, {}, { a: 'nobody' }],
])('%s', (_what, header, sent, expected) => {
  expect(headersOf([{ key: 'A', ...header }], tenant, sent)).toEqual(expected)
})

test('headers are set in order, each sees what those before it did', () => {
  const headers = [
    { key: 'a', action: 'insert', value: '1' },
    { key: 'a', action: 'insert', value: '2' },
    { key: 'a', action: 'update', value: '3' },
    { key: 'b', action: 'delete' },
    { key: 'b', action: 'insert', value: '4' },
  ]
  expect(headersOf(headers, from(), { b: 'old' })).toEqual({ a: '3', b: '4' })
})

test.each([
  ['several values', { 'x-tenant': ['shop', 'bank'] }],
  ['a value that headers cannot carry', { 'x-tenant': 'shop\r\nx-admin: yes' }],
])('%s: the data is rejected, for it would go to somebody else', (_what, headers) => {
  const context = from({ metadata: metadata(headers) })
  expect(() => headersOf([{ key: 'a', from_context: 'x-tenant', default_value: 'all' }], context)).toThrow(
    expect.objectContaining({ kind: 'rejected' }),
  )
})

test('the headers of another extension come first; one that is not there is told by name', () => {
  const first = { headers: () => ({ authorization: 'Bearer x', a: '1' }) }
  const other = { offers: [offered(clientAuthenticatorKey, () => first)] }
  const config = {
    additional_auth: 'other',
    headers: [
      { key: 'a', action: 'insert', value: '2' },
      { key: 'b', value: '3' },
    ],
  }
  const { extension, client } = extensionOf(headersSetter, config, { others: { other } })
  void extension.start?.()
  expect(client?.headers(from(), {})).toEqual({ authorization: 'Bearer x', a: '1', b: '3' })
  expect(() => extensionOf(headersSetter, config).extension.start?.()).toThrow(
    'headers_setter: the extension other is not running',
  )
  expect(() => extensionOf(headersSetter, config, { others: { other: {} } }).extension.start?.()).toThrow(
    'headers_setter: the extension other is no client authenticator; it offers nothing',
  )
})

test('a value is read from its file', async () => {
  const value_file = join(folder, 'value')
  writeFileSync(value_file, 'abc\n')
  const one = extensionOf(headersSetter, { headers: [{ key: 'a', value_file }] })
  open.push(one.stop)
  await one.extension.start?.()
  expect(one.client?.headers(from(), {})).toEqual({ a: 'abc' })
})

test('tenants: what each sender sent goes out under its own header, however it was batched', async () => {
  const seen: [tenant: unknown, key: unknown, spans: string[]][] = []
  const sink = createServer((request, response) => {
    const chunks: Buffer[] = []
    request
      .on('data', (chunk: Buffer) => chunks.push(chunk))
      .on('end', () => {
        seen.push([request.headers['x-scope-orgid'], request.headers['x-key'], spanNames(Buffer.concat(chunks))])
        response.end()
      })
  })
  await new Promise<void>(resolve => sink.listen(0, '127.0.0.1', resolve))
  const kymo = await runKymo(`
receivers:
  otlp: {protocols: {http: {endpoint: '127.0.0.1:0', include_metadata: true}}}
processors:
  batch: {metadata_keys: [X-Tenant], timeout: 20ms}
exporters:
  otlp_http:
    endpoint: http://127.0.0.1:${(sink.address() as AddressInfo).port}
    compression: none
    headers: {x-key: fixed}
    auth: {authenticator: headers_setter}
    sending_queue: {batch: {flush_timeout: 10ms, partition: {metadata_keys: [x-tenant]}}}
extensions:
  headers_setter: {headers: [{key: X-Scope-OrgID, from_context: x-tenant, default_value: nobody}]}
service:
  extensions: [headers_setter]
  pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [otlp_http]}}
`)
  open.push(
    () => sink.close(),
    () => kymo.stop(),
  )
  const port = Number(kymo.addresses[0].split(':').at(-1))
  const tenants = ['a', 'b', 'a', 'b', '', 'a', 'b', 'a', '']
  const sends = tenants.map((tenant, i) =>
    httpSend(port, tracesRequest([{ spans: [`${tenant || 'nobody'} ${i}`] }]), {
      headers: tenant === '' ? {} : { 'x-tenant': tenant },
    }),
  )
  expect((await Promise.all(sends)).map(({ status }) => status)).toEqual(tenants.map(() => 200))
  await kymo.stop()
  expect(seen.flatMap(([, , spans]) => spans)).toHaveLength(tenants.length)
  for (const [tenant, key, spans] of seen) {
    expect(key).toBe('fixed')
    for (const span of spans) expect(span.split(' ')[0]).toBe(tenant)
  }
})
