import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Profile } from 'pprof-format'
import { afterEach, expect, test } from 'vitest'
import { cgroupRuntime } from '../../extensions/cgroup_runtime.ts'
import { pprof } from '../../extensions/pprof.ts'
import { extensionOf } from '../support/extending.ts'

const open: { stop(): unknown }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.stop()
})

async function running(config: object = {}) {
  const one = extensionOf(pprof, { endpoint: '127.0.0.1:0', ...config })
  open.push(one)
  await one.extension.start?.()
  one.extension.run?.()
  return { stop: () => one.stop(), get: (path: string) => fetch(`http://${one.addresses[0]}${path}`) }
}

const isProfile = (bytes: Uint8Array): boolean => Profile.decode(gunzipSync(bytes)).sampleType.length === 2

test.each(['/debug/pprof/profile?seconds=0.05', '/debug/pprof/heap?seconds=0.05', '/debug/pprof/allocs?seconds=0.05'])(
  '%s is a profile',
  async path => {
    const response = await (await running()).get(path)
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/octet-stream'])
    expect(isProfile(new Uint8Array(await response.arrayBuffer()))).toBe(true)
  },
)

test.each([
  ['/debug/pprof/', 200, 'seconds=30'],
  ['/debug/pprof/goroutine', 404, '/debug/pprof/heap'],
  ['/metrics', 404, 'no page /metrics'],
  ['/debug/pprof/profile?seconds=51', 400, '50 at most'],
  ['/debug/pprof/profile?seconds=x', 400, '50 at most'],
  ['/debug/pprof/profile?seconds=0', 400, 'more than 0'],
])('%s: %i', async (path, status, text) => {
  const response = await (await running()).get(path)
  expect([response.status, await response.text()]).toEqual([status, expect.stringContaining(text)])
})

test('one at a time; who stops does not wait for it', async () => {
  const { get, stop } = await running()
  const first = get('/debug/pprof/profile?seconds=50')
  await expect.poll(async () => (await get('/debug/pprof/heap?seconds=0.01')).status).toBe(503)
  await stop()
  expect((await first).status).toBe(200)
})

test('the profile of the whole run is in the file when it ends, for its owner', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kymo-pprof-'))
  try {
    const path = join(folder, 'run.pprof')
    const { stop } = await running({ save_to_file: path })
    await stop()
    expect(isProfile(readFileSync(path))).toBe(true)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('what the Collector sets of Go is accepted, under both names', () => {
  expect(cgroupRuntime.aliases).toEqual(['cgroupruntime'])
  const { success } = cgroupRuntime.config.safeParse({ gomaxprocs: { enabled: true }, gomemlimit: { ratio: 0.8 } })
  expect(success).toBe(true)
})
