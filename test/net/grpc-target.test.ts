import { expect, test } from 'vitest'
import { addressText, parseTarget, resolveTarget } from '../../net/grpc-target.ts'

test.each([
  ['gateway:4317', { name: 'gateway:4317', authority: 'gateway:4317', host: 'gateway', port: 4317, https: false }],
  ['http://gateway:4317', { name: 'gateway:4317', https: false }],
  ['https://gateway:443/', { name: 'gateway:443', port: 443, https: true }],
  ['HTTPS://gateway:443', { name: 'gateway:443', https: true }],
  ['dns:///gateway.svc:4317', { authority: 'gateway.svc:4317', host: 'gateway.svc' }],
  ['dns:gateway:4317', { authority: 'gateway:4317', host: 'gateway' }],
  ['passthrough:///10.0.0.1:4317', { host: '10.0.0.1' }],
  ['[::1]:4317', { authority: '[::1]:4317', host: '::1', port: 4317 }],
  [':4317', { authority: 'localhost:4317', host: 'localhost' }],
  ['unix:///run/otel.sock', { authority: 'localhost', socket: '/run/otel.sock' }],
  ['unix:otel.sock', { authority: 'localhost', socket: 'otel.sock' }],
])('%s is taken apart', (endpoint, expected) => {
  expect(parseTarget(endpoint)).toMatchObject(expected)
})

test.each([
  ['', /is empty/],
  ['gateway', /has no port/],
  ['http://gateway', /has no port/],
  ['gateway:otlp', /the port must be a number/],
  ['gateway:', /has no port/],
  ['gateway:0', /from 1 to 65535/],
  ['gateway:70000', /from 1 to 65535/],
  ['gateway:4317/v1/traces', /has a path/],
  ['ftp://gateway:21', /unknown scheme/],
  ['::1:4317', /in brackets/],
  ['[gateway]:4317', /no IPv6 address/],
  ['dns://8.8.8.8/gateway:4317', /names the DNS server 8.8.8.8/],
  ['unix://', /names no socket/],
])('%s is refused with a reason', (endpoint, reason) => {
  expect(() => parseTarget(endpoint)).toThrow(reason)
})

test('an address stands for itself', async () => {
  expect(await resolveTarget(parseTarget('127.0.0.1:1'))).toEqual([{ host: '127.0.0.1', port: 1 }])
  expect((await resolveTarget(parseTarget('[::1]:1'))).map(addressText)).toEqual(['[::1]:1'])
  expect((await resolveTarget(parseTarget('unix:/x'))).map(addressText)).toEqual(['unix:/x'])
})

test('localhost stands for each of its addresses once', async () => {
  const found = (await resolveTarget(parseTarget('localhost:1'))).map(addressText)
  expect(found.length).toBeGreaterThan(0)
  expect(new Set(found).size).toBe(found.length)
})
