/** What `kymo check --connect` finds out of destinations that take data, and how it asks. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { connectionsText } from '../../cli/check.ts'
import { loadPlan } from '../../plan/load.ts'
import { connectionRoutes } from '../../service/connection-pages.ts'
import { checkConnections } from '../../service/connections.ts'
import { authority, clientCert, clientKey } from '../net/certificates.ts'
import {
  type CheckCase,
  grpcServer,
  lastStep,
  listening,
  looked,
  plain,
  secure,
  silent,
  stepsOf,
} from '../support/checking.ts'
import { components } from '../support/components.ts'
import { freePort } from '../support/kymo.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-check-'))
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => void vi.restoreAllMocks())
const caFile = join(folder, 'ca.pem')
writeFileSync(caFile, authority)
const ca = { ca_pem: authority }

const rights: readonly CheckCase[] = [
  {
    of: 'otlp_http',
    exporter: 'otlp_http',
    config: async () => ({ endpoint: `https://localhost:${await secure()}`, tls: { ca_file: caFile } }),
    steps: ['dns ok', 'tcp ok', 'tls ok', 'request traces ok'],
  },
  {
    of: 'otlp_grpc, by an address, with a certificate of ours',
    exporter: 'otlp_grpc',
    config: async () => ({
      endpoint: `127.0.0.1:${await grpcServer(undefined, true)}`,
      tls: { ...ca, cert_pem: clientCert, key_pem: clientKey },
    }),
    steps: ['tcp ok', 'tls ok', 'request traces ok'],
  },
  {
    of: 'jaeger',
    exporter: 'jaeger',
    config: async () => ({ endpoint: `127.0.0.1:${await grpcServer()}` }),
    steps: ['tcp ok', 'request traces ok'],
  },
  {
    of: 'loki, which says that there was nothing',
    exporter: 'loki',
    config: async () => ({
      endpoint: `http://127.0.0.1:${await plain(422, 'at least one valid stream is required for ingestion')}`,
    }),
    steps: ['tcp ok', 'request logs ok'],
    signal: 'logs',
  },
  {
    of: 'remote write of 2.0, which is sent 1.0',
    exporter: 'prometheus_remote_write',
    config: async () => ({ endpoint: `http://127.0.0.1:${await plain(415)}`, protobuf_message: 'auto' }),
    steps: ['tcp ok', 'request metrics ok'],
    signal: 'metrics',
  },
  {
    of: 'datadog',
    exporter: 'datadog',
    config: async () => ({
      api: { key: 'a-secret-key' },
      metrics: { endpoint: `http://127.0.0.1:${await plain(200, '{"valid":true}')}` },
      host_metadata: { enabled: false },
    }),
    steps: ['tcp ok', 'api key ok'],
    signal: 'metrics',
  },
  {
    of: 'file',
    exporter: 'file',
    config: async () => ({ path: join(folder, 'new', 'deep', 'x.json'), create_directory: true }),
    steps: ['file ok'],
  },
  {
    of: 'prometheus',
    exporter: 'prometheus',
    config: async () => ({ endpoint: `127.0.0.1:${await freePort()}` }),
    steps: ['listen ok'],
    signal: 'metrics',
  },
]

test.each(rights)('what is right is told so: $of', async ({ exporter, config, steps, ...how }) => {
  const answer = await looked(exporter, await config(), how)
  expect(stepsOf(answer)).toEqual(steps)
  expect(answer.result).toBe('ok')
  expect(connectionsText(answer)).toMatch(/\n1 destination: data would be taken\n$/)
})

test('a request without data is what arrives, with the headers and the authenticator that are configured', async () => {
  const heard: { headers: http.IncomingHttpHeaders; body: Buffer }[] = []
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request
      .on('data', (chunk: Buffer) => chunks.push(chunk))
      .on('end', () => {
        heard.push({ headers: request.headers, body: Buffer.concat(chunks) })
        response.end()
      })
  })
  const endpoint = `http://127.0.0.1:${await listening(server)}`
  const more = {
    extensions: { bearertokenauth: { token: 'wrong-secret' } },
    service: {
      extensions: ['bearertokenauth'],
      pipelines: { logs: { receivers: ['otlp'], exporters: ['otlp_http'] } },
    },
  }
  const config = {
    endpoint,
    compression: 'none',
    headers: { 'x-team': 'shop' },
    auth: { authenticator: 'bearertokenauth' },
  }
  const answer = await looked('otlp_http', config, { signal: 'logs', more })
  expect(answer.result).toBe('ok')
  expect(heard).toHaveLength(1)
  expect(heard[0]?.body).toHaveLength(0)
  expect(heard[0]?.headers).toMatchObject({ authorization: 'Bearer wrong-secret', 'x-team': 'shop' })
})

test('an authenticator that cannot start is why nothing is asked', async () => {
  const more = {
    extensions: { bearertokenauth: { filename: join(folder, 'no-token') } },
    service: {
      extensions: ['bearertokenauth'],
      pipelines: { traces: { receivers: ['otlp'], exporters: ['otlp_http'] } },
    },
  }
  const config = { endpoint: `http://127.0.0.1:${await plain(200)}`, auth: { authenticator: 'bearertokenauth' } }
  const answer = await looked('otlp_http', config, { more })
  expect(answer.result).toBe('failed')
  expect(lastStep(answer)?.text).toContain('no-token')
})

test('a certificate that ends soon, or that is not checked, is a warning', async () => {
  const endpoint = `https://127.0.0.1:${await secure()}`
  const skipped = await looked('otlp_http', { endpoint, tls: { insecure_skip_verify: true } })
  expect(stepsOf(skipped)).toEqual(['tcp ok', 'tls warning', 'request traces ok'])
  expect(connectionsText(skipped)).toMatch(/not checked \(`tls\.insecure_skip_verify`\).*not trusted/)
  vi.spyOn(Date, 'now').mockReturnValue(Date.parse('2126-10-20T00:00:00Z'))
  const soon = await looked('otlp_http', { endpoint, tls: ca })
  expect(soon.result).toBe('warning')
  expect(connectionsText(soon)).toMatch(/`server` ends in 7 days\n\s+renew it/)
  expect(connectionsText(soon)).toMatch(/\n1 destination: data would be taken, 1 with a warning\n$/)
})

test('Datadog that cannot be asked for the key may take logs nonetheless', async () => {
  const config = {
    api: { key: 'a-secret-key' },
    logs: { endpoint: `http://127.0.0.1:${await silent()}` },
    metrics: { endpoint: `http://127.0.0.1:${await freePort()}` },
    host_metadata: { enabled: false },
  }
  const answer = await looked('datadog', config, { signal: 'logs' })
  expect(stepsOf(answer)).toEqual(['tcp ok', 'api key warning'])
  expect(lastStep(answer)?.text).toMatch(/could not be asked: .*ECONNREFUSED/)
})

test('through a proxy the way there is that to the proxy, and the rest is in the request', async () => {
  const through = http.createServer().on('connect', (request, socket) => {
    const [host, port] = String(request.url).split(':')
    const there = net.connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(there).pipe(socket)
    })
    socket.on('error', () => there.destroy())
    there.on('error', () => socket.destroy())
  })
  const proxy = await listening(through)
  const endpoint = `https://127.0.0.1:${await secure()}`
  const config = { endpoint, proxy_url: `http://somebody:a-password@127.0.0.1:${proxy}`, tls: ca }
  const answer = await looked('otlp_http', config)
  expect(stepsOf(answer)).toEqual(['tcp ok', 'request traces ok'])
  expect(answer.exporters[0]?.destinations[0]?.steps[0]?.text).toBe(`127.0.0.1:${proxy}`)
  const printed = connectionsText(answer)
  expect(printed).toMatch(/\(through `proxy_url` http:\/\/\S+@127\.0\.0\.1:\d+\/?\)/)
  expect(printed).not.toContain('a-password')
  const untrusted = await looked('otlp_http', { ...config, tls: {} })
  expect(stepsOf(untrusted)).toEqual(['tcp ok', 'request traces failed'])
  expect(lastStep(untrusted)?.text).toMatch(/not trusted here.*; set `tls\.ca_file`/)
})

test('of what runs here the address of a page is its own', async () => {
  const answer = await looked(
    'prometheus',
    { endpoint: `127.0.0.1:${await plain(200)}` },
    { signal: 'metrics', isRunning: true },
  )
  expect(answer.result).toBe('ok')
})

test('destinations are asked side by side, eight at a time at most', async () => {
  let now = 0
  let most = 0
  const waiting: (() => void)[] = []
  const server = http.createServer((request, response) => {
    most = Math.max(most, ++now)
    request.resume().on('end', () => {
      waiting.push(() => {
        now--
        response.end()
      })
      if (waiting.length === 8 || asked - done === waiting.length) {
        done += waiting.length
        for (const answer of waiting.splice(0)) answer()
      }
    })
  })
  const asked = 20
  let done = 0
  const endpoint = `http://127.0.0.1:${await listening(server)}`
  const ids = Array.from({ length: asked }, (_, i) => `otlp_http/${i}`)
  const exporters = Object.fromEntries(ids.map(id => [id, { endpoint }]))
  const more = {
    exporters,
    service: { pipelines: { traces: { receivers: ['otlp'], exporters: ids } } },
  }
  const answer = await looked('otlp_http', {}, { more, timeout: 20_000 })
  expect(answer.exporters).toHaveLength(asked)
  expect(answer.result).toBe('ok')
  expect(most).toBe(8)
})

test('a process looks for one at a time', async () => {
  const held = Promise.withResolvers<void>()
  const server = http.createServer((_, response) => void held.promise.then(() => response.end()))
  const exporters = { otlp_http: { endpoint: `http://127.0.0.1:${await listening(server)}` } }
  const whole = {
    receivers: { otlp: { protocols: { http: {} } } },
    exporters,
    service: { pipelines: { traces: { receivers: ['otlp'], exporters: ['otlp_http'] } } },
  }
  const { plan } = loadPlan({ sources: [`yaml:${JSON.stringify(whole)}`], components, env: {} })
  const [route] = connectionRoutes(() => plan)
  const first = route?.act({}, 'test')
  const second = Promise.resolve(route?.act({}, 'test'))
  await expect(second).rejects.toMatchObject({ code: 409 })
  held.resolve()
  expect(await first).toMatchObject({ result: 'ok' })
  expect(await route?.act({}, 'test')).toMatchObject({ result: 'ok' })
  await expect(Promise.resolve(connectionRoutes(() => undefined)[0]?.act({}, 'test'))).rejects.toMatchObject({
    code: 503,
  })
})

test('only those that are named are asked; a wrong name is told with the nearest right one', async () => {
  const endpoint = `http://127.0.0.1:${await plain(200)}`
  const whole = {
    receivers: { otlp: { protocols: { http: {} } } },
    exporters: { 'otlp_http/one': { endpoint }, 'otlp_http/two': { endpoint }, debug: {} },
    service: { pipelines: { traces: { receivers: ['otlp'], exporters: ['otlp_http/one', 'otlp_http/two'] } } },
  }
  const { plan } = loadPlan({ sources: [`yaml:${JSON.stringify(whole)}`], components, env: {} })
  const ask = (...exporters: string[]) => checkConnections(plan, { exporters, timeout: 3000, isRunning: false })
  expect((await ask('otlp_http/two')).exporters.map(({ exporter }) => exporter)).toEqual(['otlp_http/two'])
  await expect(ask('otlp_http/tow')).rejects.toMatchObject({
    code: 404,
    hint: expect.stringContaining('otlp_http/two'),
  })
  await expect(ask('debug')).rejects.toThrow(/in no pipeline/)
})

test('a file that may not be written is told so', async context => {
  if (process.getuid?.() === 0) return context.skip('root may write everything')
  const path = join(folder, 'closed.json')
  writeFileSync(path, '')
  chmodSync(path, 0o400)
  expect(lastStep(await looked('file', { path }))?.text).toContain('cannot be written')
})
