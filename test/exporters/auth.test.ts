import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { type ClientAuthenticator, clientAuthenticatorKey } from '../../core/auth.ts'
import type { Context } from '../../core/context.ts'
import { offered } from '../../core/capability.ts'
import type { Extension } from '../../core/component.ts'
import { DeliveryError } from '../../core/errors.ts'
import { otlpGrpcExporter } from '../../exporters/otlp_grpc.ts'
import { otlpHttpExporter } from '../../exporters/otlp_http.ts'
import { inContext } from '../support/batches.ts'
import { batchOf, exporterOf, forever } from '../support/exporting.ts'
import { grpcJs } from '../support/grpc-peer.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

const types = ['otlp_grpc', 'otlp_http'] as const
const definitions = { otlp_grpc: otlpGrpcExporter, otlp_http: otlpHttpExporter }

/** A server that takes everything, and what it was sent. */
async function peer(type: (typeof types)[number]) {
  const seen: { headers: IncomingHttpHeaders; body: Buffer }[] = []
  if (type === 'otlp_grpc') {
    const server = await grpcJs((call, done) => {
      const headers = Object.fromEntries(
        Object.keys(call.metadata.getMap()).map(name => [name, call.metadata.get(name).map(String).join()]),
      )
      seen.push({ headers, body: call.request })
      done(null, Buffer.alloc(0))
    })
    open.push(() => server.stop())
    return { seen, endpoint: server.endpoint }
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request
      .on('data', (chunk: Buffer) => chunks.push(chunk))
      .on('end', () => {
        seen.push({ headers: request.headers, body: Buffer.concat(chunks) })
        response.end()
      })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  open.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { seen, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

async function against(type: (typeof types)[number], client: ClientAuthenticator, config: object = {}) {
  const { seen, endpoint } = await peer(type)
  const all = { endpoint, tls: { insecure: true }, compression: 'none', auth: { authenticator: 'who' }, ...config }
  const { exporter } = exporterOf(definitions[type], all, undefined, {
    who: { offers: [offered(clientAuthenticatorKey, () => client)] },
  })
  open.push(() => exporter.stop?.())
  await exporter.start?.()
  return { seen, exporter }
}

const batch = batchOf(tracesRequest([{ spans: ['a'] }]))
const of = (tenant: string): Context => ({ ...batch.context, metadata: new Map([['tenant', [tenant]]]) })

test.each(types)('%s: headers are asked for each time, and depend on where the data came from', async type => {
  let token = 0
  const { seen, exporter } = await against(type, {
    headers: ({ metadata }) => ({ authorization: `Bearer ${++token}`, 'x-tenant': metadata?.get('tenant')?.[0] }),
  })
  // At the same time, so that they share a connection and, as far as they can, what is sent.
  await Promise.all(
    [inContext(batch, of('shop')), inContext(batch, of('bank')), batch].map(one => exporter.send(one, forever)),
  )
  const tenants = new Map(seen.map(({ headers }) => [headers['authorization'], headers['x-tenant']]))
  expect(tenants).toEqual(
    new Map([
      ['Bearer 1', 'shop'],
      ['Bearer 2', 'bank'],
      ['Bearer 3', undefined],
    ]),
  )
  expect(new Set(seen.map(({ body }) => body.toString('hex'))).size).toBe(1)
})

test.each(types)(
  '%s: headers go over those of the configuration, which they know, and can take them away',
  async type => {
    const sent: object[] = []
    const { seen, exporter } = await against(
      type,
      {
        headers(_, given) {
          sent.push(given)
          return { 'x-one': 'new', 'x-two': undefined }
        },
      },
      { headers: { 'X-One': 'old', 'X-Two': 'old', 'X-Three': 'old' } },
    )
    await exporter.send(batch, forever)
    await exporter.send(batch, forever)
    expect(sent[0]).toMatchObject({ 'x-one': 'old', 'x-two': 'old', 'x-three': 'old' })
    expect(sent[1]).toEqual(sent[0])
    for (const { headers } of seen) {
      expect([headers['x-one'], headers['x-two'], headers['x-three']]).toEqual(['new', undefined, 'old'])
    }
  },
)

test('otlp_grpc: a header for bytes is sent as gRPC has it', async () => {
  const { seen, exporter } = await against('otlp_grpc', { headers: () => ({ 'key-bin': 'ünï' }) })
  await exporter.send(batch, forever)
  expect(seen[0].headers['key-bin']).toBe('ünï')
})

test.each(types)(
  '%s: without credentials nothing is sent; what is thrown says what it means for the data',
  async type => {
    const errors = [new Error('no token yet'), new DeliveryError('DELIVERY_REJECTED', 'rejected', 'two tenants')]
    const { seen, exporter } = await against(type, {
      headers() {
        throw errors.shift() ?? new Error('no more')
      },
    })
    await expect(exporter.send(batch, forever)).rejects.toThrow('no token yet')
    await expect(exporter.send(batch, forever)).rejects.toMatchObject({ kind: 'rejected' })
    expect(seen).toEqual([])
  },
)

test.each(types)('%s: an extension that is not there, or cannot, is told at the start with both ids', type => {
  const endpoint = type === 'otlp_grpc' ? '127.0.0.1:1' : 'http://127.0.0.1:1'
  const start = (extensions: Record<string, Extension>) => () =>
    exporterOf(
      definitions[type],
      { endpoint, auth: { authenticator: 'who' } },
      undefined,
      extensions,
    ).exporter.start?.()
  expect(start({})).toThrow(`${type}: the extension who is not running`)
  expect(start({ who: {} })).toThrow(`${type}: the extension who is no client authenticator; it offers nothing`)
})
