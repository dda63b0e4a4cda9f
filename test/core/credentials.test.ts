import { expect, test } from 'vitest'
import { clientAuthenticatorKey } from '../../core/auth.ts'
import { credentialKeys } from '../../core/credentials.ts'
import { Secret } from '../../core/fields.ts'
import { storageKey } from '../../core/storage.ts'

const secret = new Secret('s3cret')

test.each([
  ['nothing', {}, [], []],
  [
    'a header',
    { endpoint: 'https://x', headers: { authorization: secret, 'x-plain': 'y' } },
    [],
    ['headers.authorization'],
  ],
  ['a key', { api: { key: secret, site: 'eu' }, tls: { key_pem: secret } }, [], ['api.key', 'tls.key_pem']],
  [
    'an authenticator, first',
    { headers: { a: secret } },
    [{ path: 'auth.authenticator', id: 'basicauth', needs: clientAuthenticatorKey.name }],
    ['auth.authenticator: basicauth', 'headers.a'],
  ],
  [
    'whatever the key is called',
    {},
    [
      { path: 'auth.first', id: 'basicauth', needs: clientAuthenticatorKey.name },
      { path: 'authenticator', id: 'disk', needs: storageKey.name },
    ],
    ['auth.first: basicauth'],
  ],
  ['no storage', {}, [{ path: 'sending_queue.storage', id: 'file_storage', needs: storageKey.name }], []],
  [
    'a few of many',
    { headers: Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`h${i}`, secret])) },
    [],
    ['h0', 'h1', 'h2', 'h3', 'h4', 'h5'].map(key => `headers.${key}`),
  ],
] as const)('%s', (_, config, uses, keys) => {
  expect(credentialKeys(config, uses)).toEqual(keys)
})

test('a configuration that leads to itself is looked into as deep as any', () => {
  const config: Record<string, unknown> = { key: secret }
  config['again'] = config
  expect(credentialKeys(config, [])[0]).toBe('key')
})
