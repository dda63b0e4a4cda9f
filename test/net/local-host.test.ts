import { expect, test } from 'vitest'
import { hostCheck, reachOf } from '../../net/local-host.ts'

const local = '127.0.0.1:8888'

test.each<[string, string, Record<string, string>, boolean]>([
  ['an address', local, { host: '127.0.0.1:8888' }, true],
  ['localhost', local, { host: 'localhost:8888' }, true],
  ['localhost in capitals, without a port', local, { host: 'LOCALHOST' }, true],
  ['a name under localhost', local, { host: 'kymo.localhost:8888' }, true],
  ['an address of IPv6', local, { host: '[::1]:8888' }, true],
  ['another address, which no page can be called', local, { host: '10.1.2.3:8888' }, true],
  ['no host at all, as no browser does', local, {}, true],
  ['the name of a page that was bound to 127.0.0.1', local, { host: 'evil.example:8888' }, false],
  ['the same on localhost by name', 'localhost:8888', { host: 'evil.example:8888' }, false],
  ['the same on IPv6', '[::1]:8888', { host: 'evil.example' }, false],
  ['a name that only begins like an address', local, { host: '127.0.0.1.evil.example' }, false],
  ['a name that only ends like localhost', local, { host: 'evillocalhost' }, false],
  ['an empty name', local, { host: '' }, false],
  ['the name that is configured', 'kymo.internal:8888', { host: 'kymo.internal:8888' }, true],
  ['any name, where the network may connect', '0.0.0.0:8888', { host: 'kymo.monitoring.svc:8888' }, true],
  ['any name, where every address is listened to', ':8888', { host: 'kymo.monitoring.svc:8888' }, true],
  ['a page of the server itself', local, { host: 'localhost:8888', origin: 'http://localhost:8888' }, true],
  ['a page of another server', local, { host: 'localhost:8888', origin: 'http://evil.example' }, false],
  ['a page of another port', local, { host: 'localhost:8888', origin: 'http://localhost:3000' }, false],
  ['a page without an origin of its own', local, { host: 'localhost:8888', origin: 'null' }, false],
  ['a page of another server, over the network', '0.0.0.0:1', { host: 'kymo:1', origin: 'http://evil.example' }, false],
  ['an origin without a host', local, { origin: 'http://localhost:8888' }, false],
])('%s', (_what, endpoint, headers, passes) => {
  expect(hostCheck(endpoint)(headers) === undefined).toBe(passes)
})

const everywhere = '0.0.0.0:8888'

test.each<[string, string, readonly string[], Record<string, string>, boolean]>([
  ['a page that was bound to an address of this machine', everywhere, [], { host: 'evil.com:8888' }, false],
  ['and says where it comes from', everywhere, [], { host: 'evil.com:8888', origin: 'http://evil.com:8888' }, false],
  ['the same where every address is listened to', ':8888', [], { host: 'evil.com:8888' }, false],
  ['the same on one address of the network', '10.1.2.3:8888', [], { host: 'evil.com:8888' }, false],
  ['a name that only begins like a private one', everywhere, [], { host: 'kymo.svc.evil.com' }, false],
  ['a name that ends with a dot', everywhere, [], { host: 'evil.com.:8888' }, false],
  ['an empty name', everywhere, [], { host: '' }, false],
  ['a name of odd characters', everywhere, [], { host: 'evil@com' }, false],
  ['an address', everywhere, [], { host: '10.1.2.3:8888' }, true],
  ['localhost', everywhere, [], { host: 'localhost:8888' }, true],
  ['a container by its name', everywhere, [], { host: 'otel-collector:8888' }, true],
  ['a service of a cluster', everywhere, [], { host: 'kymo.monitoring.svc:8888' }, true],
  ['the same in full', everywhere, [], { host: 'kymo.monitoring.svc.cluster.local:8888' }, true],
  ['a node of a cloud', everywhere, [], { host: 'ip-10-0-0-1.ec2.internal:8888' }, true],
  ['a container by its name, where only this machine may connect', local, [], { host: 'otel-collector' }, false],
  ['a name of the list', everywhere, ['kymo.example.com'], { host: 'KYMO.example.com:8888' }, true],
  ['a name of the list, on this machine', local, ['kymo.example.com'], { host: 'kymo.example.com' }, true],
  ['a name below one of the list', everywhere, ['*.example.com'], { host: 'a.b.example.com' }, true],
  ['what only ends like one of the list', everywhere, ['*.example.com'], { host: 'evilexample.com' }, false],
  ['any name, when asked for', everywhere, ['*'], { host: 'evil.com' }, true],
  [
    'a page of another server, with a name of the list',
    everywhere,
    ['k.com'],
    { host: 'k.com', origin: 'http://e.com' },
    false,
  ],
  ['any name over a socket, which no browser reaches', 'unix:/run/kymo.sock', [], { host: 'evil.com' }, true],
  ['a page over a socket', 'unix:/run/kymo.sock', [], { host: 'localhost', origin: 'http://evil.com' }, false],
])('with a list of names: %s', (_what, endpoint, names, headers, passes) => {
  expect(hostCheck(endpoint, { names })(headers) === undefined).toBe(passes)
})

test.each([
  ['localhost:8888', 'loopback'],
  ['127.0.0.1:8888', 'loopback'],
  ['127.9.9.9:8888', 'loopback'],
  ['[::1]:8888', 'loopback'],
  ['0.0.0.0:8888', 'network'],
  [':8888', 'network'],
  ['[::]:8888', 'network'],
  ['10.1.2.3:8888', 'network'],
  ['kymo.internal:8888', 'network'],
  ['nonsense', 'network'],
  ['unix:/run/kymo.sock', 'unix'],
])('%s is reached from: %s', (endpoint, reach) => {
  expect(reachOf(endpoint)).toBe(reach)
})
