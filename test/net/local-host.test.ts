import { expect, test } from 'vitest'
import { hostCheck } from '../../net/local-host.ts'

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
