/** Profiles as others read them: the package that decodes them is the one of profilers for Node. */
import { gunzipSync } from 'node:zlib'
import { Profile } from 'pprof-format'
import { expect, test } from 'vitest'
import { ProfileBusyError, profileUntil } from '../../telemetry/profile.ts'

/** What a profile says: amounts of functions that were at work themselves, and all that were on the way. */
function readProfile(bytes: Buffer) {
  const profile = Profile.decode(gunzipSync(bytes))
  const text = (at: unknown) => profile.stringTable.strings[Number(at)] ?? ''
  const names = new Map(profile.function.map(({ id, name }) => [Number(id), text(name)]))
  const functions = new Map(
    profile.location.map(({ id, line }) => [Number(id), names.get(Number(line[0]?.functionId))]),
  )
  const self = new Map<string, number>()
  const onTheWay = new Set<string>()
  for (const { locationId, value } of profile.sample) {
    const [name = '', ...callers] = locationId.map(id => functions.get(Number(id)) ?? '')
    self.set(name, (self.get(name) ?? 0) + Number(value[1]))
    for (const caller of callers) onTheWay.add(caller)
  }
  const types = profile.sampleType.map(({ type, unit }) => `${text(type)}/${text(unit)}`)
  const files = profile.function.map(({ filename }) => text(filename))
  return { types, self, onTheWay, files, duration: Number(profile.durationNanos) }
}

function burnSomeTime(milliseconds: number): number {
  let sum = 0
  for (const end = performance.now() + milliseconds; performance.now() < end;) sum += Math.sqrt(sum + 1)
  return sum
}
const callIt = (): number => burnSomeTime(300)

test('the function that took the CPU is told with its time and who called it; idle time is none', async () => {
  const profile = profileUntil('cpu', new Promise(resolve => setTimeout(resolve, 600)))
  await new Promise(resolve => setTimeout(resolve, 50))
  callIt()
  const { types, self, onTheWay, files, duration } = readProfile(await profile)
  expect(types).toEqual(['samples/count', 'cpu/nanoseconds'])
  expect((self.get('burnSomeTime') ?? 0) + (self.get('now') ?? 0)).toBeGreaterThan(50e6)
  expect(onTheWay).toContain('callIt')
  expect([...self.keys()]).not.toContain('(idle)')
  expect(duration).toBeGreaterThan(300e6)
  expect(files.filter(file => file.startsWith('/') || file.startsWith('file:'))).toEqual([])
})

const kept: unknown[] = []
function keepMuch(): void {
  for (let i = 0; i < 50_000; i++) kept.push({ a: i, b: [i, String(i)] })
}

test('what was allocated meanwhile and is still there is told with who allocated it', async () => {
  const until = Promise.withResolvers<void>()
  const profile = profileUntil('heap', until.promise)
  // Once the profiler looks.
  await new Promise(resolve => setTimeout(resolve, 100))
  keepMuch()
  until.resolve()
  const { types, self } = readProfile(await profile)
  kept.length = 0
  expect(types).toEqual(['objects/count', 'space/bytes'])
  expect(self.get('keepMuch')).toBeGreaterThan(1_000_000)
})

test('one profile at a time; the next one is taken when it is done', async () => {
  const until = Promise.withResolvers<void>()
  const first = profileUntil('cpu', until.promise)
  await expect(profileUntil('heap', Promise.resolve())).rejects.toThrow(ProfileBusyError)
  until.resolve()
  await first
  readProfile(await profileUntil('heap', Promise.resolve()))
})
