import { afterEach, expect, test } from 'vitest'
import type { Health } from '../../core/health.ts'
import { Status } from '../../core/status.ts'
import { zpages } from '../../extensions/zpages.ts'
import { MovableClock } from '../support/clock.ts'
import { extensionOf } from '../support/extending.ts'

const open: { stop(): unknown }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.stop()
})

const ill = new Status()
ill.set('Starting')
ill.set('RecoverableError', '<script>alert("x")</script>')

const clock = new MovableClock()
const health: Health = {
  version: '1.2.3',
  started: clock.wall() - 90_000,
  phase: () => 'running',
  ready: () => true,
  components: () => [
    { kind: 'exporter', id: 'otlp/<b>', type: 'otlp', pipeline: undefined, status: ill },
    { kind: 'processor', id: 'batch', type: 'batch', pipeline: 'traces', status: new Status() },
    { kind: 'extension', id: 'zpages', type: 'zpages', pipeline: undefined, status: ill },
  ],
  pipelines: () => [
    { id: 'traces', signal: 'traces', receivers: ['otlp'], processors: ['batch'], exporters: ['otlp/<b>'] },
  ],
}

async function running(config: object = {}) {
  const one = extensionOf(zpages, { endpoint: '127.0.0.1:0', ...config }, { health, clock })
  open.push(one)
  await one.extension.start?.()
  return (path: string) => fetch(`http://${one.addresses[0]}${path}`)
}

test.each([
  ['/', ['/debug/servicez', '/debug/pipelinez', '/debug/extensionz', '/debug/featurez', '/debug/tracez']],
  ['/debug/servicez', ['1.2.3', 'running', '<td>90 s</td>', process.versions.node]],
  ['/debug/pipelinez', ['traces', 'otlp: not running', 'batch: None', 'otlp/&lt;b&gt;: RecoverableError']],
  ['/debug/extensionz', ['zpages', 'RecoverableError', '&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;']],
  ['/debug/featurez', ['<code>--feature-gates</code>']],
  ['/debug/tracez', ['keeps no spans']],
])('%s shows what there is, and nothing of it as HTML', async (path, texts) => {
  const response = await (await running())(path)
  const text = await response.text()
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  for (const one of texts) expect(text).toContain(one)
  expect(text).not.toContain('<script')
  expect(text).not.toContain('<b>')
})

test.each([
  ['/debug/nothing', {}, 404],
  ['/debug/expvarz', {}, 404],
  ['/debug/expvarz', { expvar: { enabled: true } }, 200],
])('%s with %j is answered %i', async (path, config, status) => {
  expect((await (await running(config))(path)).status).toBe(status)
})
