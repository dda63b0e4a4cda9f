/** What a component may not tell of what it was given: its own secrets, and those of the extensions it uses. */
import { expect, test } from 'vitest'
import { loadPlan } from '../../plan/load.ts'
import { components } from '../support/components.ts'

const basic = Buffer.from('alice:pass-word-1').toString('base64')
const inUrl = Buffer.from('bob:pass-word-2').toString('base64')

test.each([
  ['the token of its authenticator', 'got Bearer TokenFromEnv4711', 'bearer', 'got Bearer ${env:TOK}'],
  ['a password of its authenticator', 'got pass-word-1', 'basic', 'got [REDACTED]'],
  ['the same as it is sent', `got Basic ${basic}`, 'basic', 'got Basic [REDACTED]'],
  ['a password in a URL as it is sent', `got Basic ${inUrl}`, 'url', 'got Basic [REDACTED]'],
  ['a header', 'got header-key-1', 'bearer', 'got ${env:HK}'],
  ['nothing of an authenticator that others use', `Basic ${basic}`, 'bearer', `Basic ${basic}`],
])('%s', (_, text, exporter, told) => {
  const { plan } = loadPlan({
    sources: [
      `yaml:
extensions:
  bearertokenauth: {token: "\${env:TOK}"}
  basicauth: {client_auth: {username: alice, password: pass-word-1}}
receivers: {otlp: {protocols: {http: }}}
exporters:
  otlp_http/bearer: {endpoint: http://a, auth: {authenticator: bearertokenauth}, headers: {X-Key: "\${env:HK}"}}
  otlp_http/basic: {endpoint: http://a, auth: {authenticator: basicauth}}
  otlp_http/url: {endpoint: "http://bob:pass-word-2@a"}
service:
  extensions: [bearertokenauth, basicauth]
  pipelines: {logs: {receivers: [otlp], exporters: [otlp_http/bearer, otlp_http/basic, otlp_http/url]}}`,
    ],
    components,
    env: { TOK: 'TokenFromEnv4711', HK: 'header-key-1' },
  })
  const { concealed } = [...plan.exporters.values()].find(({ id }) => id.endsWith(`/${exporter}`)) ?? {}
  expect(concealed?.tell(text)).toBe(told)
})
