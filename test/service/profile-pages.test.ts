import { gunzipSync } from 'node:zlib'
import { buffer } from 'node:stream/consumers'
import { Profile } from 'pprof-format'
import { expect, test } from 'vitest'
import { machineClock } from '../../core/clock.ts'
import { profileRoutes } from '../../service/profile-pages.ts'

const routes = profileRoutes(machineClock)
const flowOf = async (path: string, query: Record<string, string>) => routes.find(one => one.path === path)?.flow(query)

test.each([
  ['/debug/pprof/profile', 'cpu'],
  ['/debug/pprof/heap', 'space'],
])('%s is a profile of %s', async (path, kind) => {
  const flow = await flowOf(path, { seconds: '0.05' })
  if (flow === undefined || !('stream' in flow)) expect.unreachable()
  const { sampleType, stringTable } = Profile.decode(gunzipSync(await buffer(flow.stream)))
  expect(flow.contentType).toBe('application/octet-stream')
  expect(sampleType.map(({ type }) => stringTable.strings[Number(type)])).toContain(kind)
})

test.each(['51', '0', '-1', 'x'])('no profile takes %s seconds', async seconds => {
  const asked = flowOf('/debug/pprof/profile', { seconds })
  await expect(asked).rejects.toMatchObject({ code: 400, message: expect.stringContaining('50 at most') })
})

test('one at a time', async () => {
  const first = flowOf('/debug/pprof/heap', { seconds: '0.05' })
  await expect(flowOf('/debug/pprof/heap', { seconds: '0.05' })).rejects.toMatchObject({ code: 503 })
  await first
})
